"""Suppression: what is one alert, and what redelivery, disorder and storms do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.alert.episodes import MAX_EVIDENCE, MAX_PARTS, Episodes
from soc.event import Detection

NOON = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hit(number: int, at: timedelta = timedelta(0), rule: str = "r") -> Detection:
    return Detection(
        rule_id=rule, title=rule, level="high", id=f"d{number}", timestamp=NOON + at, event_id=f"e{number}", fields={}
    )


def episodes(quiet: timedelta = HOUR, max_episodes: int = 100) -> Episodes:
    return Episodes(lambda rule: quiet, max_episodes)


def facts(made: Episodes) -> list[tuple[str, int, str, str]]:
    return sorted(
        (str(row["entity"]), row["folded"] + sum(row["parts"].values()), row["first"], row["last"])
        for row in made.snapshot()
    )


def test_hits_of_one_entity_within_the_quiet_time_are_one_alert_with_a_count() -> None:
    made = episodes()
    changes = made.add([(hit(n, n * timedelta(minutes=50)), "u", {"host.name": "a"}) for n in range(5)])
    assert [(c.began, c.episode.count) for c in changes] == [(True, 5)]


def test_another_entity_unit_or_rule_is_another_alert() -> None:
    made = episodes()
    changes = made.add(
        [
            (hit(1), "u", {"host.name": "a"}),
            (hit(2), "u", {"host.name": "b"}),
            (hit(3), "v", {"host.name": "a"}),
            (hit(4, rule="s"), "u", {"host.name": "a"}),
        ]
    )
    assert len({c.episode.alert_id for c in changes}) == 4


def test_after_the_quiet_time_the_same_thing_is_a_new_alert() -> None:
    made = episodes()
    first = made.add([(hit(1), "u", {})])
    second = made.add([(hit(2, timedelta(minutes=61)), "u", {})])
    assert second[0].began and second[0].episode.alert_id != first[0].episode.alert_id


def test_what_never_stops_is_a_new_alert_each_day() -> None:
    made = episodes()
    changes = made.add([(hit(n, n * timedelta(minutes=30)), "u", {}) for n in range(49 * 2)])
    assert [c.episode.count for c in changes] == [49, 49]


def test_a_redelivered_hit_changes_nothing() -> None:
    made = episodes()
    made.add([(hit(1), "u", {}), (hit(2), "u", {})])
    assert made.add([(hit(1), "u", {}), (hit(2), "u", {})]) == []
    assert facts(made)[0][1] == 2


def test_a_correlation_that_grows_replaces_its_own_count() -> None:
    made = episodes()
    grown = [
        replace(hit(1), kind="correlation", count=n, first=NOON, last=NOON + n * timedelta(seconds=1))
        for n in (10, 25, 25, 17)
    ]
    for detection in grown:
        made.add([(detection, "u", {"source.ip": "203.0.113.5"})])
    assert facts(made) == [
        ("(('source.ip', '203.0.113.5'),)", 25, "2026-03-02T05:00:00.000000Z", "2026-03-02T05:00:25.000000Z")
    ]


def test_a_correlation_that_continues_another_is_not_counted_twice() -> None:
    made = episodes()
    early, late = replace(hit(1), kind="correlation", count=5), replace(hit(2), kind="correlation", count=6)
    made.add([(early, "u", {}), (late, "u", {})])
    made.add([(replace(late, count=0), "u", {}), (replace(early, count=11), "u", {})])
    assert facts(made)[0][1] == 11


def test_a_storm_is_counted_exactly_in_bounded_memory() -> None:
    made = episodes()
    for start in range(0, 20_000, 1000):
        made.add([(hit(n, timedelta(milliseconds=n)), "u", {}) for n in range(start, start + 1000)])
    (row,) = made.snapshot()
    assert row["folded"] + sum(row["parts"].values()) == 20_000
    assert len(row["parts"]) <= MAX_PARTS and len(row["evidence"]) == MAX_EVIDENCE


def test_the_least_recently_extended_episode_ends_when_there_are_too_many() -> None:
    made = episodes(max_episodes=2)
    for number, host in enumerate("abac"):
        made.add([(hit(number), "u", {"host.name": host})])
    assert {str(row["entity"]) for row in made.snapshot()} == {"(('host.name', 'a'),)", "(('host.name', 'c'),)"}


steps = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300), st.sampled_from("ab")), max_size=30)


@settings(max_examples=100)
@given(steps, st.integers(0, 30))
def test_restoring_a_snapshot_anywhere_goes_on_as_if_nothing_had_happened(
    moves: list[tuple[int, int, str]], cut: int
) -> None:
    rows = [(hit(n, timedelta(minutes=m), rule=f"r{r}"), "u", {"host.name": h}) for n, (r, m, h) in enumerate(moves)]
    whole, halves = episodes(), episodes()
    for row in rows:
        whole.add([row])
    for row in rows[:cut]:
        halves.add([row])
    resumed = episodes()
    resumed.restore(orjson.loads(orjson.dumps(halves.snapshot())))
    for row in rows[max(0, cut - 3) :]:  # and the last ones come again
        resumed.add([row])
    assert facts(resumed) == facts(whole)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 240), min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_within_the_quiet_time_the_order_of_arrival_does_not_matter(seconds: list[int], random: object) -> None:
    rows = [(hit(n, timedelta(seconds=s)), "u", {}) for n, s in enumerate(seconds)]
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    straight, mixed = episodes(), episodes()
    straight.add(rows)
    mixed.add(shuffled)
    assert facts(straight) == facts(mixed)
