"""Correlation: detections in any order in; episodes (detections of kind "correlation") out, in event time.

What we decide where Sigma is silent:

- Windows slide: at an event of time τ the window is [τ - timespan, τ], both ends included. A condition is judged at
  event times only, so nothing fires for a group without events.
- An *episode* fires once when the condition becomes true and goes on (same id, more events, later last) at every
  event where it is true again at most a timespan after it last was; after that it may fire anew.
- A condition that more events can only make true (`gt`, `gte`, all rules of a temporal one) is judged as events
  arrive. Any other (`lt`, `lte`, `eq`, `neq`, ranges, averages, percentiles, `not`) is judged once the group's newest
  event is more than the lateness ahead, or `close` says that nothing is still to come.
- `ra and not rb`, temporal: no rb from a timespan before to a timespan after the event of ra. temporal_ordered: none
  in the timespan after it where rb stands behind ra in the list, none in the timespan before it where it stands ahead.
- An event that several of the rules find counts once (temporal: it serves each of them). A correlation that feeds
  another is, for temporal, an event each time it is told, and one event per episode for counts.
- Within the lateness the set of episodes does not depend on the order of arrival. An episode that is found to be the
  continuation of an earlier one is withdrawn: it is told once more with count 0 and the survivor's id in
  fields[telling.MERGED_INTO]. Older events are counted with what is still kept around their own time, and marked late.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from soc.detect import correlate_state
from soc.detect.correlation import Correlation, chained
from soc.detect.grouping import FieldNames, Group, Plan, key_of
from soc.detect.telling import MICROSECOND, micros, told, withdrawn
from soc.detect.timeline import Timeline
from soc.detect.window import Change, Episode, Merge, Window
from soc.event import ContentError, Detection

LATENESS: Final = timedelta(minutes=5)
#: Bounds of one Correlator, so of one partition. Measured: 200 to 500 bytes an entry, 1.5 to 2.6 kB a group.
MAX_GROUPS: Final = 50_000
MAX_EVENTS: Final = 300_000
MAX_GROUP_EVENTS: Final = 10_000


def _own_name(rule_id: str, field: str) -> tuple[str, ...]:
    return ()


class Correlator:
    """State of all groups of one bus partition. No clock, no disk; not thread-safe.

    `correlations` are resolved ones; `fields(rule_id, sigma_field)` gives the event's names of a rule's field, best
    first (the Sigma name itself is always tried last); a correlation's own fields are found by its rules' mappings.
    Bounds: beyond `max_groups` groups or `max_events` entries the least recently active groups are dropped, beyond
    `max_group_events` (or twice a rule's own threshold) a group's oldest entries; `dropped` counts both.
    """

    def __init__(
        self,
        correlations: Sequence[Correlation],
        *,
        lateness: timedelta = LATENESS,
        fields: FieldNames = _own_name,
        max_groups: int = MAX_GROUPS,
        max_events: int = MAX_EVENTS,
        max_group_events: int = MAX_GROUP_EVENTS,
    ) -> None:
        self._order = chained(correlations)
        rules = {c.id: c.rules for c in self._order}

        def names(rule: str, field: str) -> tuple[str, ...]:
            own = fields(rule, field)
            return own + tuple(name for fed in rules.get(rule, ()) for name in names(fed, field))

        self._plans: dict[str, Plan] = {}
        waits: dict[str, timedelta] = {}  # how long after its time, by the group's own time, an episode may be told
        for c in self._order:
            before = max((waits[rule] for rule in c.rules if rule in waits), default=timedelta())
            plan = self._plans[c.id] = Plan(c, lateness + before, names, max_group_events)
            waits[c.id] = before if plan.rising else lateness + before + plan.ahead * MICROSECOND
        self._fed: dict[str, list[Plan]] = {}
        for plan in self._plans.values():
            for rule in plan.correlation.rules:
                self._fed.setdefault(rule, []).append(plan)
        self._max_groups, self._max_events = max_groups, max_events
        self._groups: OrderedDict[tuple[str, Group], Timeline] = OrderedDict()  # least recently active first
        self._waiting: dict[tuple[str, Group], Timeline] = {}  # with event times to be judged
        self._size = 0
        self._changes: list[Change] = []
        self._merges: list[Merge] = []
        self.dropped = {"groups": 0, "events": 0}

    @property
    def correlations(self) -> list[Correlation]:
        """Each after those that feed it."""
        return list(self._order)

    @property
    def groups(self) -> int:
        """Groups held."""
        return len(self._groups)

    @property
    def size(self) -> int:
        """Entries held, over all groups."""
        return self._size

    def group_key(self, correlation_id: str, detection: Detection) -> bytes | None:
        """Bus key of the copy of a detection that feeds this correlation; None if it does not take part."""
        plan = self._plans.get(correlation_id)
        group = plan.group(detection) if plan else None
        if plan is None or group is None or plan.item(detection) is None:
            return None
        return key_of(correlation_id, group)

    def add(self, detection: Detection) -> list[Detection]:
        """What the detection brought about at once: episodes that fired, and those withdrawn (count 0).

        A detection whose `feeds` is empty goes to every correlation that its rule feeds. What grew is told by
        `drain`. When a bound is reached, the dropped groups' last words are among the result. Raises ValueError for a
        detection without event time or event id.
        """
        if detection.feeds:
            plan = self._plans.get(detection.feeds)
            return self._take(plan, detection) if plan else []
        found: list[Detection] = []
        for plan in self._fed.get(detection.rule_id, ()):
            found += self._take(plan, detection)
        return found

    def drain(self) -> list[Detection]:
        """Episodes that grew since they were last told, each once, in the newest form. Call it after each batch."""
        found = []
        for window, episode in self._changes:
            if episode.changed and not episode.withdrawn:
                found.append(told(window, episode))
        self._changes.clear()
        return found

    def close(self, until: datetime | None = None, correlation_id: str = "") -> list[Detection]:
        """Nothing of event time `until` or before is still to come (None: nothing at all); what fires by it.

        For conditions that wait, of one correlation or all: call it with None at the end of a finite input, and with
        a time well in the past when the partition has been read to its end.
        """
        found: list[Detection] = []
        for key, timeline in list(self._waiting.items()):
            if correlation_id not in ("", key[0]):
                continue
            for window in timeline.windows:
                fired = window.judge_all() if until is None else window.judge(micros(until) + 1 - window.plan.ahead)
                found += self._tell(window, fired)
            if not timeline.waiting():
                del self._waiting[key]
        return found

    def snapshot(self) -> bytes:
        """All state as JSON, for `restore` on a Correlator of the same or newer rules."""
        versions = {plan.correlation.id: plan.correlation.version for plan in self._plans.values()}
        return correlate_state.encoded(versions, self._groups, self._changes, self.dropped)

    def restore(self, snapshot: bytes) -> None:
        """Replace all state by the snapshot's, without that of correlations that changed or are no more.

        Raises ContentError if it is no snapshot of ours; the state is then empty.
        """
        self._groups.clear()
        self._waiting.clear()
        self._changes.clear()
        self._size = 0
        try:
            groups, self.dropped = correlate_state.decoded(snapshot, self._plans, self._changes, self._merges)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            self._changes.clear()
            raise ContentError("correlation snapshot", 0, f"cannot be read: {error}") from error
        self._groups.update(groups)
        for key, timeline in groups.items():
            self._size += timeline.size()
            if timeline.waiting():
                self._waiting[key] = timeline

    # ------------------------------------------------------------ one detection

    def _take(self, plan: Plan, detection: Detection) -> list[Detection]:
        group = plan.group(detection)
        if group is None:
            return []
        item = plan.item(detection)
        if item is None:
            return []
        # For counts an episode of another correlation is one event, whose id is the episode's.
        by_episode = detection.kind == "correlation" and not plan.temporal
        event_id = detection.id if by_episode else detection.event_id
        if detection.timestamp is None or not event_id:
            raise ValueError(f"a detection of rule {detection.rule_id} without event time or event id")
        time = micros(detection.timestamp)
        key = (plan.correlation.id, group)
        timeline = self._groups.get(key)
        if timeline is None:
            timeline = self._groups[key] = Timeline(plan, group, self._changes, self._merges)
        else:
            self._groups.move_to_end(key)
        window, lost = timeline.window(time)
        before = len(window.times)
        fired = window.add(time, event_id, item[0], detection.fields, timeline.late(time))
        found = self._tell(window, fired) if fired else []
        if len(window.times) >= window.next_cut:
            more, needed = window.trim()
            found += self._tell(window, more)
            self.dropped["events"] += needed
        self._size += len(window.times) - before
        if lost is not None:
            self._size -= len(lost.times)
            found += self._last_words(lost)
        if not plan.rising:
            self._waiting.pop(key, None)
            if timeline.waiting():
                self._waiting[key] = timeline
        if self._merges:
            found += self._withdrawn()
        if len(self._groups) > self._max_groups or self._size > self._max_events:
            found += self._shrink()
        return found

    def _shrink(self) -> list[Detection]:
        found: list[Detection] = []
        while len(self._groups) > self._max_groups or (self._size > self._max_events and len(self._groups) > 1):
            key, timeline = self._groups.popitem(last=False)
            self._waiting.pop(key, None)
            self.dropped["groups"] += 1
            self._size -= timeline.size()
            for window in timeline.windows:
                found += self._last_words(window)
        return found

    def _last_words(self, window: Window) -> list[Detection]:
        """What a window that is let go still has to tell: its times are judged now, its episodes told as they are."""
        window.judge_all()
        return self._tell(window, [episode for episode in window.episodes if episode.changed])

    def _tell(self, window: Window, episodes: Iterable[Episode]) -> list[Detection]:
        found = [told(window, episode) for episode in episodes]
        while self._changes and not self._changes[-1][1].changed:
            self._changes.pop()
        return found

    def _withdrawn(self) -> list[Detection]:
        found = [withdrawn(*merge) for merge in self._merges]
        self._merges.clear()
        return found


def correlated(correlator: Correlator, detections: Iterable[Detection]) -> list[Detection]:
    """All of a finite input through the correlator, chains included: the final form of every episode, as they fired."""
    newest: dict[str, Detection] = {}
    chain = any(rule == c.id for c in correlator.correlations for d in correlator.correlations for rule in d.rules)

    def take(found: list[Detection]) -> None:
        while found:
            newest.update((episode.id, episode) for episode in found)
            found = [next_one for episode in found if chain for next_one in correlator.add(episode)]

    for detection in detections:
        take(correlator.add(detection))
        if chain:
            take(correlator.drain())
    for correlation in correlator.correlations:
        take(correlator.drain())
        take(correlator.close(None, correlation.id))
    take(correlator.drain())
    return [episode for episode in newest.values() if episode.count]
