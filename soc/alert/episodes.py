"""Suppression by episode: detections in; one growing episode per rule, unit and entity out.

An episode begins with the first detection of its key and goes on while the next one lies within the quiet time of
its rule (event time, before or after). Thousands of guesses are one alert with a count. A redelivered detection
changes nothing, for an episode knows the ids that it holds; a correlation's detection that grows keeps its id and
replaces its own earlier count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from soc.event import Detection, digest, parse_rfc3339, rfc3339

Key = tuple[str, str, tuple[tuple[str, str], ...]]  # rule id, unit uid, entity as sorted pairs

#: Ids that an episode remembers, and evidence that its alert names. Older ids are folded into a number: by then a
#: redelivery, which brings back the last uncommitted batch and no more, cannot hold them.
MAX_PARTS: Final = 5_000
MAX_EVIDENCE: Final = 100
#: Episodes held in memory; beyond it the one least recently extended ends early.
MAX_EPISODES: Final = 100_000
#: No episode is longer, so that what never stops is a new alert each day.
MAX_LENGTH: Final = timedelta(hours=24)


@dataclass(slots=True)
class Episode:
    """What one alert counts. `count` is events; `evidence` their ids, the first and the newest of them."""

    key: Key
    alert_id: str
    first: datetime
    last: datetime
    parts: dict[str, int] = field(default_factory=dict)
    folded: int = 0
    evidence: dict[str, None] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self.folded + sum(self.parts.values())

    def takes(self, first: datetime, last: datetime, quiet: timedelta) -> bool:
        """Whether something from first to last still belongs to it."""
        near = first <= self.last + quiet and last >= self.first - quiet
        return near and max(last, self.last) - min(first, self.first) <= MAX_LENGTH

    def add(self, detection: Detection, first: datetime, last: datetime) -> bool:
        """False if it knew all of this already.

        A correlation that turned out to be the continuation of another one is withdrawn: it comes with count 0.
        """
        known = self.parts.get(detection.id)
        if known is not None and detection.count == 0:
            self.parts[detection.id] = 0
            return known > 0
        if known is not None and known >= detection.count:
            return False
        self.parts[detection.id] = detection.count
        if len(self.parts) > MAX_PARTS:
            self.folded += self.parts.pop(next(iter(self.parts)))
        self.first, self.last = min(self.first, first), max(self.last, last)
        for event_id in detection.evidence or (detection.event_id,):
            if event_id not in self.evidence:
                self.evidence[event_id] = None
        if len(self.evidence) > MAX_EVIDENCE:
            ids = list(self.evidence)
            self.evidence = dict.fromkeys(ids[: MAX_EVIDENCE // 2] + ids[-MAX_EVIDENCE // 2 :])
        return True


@dataclass(frozen=True, slots=True)
class Change:
    """An episode that a batch began or extended; `detection` is the newest that did (the first, for a new one)."""

    episode: Episode
    detection: Detection
    began: bool


class Episodes:
    """Open episodes of one partition of `soc.detections`. No clock: time is the events'."""

    def __init__(self, quiet: Callable[[str], timedelta], max_episodes: int = MAX_EPISODES) -> None:
        self._quiet = quiet
        self._max = max_episodes
        self._open: dict[Key, list[Episode]] = {}
        self._size = 0

    def add(self, detections: Iterable[tuple[Detection, str, Mapping[str, str]]]) -> list[Change]:
        """(detection, unit uid, entity) of one batch in; the episodes that changed, each once, in that order."""
        changed: dict[str, Change] = {}
        for detection, unit, entity in detections:
            assert detection.timestamp is not None, "a detection on the bus has its event time"
            key: Key = (detection.rule_id, unit, tuple(sorted(entity.items())))
            if detection.count == 0:
                if (holder := self._holder(detection, key)) is None:
                    continue
                key = holder
            first = detection.first or detection.timestamp
            last = detection.last or detection.timestamp
            episode, began = self._episode(key, detection, first, last)
            if not episode.add(detection, first, last):
                continue
            before = changed.get(episode.alert_id)
            kept = before.detection if before and before.began else detection
            changed[episode.alert_id] = Change(episode, kept, began or bool(before and before.began))
        return list(changed.values())

    def _holder(self, withdrawn: Detection, key: Key) -> Key | None:
        """Key of the episode that counts a withdrawn correlation: of the same group, maybe in another unit. Rare."""
        same = (k for k in self._open if k[0] == key[0] and k[2] == key[2])
        return next((k for k in same if any(withdrawn.id in e.parts for e in self._open[k])), None)

    def _episode(self, key: Key, detection: Detection, first: datetime, last: datetime) -> tuple[Episode, bool]:
        episodes = self._open.pop(key, [])
        self._open[key] = episodes  # newest touched stands last
        quiet = self._quiet(key[0])
        holding = (e for e in reversed(episodes) if detection.id in e.parts)
        near = (e for e in reversed(episodes) if e.takes(first, last, quiet))
        if (found := next(holding, None) or next(near, None)) is not None:
            return found, False
        began = Episode(
            key, digest(key[0], key[1], *(t for pair in key[2] for t in pair), detection.event_id), first, last
        )
        episodes.append(began)
        self._size += 1
        while self._size > self._max:
            oldest = next(iter(self._open))
            self._size -= len(self._open.pop(oldest))
        return began, True

    def snapshot(self) -> list[dict[str, Any]]:
        """JSON values from which `restore` makes the same state."""
        return [
            {
                "rule": e.key[0],
                "unit": e.key[1],
                "entity": e.key[2],
                "alert": e.alert_id,
                "first": rfc3339(e.first),
                "last": rfc3339(e.last),
                "parts": e.parts,
                "folded": e.folded,
                "evidence": list(e.evidence),
            }
            for episodes in self._open.values()
            for e in episodes
        ]

    def restore(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Replace everything by a snapshot."""
        self._open, self._size = {}, 0
        for row in state:
            key: Key = (row["rule"], row["unit"], tuple((name, value) for name, value in row["entity"]))
            episode = Episode(
                key,
                row["alert"],
                parse_rfc3339(row["first"]),
                parse_rfc3339(row["last"]),
                dict(row["parts"]),
                row["folded"],
                dict.fromkeys(row["evidence"]),
            )
            self._open.setdefault(key, []).append(episode)
            self._size += 1
