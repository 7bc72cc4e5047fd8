"""What a correlation means, decision by decision: events in, episodes out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.detect.correlate import Correlator, correlated
from soc.detect.correlation import Correlation, parse_correlation
from soc.detect.telling import LATE, MERGED_INTO
from soc.event import Detection

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
LATENESS_S = 20


def rule(own_id: str = "c", **keys: Any) -> Correlation:
    """An event_count of 3 of ra in 10 s by User, unless told otherwise."""
    section: dict[str, Any] = {"type": "event_count", "rules": ["ra"], "group-by": ["User"], "timespan": "10s"}
    section |= {name.replace("_", "-"): value for name, value in keys.items()}
    if section["type"] == "event_count":
        section.setdefault("condition", {"gte": 3})
    return parse_correlation(
        {"title": f"title of {own_id}", "id": own_id, "correlation": section}, Path("c.yml"), 1, ""
    )


def at(second: float, rule_id: str = "ra", event: str = "", **fields: Any) -> Detection:
    return Detection(
        rule_id=rule_id,
        title="",
        level="low",
        id=f"{rule_id}/{event or second}",
        timestamp=START + timedelta(seconds=second),
        event_id=event or f"e{second}",
        fields={"User": "an"} | fields,
    )


def engine(*correlations: Correlation, **options: Any) -> Correlator:
    return Correlator(correlations, lateness=timedelta(seconds=LATENESS_S), **options)


def episodes(c: Correlation, *detections: Detection) -> list[tuple[float, float, int]]:
    """(first, last, count) of the final episodes."""
    return [span(d) for d in correlated(engine(c), detections)]


def span(d: Detection) -> tuple[float, float, int]:
    assert d.first is not None and d.last is not None
    return (d.first - START).total_seconds(), (d.last - START).total_seconds(), d.count


# ---------------------------------------------------------------- windows and episodes


def test_the_window_includes_both_of_its_ends() -> None:
    assert episodes(rule(), at(0), at(5), at(10)) == [(0, 10, 3)]
    assert episodes(rule(), at(0), at(5), at(10.000001)) == []


def test_windows_slide_and_know_no_borders() -> None:
    assert episodes(rule(timespan="1m"), at(55), at(59), at(65)) == [(55, 65, 3)]


def test_an_episode_fires_once_and_goes_on_under_its_id() -> None:
    running = engine(rule())
    fired = [running.add(at(second)) for second in (0, 1, 2)]
    assert [len(found) for found in fired] == [0, 0, 1]
    assert running.drain() == []
    assert [running.add(at(second)) for second in (3, 9)] == [[], []]
    (grown,) = running.drain()
    assert grown.id == fired[2][0].id
    assert (span(fired[2][0]), span(grown)) == ((0, 2, 3), (0, 9, 5))
    assert running.drain() == []


def test_an_episode_that_pauses_less_than_a_timespan_goes_on() -> None:
    assert episodes(rule(), at(0), at(1), at(2), at(11.5), at(11.8)) == [(0, 11.8, 5)]


def test_an_episode_fires_anew_once_the_window_has_emptied() -> None:
    running = engine(rule())
    found = [d for second in (0, 1, 2, 13, 14, 15) for d in running.add(at(second))]
    assert [span(d) for d in found] == [(0, 2, 3), (13, 15, 3)]
    assert found[0].id != found[1].id


def test_an_event_that_is_delivered_again_counts_once() -> None:
    assert episodes(rule(), at(0, event="a"), at(1, event="b"), at(1, event="b"), at(0, event="a")) == []


def test_an_event_found_by_two_rules_counts_once() -> None:
    c = rule(rules=["ra", "rb"])
    assert episodes(c, at(0, "ra", "x"), at(0, "rb", "x"), at(1, "ra", "y"), at(1, "rb", "y")) == []
    assert episodes(c, at(0, "ra", "x"), at(1, "rb", "y"), at(2, "ra", "z")) == [(0, 2, 3)]


def test_the_same_arrival_gives_the_same_id_and_another_rule_version_another() -> None:
    (one,), (same,) = (correlated(engine(rule()), [at(0), at(1), at(2)]) for _ in range(2))
    (other,) = correlated(engine(rule(timespan="11s")), [at(0), at(1), at(2)])
    assert one.id == same.id != other.id


def test_what_bridges_two_episodes_makes_them_one_and_withdraws_the_later() -> None:
    running = engine(rule())
    first, second = (d for t in (0, 1, 2, 12.5, 13, 14) for d in running.add(at(t)))
    (gone,) = running.add(at(11))
    assert (gone.id, gone.count, gone.fields[MERGED_INTO]) == (second.id, 0, first.id)
    (grown,) = running.drain()
    assert (grown.id, span(grown)) == (first.id, (0, 14, 7))


def test_evidence_is_the_first_and_the_newest_events_and_the_count_is_exact() -> None:
    found = correlated(engine(rule()), [at(i / 10) for i in range(1_000)])
    assert len(found) == 1
    assert found[0].count == 1_000
    ids = [f"e{i / 10}" for i in range(1_000)]
    assert found[0].evidence == tuple(ids[:50] + ids[-50:])


def test_a_detection_says_all_that_an_alert_needs() -> None:
    c = rule(group_by=["User", "Host"])
    running = engine(c, fields=lambda _, name: {"Host": ("host.name",)}.get(name, ()))
    found = [d for t in (0, 1, 2) for d in running.add(at(t, **{"host.name": "srv", "message": f"m{t}"}))]
    (d,) = found
    assert (d.kind, d.rule_id, d.title, d.level, d.rule_version) == (
        "correlation",
        "c",
        "title of c",
        "medium",
        c.version,
    )
    assert d.group == {"User": "an", "Host": "srv"}
    assert d.fields == {"User": "an", "host.name": "srv", "message": "m2"}
    assert (d.timestamp, d.event_id, d.evidence) == (d.last, "e2", ("e0", "e1", "e2"))
    assert (d.matched[0].op, d.matched[0].pattern, d.matched[0].actual) == ("event_count", "gte: 3", "3")


# ---------------------------------------------------------------- lateness


def test_order_does_not_matter_within_the_lateness() -> None:
    running = engine(rule())
    assert [d for t in (20, 2, 1) for d in running.add(at(t))] == []
    assert [span(d) for d in running.add(at(0))] == [(0, 2, 3)]


def test_older_events_are_evaluated_in_their_own_time_and_marked() -> None:
    running = engine(rule())
    running.add(at(10_000))
    found = [d for t in (0, 1, 2) for d in running.add(at(t))]
    assert [span(d) for d in found] == [(0, 2, 3)]
    assert found[0].fields[LATE] is True


def test_a_file_of_last_month_and_today_do_not_disturb_each_other() -> None:
    running = engine(rule())
    today, month = (list(range(0, 60, 3)), list(range(-2_600_000, -2_600_000 + 60, 3)))
    found = [d for pair in zip(today, month, strict=True) for t in pair for d in running.add(at(t))]
    grown = {d.id: span(d) for d in running.drain()}
    assert len(found) == 2
    assert sorted(grown.values()) == [(-2_600_000, -2_599_943, 20), (0, 57, 20)]


def test_on_time_events_are_not_marked_late() -> None:
    running = engine(rule())
    found = [d for t in (20, 2, 1, 0) for d in running.add(at(t))]
    assert LATE not in found[0].fields


# ---------------------------------------------------------------- conditions that wait


def test_a_condition_that_more_events_can_undo_waits_for_the_lateness() -> None:
    running = engine(rule(condition={"eq": 2}))
    assert [d for t in (0, 1, 21) for d in running.add(at(t))] == []
    assert [span(d) for d in running.add(at(21.5))] == [(0, 1, 2)]


def test_closing_judges_what_waits() -> None:
    running = engine(rule(condition={"lt": 2}))
    assert running.add(at(5)) == []
    assert running.close(START + timedelta(seconds=4)) == []
    assert [span(d) for d in running.close(START + timedelta(seconds=5))] == [(5, 5, 1)]
    assert running.close() == []


def test_a_range_holds_between_its_bounds() -> None:
    c = rule(condition={"gt": 1, "lte": 2})
    assert episodes(c, at(0)) == []
    assert episodes(c, at(0), at(1)) == [(0, 1, 2)]
    assert episodes(c, at(0), at(0, event="x"), at(0, event="y")) == []


# ---------------------------------------------------------------- values


def test_value_count_counts_distinct_values_and_distinct_tuples() -> None:
    one = rule(type="value_count", group_by=[], condition={"field": "User", "gte": 2})
    assert episodes(one, at(0), at(1), at(2, User="binh")) == [(0, 2, 3)]
    two = rule(type="value_count", group_by=[], condition={"field": ["User", "Host"], "gte": 3})
    pairs = [("an", "x"), ("an", "y"), ("an", "x"), ("binh", "y")]
    assert episodes(two, *(at(i, User=u, Host=h) for i, (u, h) in enumerate(pairs))) == [(0, 3, 4)]
    assert episodes(two, *(at(i, User=u, Host=h) for i, (u, h) in enumerate(pairs[:3]))) == []


def test_1_and_1_0_and_the_text_1_are_one_value() -> None:
    c = rule(type="value_count", condition={"field": "n", "gte": 2})
    assert episodes(c, at(0, n=1), at(1, n=1.0), at(2, n="1")) == []


@pytest.mark.parametrize(
    ("kind", "values", "condition", "fires"),
    [
        ("value_sum", [0.1] * 10, {"gte": 1}, True),
        ("value_sum", [0.1] * 10, {"gt": 1}, False),
        ("value_sum", ["400", 600], {"gte": 1000}, True),
        ("value_avg", [1, 2], {"gte": 1.5}, True),
        ("value_avg", [1, 2], {"gt": 1.5}, False),
        ("value_median", [1, 9, 100], {"eq": 9}, True),
        ("value_percentile", [10, 20], {"percentile": 95, "gte": 19.5}, True),
        ("value_percentile", [10, 20], {"percentile": 95, "gt": 19.5}, False),
        ("value_percentile", [1, 2, 3, 4, 5], {"percentile": 25, "eq": 2}, True),
    ],
)
def test_numbers_are_exact_and_percentiles_interpolate(
    kind: str, values: list[object], condition: Mapping[str, float], fires: bool
) -> None:
    c = rule(type=kind, condition={"field": "n", **condition})
    assert bool(episodes(c, *(at(0, event=f"e{i}", n=n) for i, n in enumerate(values)))) is fires


def test_what_is_no_number_does_not_take_part() -> None:
    c = rule(type="value_sum", condition={"field": "n", "gte": 5})
    odd = [True, None, "five", "NaN", float("nan"), float("inf"), "1e999999", [], {"a": 1}]
    assert episodes(c, *(at(i, n=n) for i, n in enumerate(odd)), at(9, n=5)) == [(9, 9, 1)]


# ---------------------------------------------------------------- rules


def test_temporal_takes_its_rules_in_any_order() -> None:
    c = rule(type="temporal", rules=["ra", "rb"])
    assert episodes(c, at(0, "rb"), at(3, "ra")) == [(0, 3, 2)]
    assert episodes(c, at(0, "ra"), at(3, "ra")) == []
    assert episodes(c, at(0, "rb"), at(10.5, "ra")) == []


def test_some_of_the_rules_are_enough_if_the_condition_says_so() -> None:
    c = rule(type="temporal", rules=["ra", "rb", "rc"], condition={"gte": 2})
    assert episodes(c, at(0, "rc"), at(3, "ra")) == [(0, 3, 2)]


def test_one_event_may_serve_several_rules_and_counts_once() -> None:
    c = rule(type="temporal", rules=["ra", "rb", "rc"])
    found = correlated(engine(c), [at(0, "ra", "x"), at(0, "rb", "x"), at(0, "rb", "x"), at(0, "rc", "x")])
    assert [(d.count, d.evidence) for d in found] == [(1, ("x",))]
    assert found[0].matched[0].actual == "ra, rb, rc"


def test_ordered_temporal_asks_for_times_that_do_not_fall() -> None:
    c = rule(type="temporal_ordered", rules=["ra", "rb", "rc"])
    assert episodes(c, at(0, "ra"), at(1, "rb"), at(2, "rc")) == [(0, 2, 3)]
    assert episodes(c, at(0, "ra"), at(0, "rb", "y"), at(0, "rc", "z")) == [(0, 0, 3)]
    assert episodes(c, at(0, "ra"), at(1, "rc"), at(2, "rb")) == []
    assert episodes(c, at(2, "rc"), at(1, "rb"), at(0, "ra")) == [(0, 2, 3)]


def test_ordered_temporal_finds_a_series_among_others() -> None:
    c = rule(type="temporal_ordered", rules=["ra", "rb"])
    assert episodes(c, at(0, "rb"), at(1, "ra"), at(2, "ra"), at(12, "rb")) == [(2, 12, 2)]


@pytest.mark.parametrize("kind", ["temporal", "temporal_ordered"])
def test_booleans_without_not_fire_at_once(kind: str) -> None:
    c = rule(type=kind, rules=["ra", "rb", "rc"], condition="ra and (rb or rc)")
    running = engine(c)
    running.add(at(0, "ra"))
    assert [span(d) for d in running.add(at(4, "rc"))] == [(0, 4, 2)]


@pytest.mark.parametrize(
    ("kind", "condition", "others", "fires"),
    [
        ("temporal", "ra and not rb", [], True),
        ("temporal", "ra and not rb", [10], False),  # up to a timespan after
        ("temporal", "ra and not rb", [-10], False),  # or before
        ("temporal", "ra and not rb", [-10.5, 10.5], True),
        ("temporal_ordered", "ra and not rb", [-5], True),  # rb stands behind: it must not follow
        ("temporal_ordered", "ra and not rb", [5], False),
        ("temporal_ordered", "ra and not rb", [0], False),
        ("temporal_ordered", "not rb and ra", [5], True),  # rb stands ahead: it must not precede
        ("temporal_ordered", "not rb and ra", [-5], False),
    ],
)
def test_not_asks_for_a_closed_window_without_the_rule(
    kind: str, condition: str, others: list[float], fires: bool
) -> None:
    names = ["rb", "ra"] if condition.startswith("not") else ["ra", "rb"]
    c = rule(type=kind, rules=names, condition=condition)
    expected = [(0, 0, 1)] if fires else []
    assert (
        episodes(c, *(at(t, "rb") for t in others if t < 0), at(0), *(at(t, "rb") for t in others if t >= 0))
        == expected
    )


def test_an_ordered_series_with_not_is_judged_where_it_ends() -> None:
    c = rule(type="temporal_ordered", rules=["ra", "rb", "rc"], condition="ra and rb and not rc")
    assert episodes(c, at(0, "ra"), at(2, "rb"), at(2.5, "rc"), at(3, "ra")) == []
    assert episodes(c, at(0, "ra"), at(1, "rc"), at(2, "rb"), at(3, "ra")) == [(0, 2, 2)]


def test_absence_waits_until_its_window_has_closed() -> None:
    running = engine(rule(type="temporal", rules=["ra", "rb"], condition="ra and not rb"))
    assert [d for t in (0, 10, 30) for d in running.add(at(t))] == []
    assert [span(d) for d in running.add(at(30.5))] == [(0, 0, 1)]


# ---------------------------------------------------------------- groups and fields


def test_groups_are_counted_apart_and_keep_their_case() -> None:
    users = ["an", "An", "binh", "an", "an"]
    found = correlated(engine(rule()), [at(i, User=user) for i, user in enumerate(users)])
    assert [(d.group, d.count) for d in found] == [({"User": "an"}, 3)]


@pytest.mark.parametrize("user", [None, [], {"name": "an"}])
def test_an_event_without_the_group_by_field_does_not_take_part(user: object) -> None:
    assert episodes(rule(), at(0), at(1), at(2, User=user)) == []


def test_without_group_by_there_is_one_group() -> None:
    c = rule(group_by=[])
    found = correlated(engine(c), [at(0), at(1, User="binh"), at(2, User=None)])
    assert [(d.group, d.count) for d in found] == [({}, 3)]


@pytest.mark.parametrize(
    "fields",
    [
        {"user.name": "an", "User": "other"},
        {"user": {"name": "an"}},
        {"User": "an"},
        {"user.name": ["an", "binh"]},
        {"user.name": None, "User": "an"},
    ],
)
def test_a_field_is_looked_up_mapped_first_flat_first_first_member(fields: dict[str, object]) -> None:
    running = engine(rule(), fields=lambda _, name: ("user.name",) if name == "User" else ())
    events = [at(0), at(1), at(2)]
    found = [
        d
        for e in events
        for d in running.add(Detection("ra", "", "", (), "", "", "rule", e.timestamp, e.event_id, fields))
    ]
    assert [d.group for d in found] == [{"User": "an"}]


def test_aliases_name_the_field_of_each_rule() -> None:
    c = rule(
        type="temporal",
        rules=["ra", "rb"],
        group_by=["inside"],
        aliases={"inside": {"ra": "destination.ip", "rb": "source.ip"}},
    )
    one = at(0, "ra", **{"destination.ip": "192.0.2.1", "source.ip": "192.0.2.9"})
    same = at(1, "rb", **{"source.ip": "192.0.2.1"})
    other = at(1, "rb", **{"destination.ip": "192.0.2.1", "source.ip": "192.0.2.9"})
    assert [d.group for d in correlated(engine(c), [one, same])] == [{"inside": "192.0.2.1"}]
    assert correlated(engine(c), [one, other]) == []


def test_the_bus_key_is_one_for_a_group_and_differs_between_groups() -> None:
    running = engine(rule(group_by=["User", "Host"]))
    key = running.group_key("c", at(0, Host="x"))
    assert key == running.group_key("c", at(99, Host="x", other=1))
    assert key is not None
    assert running.group_key("c", at(0, User="anx", Host="")) != running.group_key("c", at(0, User="an", Host="x"))
    assert running.group_key("c", at(0)) is None
    assert running.group_key("c", at(0, "other", Host="x")) is None
    assert running.group_key("unknown", at(0, Host="x")) is None


def test_feeds_limits_a_copy_to_its_correlation() -> None:
    running = engine(rule("one", condition={"gte": 1}), rule("two", condition={"gte": 1}))
    copy = Detection("ra", "", "", id="d", timestamp=START, event_id="e", fields={"User": "an"}, feeds="two")
    assert [d.rule_id for d in running.add(copy)] == ["two"]
    assert [d.rule_id for d in running.add(at(50))] == ["one", "two"]


def test_a_detection_without_time_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="without event time"):
        engine(rule()).add(Detection("ra", "", "", event_id="e", fields={"User": "an"}))
