"""Snapshots and bounds of the correlator: what is kept, what is let go, what is said about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from soc.detect.correlate import Correlator
from soc.detect.correlation import Correlation, parse_correlation
from soc.detect.timeline import MAX_WINDOWS
from soc.event import ContentError, Detection

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def rule(own_id: str = "c", **keys: Any) -> Correlation:
    section: dict[str, Any] = {"type": "event_count", "rules": ["ra"], "group-by": ["User"], "timespan": "10s"}
    section |= {"condition": {"gte": 3}} | keys
    return parse_correlation({"title": "t", "id": own_id, "correlation": section}, Path("c.yml"), 1, "")


def at(second: float, user: str = "an", rule_id: str = "ra", **fields: Any) -> Detection:
    when = START + timedelta(seconds=second)
    name = f"{user}@{second}"
    return Detection(rule_id, "", "low", id=name, timestamp=when, event_id=name, fields={"User": user} | fields)


def engine(*correlations: Correlation, **options: Any) -> Correlator:
    return Correlator(correlations, lateness=timedelta(seconds=20), **options)


# ---------------------------------------------------------------- bounds


def test_the_least_recently_active_group_is_dropped_and_counted() -> None:
    running = engine(rule(), max_groups=2)
    for second, user in [(0, "an"), (1, "an"), (1, "binh"), (2, "chi"), (2, "binh")]:
        running.add(at(second, user))
    assert (running.groups, running.dropped) == (2, {"groups": 1, "events": 0})
    assert running.add(at(2, "an")) == [], "its first two events are forgotten"


def test_a_dropped_group_says_its_last_words() -> None:
    running = engine(rule(condition={"lt": 3}), max_groups=1)
    running.add(at(0, "an"))
    assert [(d.group["User"], d.count) for d in running.add(at(0, "binh"))] == [("an", 1)]
    growing = engine(rule(), max_groups=1)
    fired = [d for t in range(5) for d in growing.add(at(t, "an"))]
    assert [(d.id, d.count) for d in growing.add(at(0, "binh"))] == [(fired[0].id, 5)]
    assert growing.drain() == []


def test_a_group_beyond_its_bound_loses_its_oldest_entries_and_its_episode_keeps_the_count() -> None:
    running = engine(rule(timespan="1h"), max_group_events=100)
    for i in range(1_000):
        running.add(at(i))
    (grown,) = running.drain()
    assert running.size <= 100
    assert running.dropped["events"] == 1_000 - running.size
    assert (grown.count, grown.evidence[0], grown.evidence[-1]) == (1_000, "an@0", "an@999")


def test_a_threshold_beyond_the_bound_is_still_reached() -> None:
    running = engine(rule(timespan="1h", condition={"gte": 50}), max_group_events=10)
    assert [i for i in range(60) if running.add(at(i))] == [49]


def test_all_groups_together_are_bounded() -> None:
    running = engine(rule(timespan="1h"), max_events=50)
    for i in range(500):
        running.add(at(i, f"u{i % 20}"))
    assert running.size <= 50
    assert running.dropped["groups"] > 0


def test_what_no_window_can_hold_any_more_is_let_go() -> None:
    running = engine(rule(condition={"gte": 1000}))
    for i in range(20_000):
        running.add(at(i))
    assert running.size <= 2 * 31 + 8, "twice what timespan and lateness span"
    assert running.dropped == {"groups": 0, "events": 0}
    (timeline,) = running._groups.values()
    assert len(timeline.windows[0].known) == running.size


def test_conditions_that_wait_hold_no_more_than_is_unjudged() -> None:
    running = engine(rule(type="temporal", rules=["ra", "rb"], condition="ra and not rb"))
    for i in range(5_000):
        running.add(at(i))
        running.add(at(i + 0.5, rule_id="rb"))
        running.drain()
    (timeline,) = running._groups.values()
    (window,) = timeline.windows
    assert len(window.held) <= 31
    assert running.size <= 2 * 41 + 8
    assert len(running.snapshot()) < 20_000


def test_stretches_of_time_are_bounded_and_the_newest_is_kept() -> None:
    running = engine(rule())
    far = [at(0), at(1), *(at(-1_000 * n) for n in range(1, 20))]
    assert [d for each in far for d in running.add(each)] == []
    assert running.size <= MAX_WINDOWS + 1
    assert [d.count for d in running.add(at(2))] == [3]


# ---------------------------------------------------------------- snapshots


def test_a_snapshot_keeps_what_waits_what_grew_and_what_was_dropped() -> None:
    running = engine(rule("count"), rule("wait", condition={"lt": 9}), max_groups=3)
    for second, user in [(0, "binh"), (0, "an"), (1, "an"), (2, "an"), (3, "an")]:
        running.add(at(second, user))
    again = engine(rule("count"), rule("wait", condition={"lt": 9}), max_groups=3)
    again.restore(running.snapshot())
    assert again.dropped == running.dropped == {"groups": 1, "events": 0}
    assert (again.groups, again.size) == (running.groups, running.size)
    assert again.drain() == running.drain() != []
    assert again.close() == running.close() != []


def test_a_changed_correlation_begins_anew_and_the_others_go_on() -> None:
    running = engine(rule("same"), rule("changed"))
    for second in (0, 1):
        running.add(at(second))
    again = engine(rule("same"), rule("changed", timespan="11s"), rule("added"))
    again.restore(running.snapshot())
    assert [d.rule_id for d in again.add(at(2))] == ["same"]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b"\x80\x04N.",
        b'{"schema":99}',
        b'{"schema":1,"correlations":{"c":"?"},"changed":[],"dropped":{},"groups":[]}',
        b'{"schema":1,"correlations":{},"changed":[],"dropped":{"groups":0,"events":0},"groups":[[1]]}',
    ],
)
def test_what_is_no_snapshot_is_refused_and_leaves_nothing_behind(broken: bytes) -> None:
    running = engine(rule())
    running.add(at(0))
    with pytest.raises(ContentError, match="cannot be read"):
        running.restore(broken)
    assert (running.groups, running.size) == (0, 0)


def test_a_snapshot_with_parts_of_another_shape_is_refused() -> None:
    running = engine(rule())
    running.add(at(0))
    state = orjson.loads(running.snapshot())
    state["groups"][0][3][0]["ids"].append("one too many")
    with pytest.raises(ContentError):
        running.restore(orjson.dumps(state))


def test_values_that_json_cannot_hold_do_not_stop_a_snapshot() -> None:
    running = engine(rule())
    for second in (0, 1, 2):
        running.add(at(second, text="a\ud800b", big=2**70, inner={"x": ["\udfff", None, 1.5, True]}))
    again = engine(rule())
    again.restore(running.snapshot())
    again.add(at(3))
    assert [d.count for d in again.drain()] == [4]


def test_exact_numbers_survive_a_snapshot() -> None:
    c = rule(type="value_sum", condition={"field": "n", "gte": 1})
    running = engine(c)
    for i in range(5):
        running.add(at(i, n=0.1))
        running.add(at(i + 0.5, n=1.5e-300))
    again = engine(c)
    again.restore(running.snapshot())
    assert [i for i in range(5, 10) if again.add(at(i, n=0.1))] == [9]
