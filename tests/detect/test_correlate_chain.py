"""Correlations that feed correlations: episodes are told, and count as events of the next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from soc.detect.correlate import Correlator, correlated
from soc.detect.correlation import Correlation, parse_correlation
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


def span(d: Detection) -> tuple[float, float, int]:
    assert d.first is not None and d.last is not None
    return (d.first - START).total_seconds(), (d.last - START).total_seconds(), d.count


def test_many_failures_then_a_success() -> None:
    many = rule("many", rules=["failure"], group_by=["User", "Host"])
    then = rule("then", type="temporal_ordered", rules=["many", "success"], group_by=["User"], timespan="1m")
    failures = [at(t, "failure", Host="srv") for t in range(5)]
    found = correlated(engine(then, many), [*failures, at(30, "success")])
    assert [(d.rule_id, d.group, *span(d)[1:]) for d in found][-1] == ("then", {"User": "an"}, 30, 4)
    assert [d.rule_id for d in correlated(engine(then, many), [at(0, "success"), *failures])] == ["many"]


def test_a_long_episode_is_present_until_it_ends() -> None:
    many = rule("many", rules=["failure"])
    then = rule("then", type="temporal_ordered", rules=["many", "success"], timespan="20s")
    failures = [at(t, "failure") for t in range(0, 600, 2)]
    found = correlated(engine(many, then), [*failures, at(605, "success")])
    assert "then" in [d.rule_id for d in found]


def test_episodes_count_once_however_often_they_grow() -> None:
    many = rule("many", rules=["failure"])
    twice = rule("twice", rules=["many"], condition={"gte": 2}, timespan="10m")
    one = [at(t, "failure") for t in range(8)]
    two = [at(t, "failure") for t in range(100, 108)]
    assert [d.rule_id for d in correlated(engine(many, twice), one)] == ["many"]
    found = correlated(engine(many, twice), one + two)
    assert [d.rule_id for d in found] == ["many", "many", "twice"]
    assert found[2].evidence == (found[0].id, found[1].id)


def test_a_chain_reads_fields_by_the_mapping_of_the_rules_below() -> None:
    many = rule("many", rules=["failure"], group_by=[])
    users = rule("users", type="value_count", rules=["many"], group_by=[], condition={"field": "User", "gte": 1})
    running = engine(many, users, fields=lambda r, name: ("user.name",) if (r, name) == ("failure", "User") else ())
    failures = [at(t, "failure", User=None, **{"user.name": "an"}) for t in range(3)]
    assert [d.rule_id for d in correlated(running, failures)] == ["many", "users"]


def test_a_chain_waits_for_what_waits_below_it() -> None:
    lone = rule("lone", type="temporal", rules=["ra", "rb"], condition="ra and not rb")
    then = rule("then", type="temporal", rules=["rc", "lone"], condition="rc and not lone")
    assert [d.rule_id for d in correlated(engine(lone, then), [at(0, "ra"), at(1, "rc")])] == ["lone"]
    assert [d.rule_id for d in correlated(engine(lone, then), [at(0, "ra"), at(1, "rb"), at(1, "rc")])] == ["then"]
    running = engine(lone, then)
    told = [d.rule_id for t in range(0, 200, 5) for d in feed(running, at(t, "rc")) + feed(running, at(t, "ra"))]
    assert "then" not in told


def feed(running: Correlator, detection: Detection) -> list[Detection]:
    """What the workers do: everything told goes back in."""
    found = running.add(detection) + running.drain()
    return found + [later for d in found for later in feed(running, d)]
