"""One stretch of one group's time: entries in any order in; episodes that fired, grew or merged out.

An episode is a chain of event times at which the condition holds, each at most a timespan after the one before; its
events are all those from `first` (the oldest in the first such window) to `last`. A condition that more events can
only make true is judged when an event arrives; any other when nothing within the lateness can change it any more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from soc.detect.grouping import Group, Plan
from soc.detect.measure import NEVER, Item, Presence, measure_of
from soc.event import digest

#: Event ids of an episode that its detection names: so many of the first, so many of the newest.
EVIDENCE: Final = 50
#: Events whose fields are kept until they are judged (conditions that wait for the lateness).
_MAX_HELD: Final = 1_000
#: A window is looked through for spent entries when it has doubled, and not before it has so many.
_MIN_CUT: Final = 8
_NO_ENTRY: Final[Sequence[Episode]] = ()


@dataclass(slots=True, eq=False)
class Episode:
    """Times in µs. `start` and `last` are the first and last time at which the condition held.

    `gone` entries have left the window; `head` and `tail` are the first and the newest ids of them. `fields` are the
    latest event's in hand. `changed` until the episode has been told; `withdrawn` when another one took it up.
    """

    id: str
    start: int
    first: int
    last: int
    fields: Mapping[str, Any]
    late: bool = False
    gone: int = 0
    head: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)
    changed: bool = False
    withdrawn: bool = False

    def leave(self, ids: list[str]) -> None:
        """Entries, in order, that leave the window."""
        self.gone += len(ids)
        if len(self.head) < EVIDENCE:
            self.head += ids[: EVIDENCE - len(self.head)]
        self.tail = (self.tail + ids[-EVIDENCE:])[-EVIDENCE:]

    def left(self) -> list[str]:
        """Ids known of those that left: all of up to 100, else the first and the newest."""
        rest = self.gone - len(self.head)
        return self.head + (self.tail[-rest:] if rest > 0 else [])


class Window:
    """Entries sorted by (time, id), the measure over them, and the episodes that can still grow.

    Changed episodes are appended to `changes`, those taken up by another one to `merges` (absorbed, survivor).
    """

    def __init__(self, plan: Plan, group: Group, changes: list[Change], merges: list[Merge]) -> None:
        self.plan, self.group = plan, group
        self.times: list[int] = []
        self.ids: list[str] = []
        self.items: list[Item] = []
        self.measure = measure_of(plan.correlation, plan.span, self.times, self.items)
        self.known: dict[str, int] = {}  # id → bits of the rules that found it (0 unless temporal)
        self.newest = NEVER
        self.judged = NEVER  # all event times up to here are judged (conditions that wait)
        self.held: dict[str, Mapping[str, Any]] = {}
        self.episodes: list[Episode] = []
        self.next_cut = min(_MIN_CUT, plan.limit + 1)
        self._changes, self._merges = changes, merges

    def add(self, time: int, event_id: str, item: Item, fields: Mapping[str, Any], late: bool) -> Sequence[Episode]:
        """The episodes that this event fires. An id that is known already changes nothing (temporal: per rule)."""
        plan = self.plan
        if plan.shunned and item & plan.shunned:
            return self._shun(time, item)
        known = self.known.get(event_id)
        if known is not None:
            return self._again(time, event_id, item, fields, late) if plan.temporal else _NO_ENTRY
        times = self.times
        size = len(times)
        if not size or time > times[-1] or (time == times[-1] and event_id > self.ids[-1]):
            at = size
            times.append(time)
            self.ids.append(event_id)
            self.items.append(item)
        else:
            low = bisect_left(times, time)
            at = bisect_left(self.ids, event_id, low, bisect_right(times, time, low))
            times.insert(at, time)
            self.ids.insert(at, event_id)
            self.items.insert(at, item)
        self.known[event_id] = item if plan.temporal else 0
        self.measure.insert(at)
        if self.episodes and time <= self.episodes[-1].last:
            self._touch(time, late)
        if not plan.rising:
            return self._wait(time, event_id, fields, late)
        self.newest = times[-1]
        if at == size:
            return self._true(time, time, event_id, fields, late) if self.measure.holds(at) else _NO_ENTRY
        if not self.measure.possible(at):
            return _NO_ENTRY
        return self._reconsider(time, event_id, fields, late)

    def _again(self, time: int, event_id: str, item: Item, fields: Mapping[str, Any], late: bool) -> Sequence[Episode]:
        """Another rule found an event that is here already."""
        low = bisect_left(self.times, time)
        at = bisect_left(self.ids, event_id, low, bisect_right(self.times, time, low))
        if self.known[event_id] & item or at == len(self.ids) or self.ids[at] != event_id:
            return _NO_ENTRY
        self.known[event_id] |= item
        self.items[at] |= item
        self.measure.also(at, item)
        if not self.plan.rising:
            return self._wait(time, event_id, fields, late)
        return self._reconsider(time, event_id, fields, late)

    def _shun(self, time: int, bits: int) -> Sequence[Episode]:
        """A rule that must be absent: remembered, never counted."""
        assert isinstance(self.measure, Presence)
        seen = self.measure.seen[bits.bit_length() - 1]
        at = bisect_left(seen, time)
        if at == len(seen) or seen[at] != time:
            insort(seen, time)
        if len(seen) > self.plan.limit:
            del seen[: len(seen) // 4]
        self.newest = max(self.newest, time)
        return self.judge(self.newest - self.plan.lateness - self.plan.ahead)

    # ------------------------------------------------------------ judging

    def _reconsider(self, time: int, event_id: str, fields: Mapping[str, Any], late: bool) -> Sequence[Episode]:
        """An event came out of order: look at the windows that hold it, from both ends, until one is true."""
        times = self.times
        inside = next((e for e in self.episodes if e.start <= time <= e.last), None)
        floor = time if inside is None else inside.last + 1
        top = bisect_right(times, time + self.plan.span) - 1
        while top >= 0 and times[top] >= floor and not self.measure.holds(top):
            top = bisect_left(times, times[top]) - 1
        if top < 0 or times[top] < floor:
            return _NO_ENTRY
        if inside is not None:
            return self._true(inside.last, times[top], event_id, fields, late)
        bottom = bisect_right(times, time) - 1
        while not self.measure.holds(bottom):
            bottom = bisect_right(times, times[bottom + 1]) - 1
        return self._true(times[bottom], times[top], event_id, fields, late)

    def _wait(self, time: int, event_id: str, fields: Mapping[str, Any], late: bool) -> Sequence[Episode]:
        """A condition that more events could undo: judged later, or alone if its time has been judged already."""
        self.newest = max(self.newest, time)
        if time <= self.judged:
            holds = self.measure.holds(bisect_right(self.times, time) - 1)
            return self._true(time, time, event_id, fields, late) if holds else _NO_ENTRY
        if len(self.held) < _MAX_HELD:
            self.held[event_id] = fields
        return self.judge(self.newest - self.plan.lateness - self.plan.ahead)

    def judge(self, limit: int) -> Sequence[Episode]:
        """Judge all event times before the limit: nothing that could change them is still to come."""
        if limit - 1 <= self.judged:
            return _NO_ENTRY
        fired: list[Episode] = []
        at = bisect_right(self.times, self.judged)
        while at < len(self.times) and self.times[at] < limit:
            time = self.times[at]
            end = bisect_right(self.times, time, at)
            if self.measure.holds(end - 1):
                event_id = self.ids[end - 1]
                fields = self.held.get(event_id) or next(reversed(self.held.values()), {})
                fired += self._true(time, time, event_id, fields, False)
            for event_id in self.ids[at:end]:
                self.held.pop(event_id, None)
            at = end
        self.judged = limit - 1
        return fired

    def judge_all(self) -> Sequence[Episode]:
        """Judge everything: nothing is still to come."""
        return _NO_ENTRY if self.plan.rising else self.judge(self.newest + 1)

    def waiting(self) -> bool:
        """Whether an event time has not been judged."""
        return not self.plan.rising and bool(self.times) and self.times[-1] > self.judged

    # ------------------------------------------------------------ episodes

    def _touch(self, time: int, late: bool) -> None:
        """An entry came to stand inside episodes or in their first window."""
        for episode in self.episodes:
            if episode.start - self.plan.span <= time <= episode.last:
                episode.first = min(episode.first, time)
                episode.late |= late
                self._change(episode)

    def _change(self, episode: Episode) -> None:
        if not episode.changed:
            episode.changed = True
            self._changes.append((self, episode))

    def _true(self, low: int, high: int, event_id: str, fields: Mapping[str, Any], late: bool) -> Sequence[Episode]:
        """The condition holds at low and at high (no further apart than a timespan), by the event in hand."""
        span = self.plan.span
        joined = [e for e in self.episodes if e.last >= low - span and e.start <= high + span]
        if not joined:
            correlation = self.plan.correlation
            made = Episode(
                digest(correlation.id, correlation.version, *self.group, event_id), low, 0, high, fields, late
            )
            made.first = self._oldest(low)
            insort(self.episodes, made, key=lambda e: e.start)
            self._change(made)
            return [made]
        episode = joined[0]
        for other in joined[1:]:
            self._absorb(episode, other)
        if low < episode.start:
            episode.start = low
            episode.first = min(episode.first, self._oldest(low))
        if high >= episode.last:
            episode.last, episode.fields = high, fields
        episode.late |= late
        self._change(episode)
        return _NO_ENTRY

    def _oldest(self, time: int) -> int:
        return self.times[bisect_left(self.times, time - self.plan.span)]

    def _absorb(self, episode: Episode, other: Episode) -> None:
        """An event bridged two episodes: the earlier one goes on, the other is withdrawn."""
        self.episodes.remove(other)
        episode.last, episode.fields = other.last, other.fields
        episode.late |= other.late
        rest = other.left()
        other_gone = other.gone
        episode.leave(rest)
        episode.gone += other_gone - len(rest)
        self._merges.append((self, other.id, episode))
        other.withdrawn = True

    def told(self, episode: Episode) -> tuple[int, tuple[str, ...]]:
        """Count and evidence (event ids by time: all of up to 100, else the first 50 and the newest 50)."""
        low, high = bisect_left(self.times, episode.first), bisect_right(self.times, episode.last)
        ids = episode.left() + self.ids[low:high]
        if len(ids) > 2 * EVIDENCE:
            ids = ids[:EVIDENCE] + ids[-EVIDENCE:]
        return episode.gone + high - low, tuple(ids)

    # ------------------------------------------------------------ bounds

    def trim(self) -> tuple[Sequence[Episode], int]:
        """Let go of entries that no window within the lateness can hold, and of the oldest beyond the limit.

        Returns the episodes fired by judging what had to go, and how many entries went although still needed.
        """
        plan, times = self.plan, self.times
        if len(times) < self.next_cut:
            return _NO_ENTRY, 0
        horizon = self.newest - plan.reach
        spent = bisect_left(times, horizon)
        n = max(spent, len(times) - plan.limit * 3 // 4) if len(times) > plan.limit else spent
        fired: Sequence[Episode] = _NO_ENTRY
        if n:
            if not plan.rising:
                fired = self.judge(times[n - 1] + 1)
            self._cut(n)
        if isinstance(self.measure, Presence):
            for rule, seen in enumerate(self.measure.seen):
                if plan.shunned >> rule & 1:
                    del seen[: bisect_left(seen, horizon)]
        self.episodes[:] = [e for e in self.episodes if e.last >= horizon - plan.span]
        self.next_cut = min(max(_MIN_CUT, 2 * len(times)), plan.limit + 1)
        return fired, n - spent

    def _cut(self, n: int) -> None:
        for episode in self.episodes:
            low = bisect_left(self.times, episode.first, 0, n)
            high = bisect_right(self.times, episode.last, 0, n)
            if low < high:
                episode.leave(self.ids[low:high])
        self.measure.cut(n)
        for event_id in self.ids[:n]:
            del self.known[event_id]
            self.held.pop(event_id, None)
        del self.times[:n], self.ids[:n], self.items[:n]


Change = tuple[Window, Episode]
#: The window, the id of the episode that is no more, the one that holds its events now.
Merge = tuple[Window, str, Episode]
