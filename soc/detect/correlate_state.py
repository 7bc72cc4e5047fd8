"""Snapshot of a correlator: its groups → JSON bytes, and back. No pickle; what does not fit is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import orjson

from soc.detect.fold import plain
from soc.detect.grouping import Group, Plan
from soc.detect.measure import NEVER, Presence
from soc.detect.timeline import Timeline
from soc.detect.window import Change, Episode, Merge, Window

SCHEMA: Final = 1
_INT64: Final = 1 << 63
Key = tuple[str, Group]


def encoded(
    versions: Mapping[str, str],
    groups: Mapping[Key, Timeline],
    changes: Sequence[Change],
    dropped: Mapping[str, int],
) -> bytes:
    """`versions` is correlation id → content hash; groups in order of last activity; changes not told yet, in order."""
    body = {
        "schema": SCHEMA,
        "correlations": versions,
        "dropped": dropped,
        "changed": [episode.id for _, episode in changes if episode.changed and not episode.withdrawn],
        "groups": [[cid, group, t.newest, [_window(w) for w in t.windows]] for (cid, group), t in groups.items()],
    }
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate or an integer beyond 64 bit in an event's fields
        return orjson.dumps(_writable(body))


def decoded(
    data: bytes, plans: Mapping[str, Plan], changes: list[Change], merges: list[Merge]
) -> tuple[dict[Key, Timeline], dict[str, int]]:
    """The groups of correlations that are the same still, and the counts of what was dropped.

    Raises ValueError, KeyError, TypeError or IndexError for bytes that `encoded` did not write.
    """
    body = orjson.loads(data)
    if body["schema"] != SCHEMA:
        raise ValueError(f"schema {body['schema']!r}, expected {SCHEMA}")
    groups: dict[Key, Timeline] = {}
    for cid, group, newest, windows in body["groups"]:
        plan = plans.get(cid)
        if plan is None or plan.correlation.version != body["correlations"][cid]:
            continue
        timeline = groups[cid, tuple(group)] = Timeline(plan, tuple(group), changes, merges)
        timeline.newest = newest
        for state in windows:
            _fill(timeline.begin(), state, changes)
    order = {episode_id: at for at, episode_id in enumerate(body["changed"])}
    changes.sort(key=lambda change: order[change[1].id])
    return groups, {"groups": int(body["dropped"]["groups"]), "events": int(body["dropped"]["events"])}


def _window(window: Window) -> dict[str, Any]:
    return {
        "newest": window.newest,
        "judged": window.judged,
        "cut": window.next_cut,
        "times": window.times,
        "ids": window.ids,
        "items": [str(item) for item in window.items] if window.plan.numeric else window.items,
        "absent": [[rule, times] for rule, times in _absences(window)],
        "held": window.held,
        "episodes": [_episode(episode) for episode in window.episodes],
    }


def _absences(window: Window) -> Iterator[tuple[int, list[int]]]:
    if isinstance(window.measure, Presence):
        for rule, times in enumerate(window.measure.seen):
            if window.plan.shunned >> rule & 1:
                yield rule, times


def _episode(e: Episode) -> list[Any]:
    return [e.id, e.start, e.first, e.last, e.fields, e.late, e.gone, e.head, e.tail, e.changed]


def _fill(window: Window, state: Mapping[str, Any], changes: list[Change]) -> None:
    plan = window.plan
    for time, event_id, item in zip(state["times"], state["ids"], state["items"], strict=True):
        window.times.append(time)
        window.ids.append(event_id)
        window.items.append(_item(plan, item))
        window.known[event_id] = item if plan.temporal else 0
        window.measure.insert(len(window.times) - 1)
    for rule, times in state["absent"]:
        if not isinstance(window.measure, Presence):
            raise ValueError("absences of a correlation that knows none")
        window.measure.seen[rule].extend(times)
    window.newest, window.judged, window.next_cut = state["newest"], state["judged"], state["cut"]
    window.held.update(state["held"])
    for facts in state["episodes"]:
        episode = Episode(*facts)
        window.episodes.append(episode)
        if episode.changed:
            changes.append((window, episode))


def _item(plan: Plan, item: Any) -> Any:
    if plan.numeric:
        number = Fraction(item)
        return number.numerator if number.denominator == 1 else number
    return tuple(item) if isinstance(item, list) else item


def _writable(value: Any) -> Any:
    """The value with surrogates replaced and great integers as text, so that JSON can hold it."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, int) and not -_INT64 <= value < 2 * _INT64:
        return str(value)
    if isinstance(value, Mapping):
        return {plain(str(key)): _writable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


assert -_INT64 < NEVER
