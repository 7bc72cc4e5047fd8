"""The correlator against a slow oracle that recomputes everything from the sorted list of all events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import combinations, product
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.detect.correlate import Correlator
from soc.detect.correlation import Correlation, parse_correlation
from soc.event import Detection

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
LATENESS_S = 20
COMPARES = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}


class Seen(NamedTuple):
    """An event as one rule found it; `at` in seconds, `delay` until it arrives."""

    rule: str
    event: str
    at: int
    delay: int
    user: str | None
    value: str | None


# ---------------------------------------------------------------- rules and events


@st.composite
def correlations(draw: st.DrawFn) -> Correlation:
    kind = draw(
        st.sampled_from(
            ["event_count", "value_count", "temporal", "temporal_ordered"] * 3
            + ["value_sum", "value_avg", "value_percentile", "value_median"]
        )
    )
    rules = ["ra", "rb", "rc"][: draw(st.integers(2, 3) if kind.startswith("temporal") else st.integers(1, 2))]
    section: dict[str, Any] = {
        "type": kind,
        "rules": rules,
        "group-by": draw(st.sampled_from([["user"], []])),
        "timespan": f"{draw(st.integers(1, 15))}s",
    }
    if kind.startswith("temporal"):
        texts = ["ra and rb", "ra and not rb", "not ra and rb", "(ra and not rb) or (rb and not ra)"]
        more = ["ra and rb and not rc", "ra and (rb or rc)", "ra and not rb and rc", "not ra and rb and rc"]
        forms = texts if len(rules) == 2 else more
        condition = draw(st.none() | st.sampled_from(forms) | comparisons(1, len(rules)))
        if condition is not None:
            section["condition"] = condition
    elif kind == "event_count":
        section["condition"] = draw(comparisons(1, 6))
    else:
        section["condition"] = {"field": "value", **draw(comparisons(1, 5 if kind == "value_count" else 12))}
        if kind == "value_percentile":
            section["condition"]["percentile"] = draw(st.sampled_from([0, 10, 33.3, 50, 95, 100]))
    return parse_correlation({"title": "t", "id": "c", "correlation": section}, Path("c.yml"), 1, "")


def comparisons(low: int, high: int) -> st.SearchStrategy[dict[str, float]]:
    number = st.integers(low, high)
    one = st.builds(
        lambda op, n: {op: n}, st.sampled_from(["gte", "gte", "gte", "gt", "lt", "lte", "eq", "neq"]), number
    )
    return one.filter(lambda c: c != {"gt": high}) | number.map(lambda n: {"gte": n, "lt": n + 1.5})


def crowd(seed: int) -> list[Seen]:
    """Many events of few groups in a short time: lists that Hypothesis draws itself stay thin."""
    dice = Random(seed)
    length = dice.choice([30, 60, 60, 90, 400])
    disorder = dice.choice([0, 0.2, 0.5, 1])
    rules = dice.choices(["ra", "rb", "rc"], [1, dice.random(), dice.random()], k=dice.choice([3, 8, 15, 25, 35, 45]))
    return [
        Seen(
            rule,
            f"e{dice.randint(0, 60)}",
            dice.randint(0, length),
            dice.randint(0, LATENESS_S) if dice.random() < disorder else 0,
            dice.choice(["an", "an", "an", "an", "binh", None]),
            dice.choice(["1", "1", "2", "3.5", "0.1", "7", "x", None]),
        )
        for rule in rules
    ]


events = st.integers(0, 2**64 - 1).map(lambda seed: consistent(crowd(seed)))


def consistent(found: list[Seen]) -> list[Seen]:
    """One event has one time, user and value, whichever rules find it."""
    facts: dict[str, Seen] = {}
    for seen in found:
        facts.setdefault(seen.event, seen)
    return [s._replace(at=facts[s.event].at, user=facts[s.event].user, value=facts[s.event].value) for s in found]


def arrival(found: Iterable[Seen]) -> list[Seen]:
    """In the order of arrival: nothing comes later than the lateness after a newer one."""
    return sorted(found, key=lambda s: s.at + s.delay)


def detection(seen: Seen) -> Detection:
    fields = {name: value for name, value in (("user", seen.user), ("value", seen.value)) if value is not None}
    return Detection(
        rule_id=seen.rule,
        title="",
        level="low",
        id=f"{seen.rule}-{seen.event}",
        timestamp=START + timedelta(seconds=seen.at),
        event_id=seen.event,
        fields=fields,
    )


# ---------------------------------------------------------------- oracle

Found = tuple[tuple[str, ...], int, int, int, tuple[str, ...]]  # group, first, last, count, evidence


def oracle(c: Correlation, found: Sequence[Seen]) -> set[Found]:
    groups: dict[tuple[str, ...], list[Seen]] = defaultdict(list)
    for seen in found:
        if seen.rule in c.rules and (seen.user is not None or not c.group_by):
            groups[(seen.user,) if c.group_by and seen.user else ()].append(seen)
    return {(group, *episode) for group, own in groups.items() for episode in group_episodes(c, own)}


def group_episodes(c: Correlation, found: list[Seen]) -> list[tuple[int, int, int, tuple[str, ...]]]:
    span = int(c.timespan.total_seconds())
    if c.condition.fields:
        numeric = c.type != "value_count"
        found = [s for s in found if s.value is not None and not (numeric and s.value == "x")]
    terms = c.condition.alternatives
    asked = {rule for term in terms for rule in term.present} or set(c.rules)
    entries = sorted({(s.at, s.event) for s in found if s.rule in asked})
    true = [t for t in sorted({at for at, _ in entries}) if condition_holds(c, found, t, span)]
    runs: list[list[int]] = []
    for t in true:
        if runs and t - runs[-1][-1] <= span:
            runs[-1].append(t)
        else:
            runs.append([t])
    episodes = []
    for run in runs:
        inside = [(at, event) for at, event in entries if run[0] - span <= at <= run[-1]]
        ids = [event for _, event in inside]
        episodes.append((inside[0][0], run[-1], len(inside), tuple(ids)))
    return episodes


def condition_holds(c: Correlation, found: list[Seen], t: int, span: int) -> bool:
    window = [s for s in found if t - span <= s.at <= t]
    if not c.condition.alternatives:
        number = measured(c, window)
        return all(COMPARES[op](number, Fraction(str(bound))) for op, bound in c.condition.compare)
    ordered = c.type == "temporal_ordered"
    for term in c.condition.alternatives:
        if longest(term.present, window, ordered) < len(term.present):
            continue
        if not term.absent:
            return True
        completing = term.present[-1:] if ordered else term.present
        if not any(s.rule in completing and s.at == t for s in window):
            continue
        disturbed = False
        for rule in term.absent:
            after = c.rules.index(rule) > c.rules.index(term.present[-1])
            low = t if ordered and after else t - span
            high = t if ordered and not after else t + span
            disturbed |= any(s.rule == rule and low <= s.at <= high for s in found)
        if not disturbed:
            return True
    return False


def longest(rules: Sequence[str], window: list[Seen], ordered: bool) -> int:
    """The most of the rules, in their order if it matters, that have events at times that do not fall."""
    times = [[s.at for s in window if s.rule == rule] for rule in rules]
    for size in range(len(rules), 0, -1):
        for some in combinations(times, size):
            if any(not ordered or list(chosen) == sorted(chosen) for chosen in product(*some)):
                return size
    return 0


def measured(c: Correlation, window: list[Seen]) -> Fraction:
    if c.type.startswith("temporal"):
        return Fraction(longest(c.rules, window, c.type == "temporal_ordered"))
    by_event = {s.event: s.value for s in window}
    if c.type == "event_count":
        return Fraction(len(by_event))
    if c.type == "value_count":
        return Fraction(len(set(by_event.values())))
    values = sorted(Fraction(v) for v in by_event.values() if v is not None)
    if c.type == "value_sum":
        return sum(values, Fraction(0))
    if c.type == "value_avg":
        return sum(values, Fraction(0)) / len(values)
    percent = Fraction(50) if c.type == "value_median" else Fraction(str(c.condition.percentile))
    rank = percent * (len(values) - 1) / 100
    low = int(rank)
    high = min(low + 1, len(values) - 1)
    return values[low] * (1 - (rank - low)) + values[high] * (rank - low)


# ---------------------------------------------------------------- properties


def correlator(c: Correlation) -> Correlator:
    return Correlator([c], lateness=timedelta(seconds=LATENESS_S))


def final(c: Correlation, told: Iterable[Detection]) -> set[Found]:
    """What stands after everything was told: the newest form of each id that was not withdrawn."""
    newest = {d.id: d for d in told}
    found: set[Found] = set()
    for d in newest.values():
        if d.count:
            assert d.first is not None and d.last is not None and d.timestamp == d.last
            first, last = (int((m - START).total_seconds()) for m in (d.first, d.last))
            found.add((tuple(d.group[name] for name in c.group_by), first, last, d.count, d.evidence))
    return found


def run(engine: Correlator, found: Sequence[Seen], batch: int) -> list[Detection]:
    told: list[Detection] = []
    for i, seen in enumerate(found):
        told += engine.add(detection(seen))
        if i % batch == batch - 1:
            told += engine.drain()
    return told + engine.close() + engine.drain()


@given(correlations(), events, st.integers(1, 8), st.lists(st.integers(0, 39), max_size=6))
@settings(max_examples=2500)
def test_any_order_within_the_lateness_gives_the_episodes_of_the_oracle(
    c: Correlation, found: list[Seen], batch: int, again: list[int]
) -> None:
    redelivered = [found[i]._replace(delay=LATENESS_S) for i in again if i < len(found)]
    assert oracle(c, found) == final(c, run(correlator(c), arrival(found + redelivered), batch))


@given(correlations(), events)
@settings(max_examples=150)
def test_the_same_order_gives_the_same_detections_and_one_id_never_names_two_episodes(
    c: Correlation, found: list[Seen]
) -> None:
    told = run(correlator(c), arrival(found), 1)
    assert told == run(correlator(c), arrival(found), 1)
    seen: dict[str, Detection] = {}
    for d in told:
        before = seen.get(d.id, d)
        assert before.count > 0, "told after it was withdrawn"
        assert not d.count or (d.count >= before.count and d.first <= before.first and d.last >= before.last)  # type: ignore[operator]
        seen[d.id] = d


@given(correlations(), events, st.integers(1, 5), st.sets(st.integers(0, 40), max_size=4))
@settings(max_examples=300)
def test_a_snapshot_restored_at_any_point_changes_nothing(
    c: Correlation, found: list[Seen], batch: int, stops: set[int]
) -> None:
    told: list[Detection] = []
    engine = correlator(c)
    ordered = arrival(found)
    for i, seen in enumerate(ordered):
        if i in stops:
            state, engine = engine.snapshot(), correlator(c)
            engine.restore(state)
            assert state == engine.snapshot()
        told += engine.add(detection(seen))
        if i % batch == batch - 1:
            told += engine.drain()
    told += engine.close() + engine.drain()
    assert run(correlator(c), ordered, batch) == told


@given(correlations(), events, st.integers(1, 4), st.integers(2, 40), st.integers(2, 40))
@settings(max_examples=200)
def test_no_bound_is_exceeded_and_what_is_left_out_is_counted(
    c: Correlation, found: list[Seen], groups: int, total: int, own: int
) -> None:
    engine = Correlator(
        [c],
        lateness=timedelta(seconds=LATENESS_S),
        max_groups=groups,
        max_events=total,
        max_group_events=own,
    )
    told: list[Detection] = []
    for seen in arrival(found):
        told += engine.add(detection(seen)) + engine.drain()
        assert engine.groups <= groups
        assert engine.size <= total or engine.groups == 1
        assert engine.size == sum(t.size() for t in engine._groups.values())
    told += engine.close() + engine.drain()
    if not any(engine.dropped.values()):
        assert oracle(c, found) == final(c, told)
