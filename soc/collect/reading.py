"""Streams in, their next records onto the bus: one turn over some of them, in the order that `state` states.

The tailing collector and the one-shot ingest are two callers of the same turn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from soc.bus.base import Bus
from soc.collect.counts import Tally
from soc.collect.publish import publish
from soc.collect.receipt import Origin, Receipts
from soc.collect.state import Done, FileState, Head, Intent, Position
from soc.collect.stream import Stream, Turn
from soc.event import RawRecord, Rejected

log = logging.getLogger(__name__)

#: Verdicts on a stream; see `Followed.verdict`.
NEW: Final = ""
SAME: Final = "same"
COPY: Final = "copy"
REPLACED: Final = "replaced"


@dataclass(slots=True)
class Followed:
    """A stream that is being read.

    `verdict`: "" = not yet looked up; "same" = `fingerprint` says which file it is; "copy" = it is the beginning of a
    file that is known already, nothing to read; "replaced" = other content stands where this stream was read, it has to
    be looked up again. `fresh` = it is known to be no copy (it was truncated in place).
    """

    stream: Stream
    origin: Origin
    fresh: bool = False
    fingerprint: str = ""
    verdict: str = NEW
    position: Position = field(default_factory=Position)  # as committed, as far as we know
    known: int = 0  # records of it that had been read before it was looked up
    more: bool = True  # there is more to read at once


@dataclass(slots=True)
class _Planned:
    followed: Followed
    intent: Intent
    head: Head
    turn: Turn
    again: bool


def _alike(a: _Planned, b: _Planned) -> bool:
    """Whether two plans may be of one file: they share its fingerprint, or begin alike as far as the shorter goes."""
    x, y = a.head.data, b.head.data
    return a.intent.fingerprint == b.intent.fingerprint or (
        a.head.kind == b.head.kind and (x.startswith(y) or y.startswith(x))
    )


class Reading:
    """Takes turns. Not thread-safe."""

    def __init__(self, state: FileState, bus: Bus, now: Callable[[], datetime]) -> None:
        self._state = state
        self._bus = bus
        self._now = now
        self._published: list[_Planned] = []  # steps 1 (and perhaps 2) of the turn before; step 3 is owed

    def turn(self, streams: Sequence[Followed], final: Callable[[Followed], bool]) -> list[RawRecord | Rejected]:
        """Publish what comes next in each stream and commit it; the records. [] = nothing is there now.

        `final` says whether nothing will follow in a stream, so that an incomplete last record is taken. Raises
        TransportError; called again, it does what is owed.
        """
        with self._state.turn():
            if self._published:
                self._bus.flush()
                self._commit(self._published)
            planned = self._plans(streams, final)
            if not planned:
                return []
            # 0. the intent
            self._state.intend([(p.intent, p.head, p.followed.origin.name) for p in planned if not p.again])
            # 1. publish
            items = [item for p in planned for item in p.turn.items]
            publish(self._bus, items)
            self._published = planned
            # 2. flush
            self._bus.flush()
            # 3. commit position and counts
            self._commit(planned)
            return items

    def _commit(self, planned: list[_Planned]) -> None:
        """Step 3, for what another process has not done meanwhile."""
        owed = [p for p in planned if self._state.intended(p.intent.fingerprint) == p.intent]
        tally = Tally()
        done = []
        for p in owed:
            tally.received(p.turn.items)
            records = sum(isinstance(i, RawRecord) for i in p.turn.items)
            done.append(Done(p.intent.fingerprint, p.head, p.turn.end, records, p.followed.origin.name))
        self._state.commit(done, tally)
        self._published = []
        for p in planned:
            p.followed.position = p.turn.end
            p.followed.more = p.turn.more or p.again

    def _plans(self, streams: Sequence[Followed], final: Callable[[Followed], bool]) -> list[_Planned]:
        """What each stream gives; of streams that may be the same file (a copy, being rotated) only the first."""
        plans: list[_Planned] = []
        for followed in streams:
            plan = self._plan(followed, final(followed))
            if plan and any(_alike(plan, other) for other in plans):
                followed.verdict, followed.more = NEW, True  # the next turn will see what this one has committed
            elif plan:
                plans.append(plan)
        return plans

    def _plan(self, followed: Followed, final: bool) -> _Planned | None:
        stream = followed.stream
        head = stream.head()
        if not head.data:
            followed.more = False
            return None
        if followed.verdict in (NEW, REPLACED) and not self._look_up(followed, head):
            return None
        if followed.verdict != SAME:
            followed.more = False
            return None
        known = self._state.known(followed.fingerprint)
        position = known.position if known else followed.position
        if stream.matches(position) != SAME:
            # Either this stream is a copy, and the file was read further elsewhere, or it was truncated.
            truncated = stream.matches(followed.position) != SAME
            followed.verdict, followed.fresh = (REPLACED, True) if truncated else (NEW, False)
            followed.more = True
            stream.reset()
            return None
        intent = self._state.intended(followed.fingerprint)
        if intent:
            return self._again(followed, head, position, intent)
        received = self._now()
        turn = stream.turn(position, Receipts(followed.origin, received, followed.fingerprint), final, None)
        followed.position, followed.more = position, turn.more
        if not turn.items:
            return None
        origin = followed.origin
        intent = Intent(
            followed.fingerprint,
            turn.end.at,
            turn.end.number,
            turn.end.damages,
            turn.flushed,
            received,
            origin.source,
            origin.unit,
            stream.framing,
            stream.multiline,
        )
        return _Planned(followed, intent, head, turn, again=False)

    def _again(self, followed: Followed, head: Head, position: Position, intent: Intent) -> _Planned:
        """The range that was being published when a program ended."""
        o = followed.origin
        origin = Origin(intent.source, intent.unit, o.name, o.container, o.member, o.host)
        receipts = Receipts(origin, intent.received, followed.fingerprint)
        turn = followed.stream.turn(position, receipts, True, intent)
        if (turn.end.at, turn.end.damages) != (intent.position, intent.damages):
            log.error(
                "%s holds only a part of what was being read when the program ended: %d instead of %d; "
                "the ledger may show the rest as missing",
                o.name,
                turn.end.at,
                intent.position,
            )
        return _Planned(followed, intent, head, turn, again=True)

    def _look_up(self, followed: Followed, head: Head) -> bool:
        """Find out which file this is; False if it is only the beginning of one that is known."""
        found = [(followed.stream.matches(k.position), k) for k in self._state.candidates(head)]
        same = [k for verdict, k in found if verdict == SAME]
        if same:
            known = max(same, key=lambda k: k.position.at)
            followed.fingerprint, followed.known = known.fingerprint, known.records
            followed.verdict, followed.position, followed.fresh = SAME, known.position, False
            return True
        if not followed.fresh and any(verdict == "shorter" for verdict, _ in found):
            followed.verdict, followed.more = COPY, False
            return False
        followed.fingerprint, followed.known = self._state.new_fingerprint(head), 0
        followed.verdict, followed.position, followed.fresh = SAME, Position(), False
        return True
