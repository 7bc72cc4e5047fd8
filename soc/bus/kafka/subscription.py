"""One member of a group: polls → deliveries of the partitions it holds; commits → the group's offsets.

Within a poll:  1. tell what partitions were lost, then which were gained  2. hand out what is fetched  3. else fetch.
A callback that fails is called again by the next poll, before anything is handed out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from soc.bus.base import Delivery, OnChange, Partitions
from soc.bus.kafka.member import Member
from soc.bus.kafka.offsets import from_milliseconds, milliseconds
from soc.event import TransportError

_PAUSE_S: Final = 0.01


class KafkaSubscription:
    """See `soc.bus.base.Subscription`. `topic` is its name in deliveries."""

    def __init__(
        self,
        member: Member,
        topic: str,
        on_assigned: OnChange | None,
        on_revoked: OnChange | None,
        on_close: Callable[[KafkaSubscription], None],
    ) -> None:
        self._member = member
        self._topic = topic
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_close = on_close
        self._position: dict[int, int] = {}  # of the held partitions
        self._committed: dict[int, int] = {}
        self._fetched: deque[tuple[int, list[Any]]] = deque()  # (partition, records) that are not handed out yet
        self._lost: set[int] = set()  # held to the user, and not to the group
        self._closed = False

    # -- reading

    def poll(self, max_records: int, timeout_s: float) -> list[Delivery]:
        self._open()
        deadline = time.monotonic() + timeout_s
        while True:
            self._tell()  # 1.
            if out := self._hand_out(max_records):  # 2.
                return out
            begin = time.monotonic()
            left = deadline - begin
            found = self._member.round(max_records, left)  # 3.
            self._fetched.extend(found.items())
            self._tell()
            if out := self._hand_out(max_records):
                return out
            self._member.watch(self._committed)
            now = time.monotonic()
            if left <= 0 or now >= deadline:
                return []
            if now - begin < _PAUSE_S:  # a heartbeat is overdue: kafka-python does not wait then
                time.sleep(_PAUSE_S)

    def _hand_out(self, max_records: int) -> list[Delivery]:
        out: list[Delivery] = []
        times: dict[int, datetime] = {}
        while self._fetched and len(out) < max_records:
            partition, records = self._fetched.popleft()
            some, rest = records[: max_records - len(out)], records[max_records - len(out) :]
            for record in some:
                moment = times.get(record.timestamp)
                if moment is None:
                    moment = times[record.timestamp] = from_milliseconds(record.timestamp)
                headers = {name: value or b"" for name, value in record.headers}
                out.append(
                    Delivery(
                        self._topic,
                        partition,
                        record.offset,
                        record.key or b"",
                        record.value or b"",
                        headers,
                        moment,
                    )
                )
            if some:
                self._position[partition] = some[-1].offset + 1
            if rest:
                self._fetched.appendleft((partition, rest))
        return out

    # -- partitions

    def _tell(self) -> None:
        """Heed what the group has changed, one change after the other."""
        while self._member.changes:
            change = what, partitions = self._member.changes[0]
            if what == "assigned":
                self._gain(partitions)
            else:
                if what == "lost" and not partitions:
                    partitions = frozenset(self._position)  # all
                self._lose(partitions, lost=what == "lost")
            if self._member.changes and self._member.changes[0] is change:  # a callback may have lost everything
                self._member.changes.popleft()

    def _gain(self, partitions: Partitions) -> None:
        """1. where to begin 2. commit that, so that the group is known to read it 3. tell the user."""
        fetched = {partition: records for partition, records in reversed(self._fetched) if records}
        new = {}
        for partition in partitions - self._position.keys():
            records = fetched.get(partition)
            new[partition] = records[0].offset if records else self._member.start(partition)
        self._position |= new
        if new and self._member.commit(new):
            self._committed |= new
        if self._on_assigned is not None:
            self._on_assigned(partitions)

    def _lose(self, partitions: Partitions, lost: bool) -> None:
        known = partitions & self._position.keys()
        if lost:
            self._lost |= known
        if known and self._on_revoked is not None:
            self._on_revoked(known)
        for partition in known:
            del self._position[partition]
            self._committed.pop(partition, None)
            self._lost.discard(partition)
        self._put_back(known)

    def _put_back(self, partitions: Partitions) -> None:
        """What is fetched of these is not handed out. The group may have given them back to us in the meantime, so
        that it was fetched after that: then it is fetched again."""
        kept: deque[tuple[int, list[Any]]] = deque()
        for partition, records in self._fetched:
            if partition not in partitions:
                kept.append((partition, records))
            elif records:
                self._member.put_back(partition, records[0].offset)
        self._fetched = kept

    # -- offsets

    def commit(self) -> None:
        self._open()
        if not self._uncommitted():
            return
        self._member.settle()
        offsets = self._uncommitted()
        if offsets and self._member.commit(offsets):
            self._committed |= offsets

    def _uncommitted(self) -> dict[int, int]:
        """Positions to commit: of what the group still takes from us."""
        lost = set(self._lost)
        for what, partitions in self._member.changes:
            if what == "lost":
                lost |= partitions or self._position.keys()
        return {p: at for p, at in self._position.items() if p not in lost and at != self._committed.get(p)}

    def assigned(self) -> Partitions:
        return frozenset(self._position)

    def position(self, partition: int) -> int:
        return self._position[partition]

    def seek(self, partition: int, offset: int) -> None:
        self._open()
        if partition in self._position:
            self._put_back(frozenset([partition]))
            self._position[partition] = self._member.seek(partition, offset)

    def seek_time(self, moment: datetime) -> None:
        self._open()
        if self._position:
            for partition, offset in self._member.find(self._position, milliseconds(moment)).items():
                self.seek(partition, offset)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._position.clear()
        try:
            self._member.leave()
        finally:
            self._on_close(self)

    def _open(self) -> None:
        if self._closed:
            raise TransportError("this subscription has been closed")
