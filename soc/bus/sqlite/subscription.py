"""One member of a group: polls → deliveries of the partitions it holds; commits → the group's offsets."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from soc.bus.base import Delivery, OnChange, Partitions
from soc.bus.sqlite.group import Groups
from soc.bus.sqlite.heart import Heart
from soc.bus.sqlite.topic import Topic
from soc.event import TransportError

#: How often a waiting poll looks for new records, in seconds: two PRAGMAs of some microseconds each time.
_LOOK_S: Final = 0.012


class SqliteSubscription:
    """See `soc.bus.base.Subscription`. Owns its connections."""

    def __init__(
        self,
        topic: Topic,
        groups: Groups,
        heart: Heart,
        group: str,
        member: str,
        session_timeout_s: float,
        on_assigned: OnChange | None,
        on_revoked: OnChange | None,
        on_close: Callable[[SqliteSubscription], None],
    ) -> None:
        self._topic = topic
        self._groups = groups
        self._heart = heart
        self._group = group
        self._member = member
        self._timeout_s = session_timeout_s
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_close = on_close
        self._position: dict[int, int] = {}  # of the held partitions
        self._committed: dict[int, int] = {}
        self._untold: set[int] = set()  # held, and on_assigned has not heard of them
        self._turn = 0  # which partition is read first, so that none starves
        self._group_seen = -1
        self._looked = 0.0
        self._closed = False
        self._token = groups.join(topic.name, group, member, topic.partitions)
        heart.add(self._token)

    # -- reading

    def poll(self, max_records: int, timeout_s: float) -> list[Delivery]:
        deadline = time.monotonic() + timeout_s
        self._open()
        while True:
            self._heart.polled(self._token)
            self._rebalance()
            seen = self._topic.changes()
            if out := self._read(max_records):
                return out
            if time.monotonic() >= deadline:
                return []
            self._wait(deadline, seen)

    def _read(self, max_records: int) -> list[Delivery]:
        """1. read 2. see that the lease still holds 3. move on. A lease that ran out meanwhile gives nothing."""
        out: list[Delivery] = []
        held = sorted(self._position)
        self._turn += 1
        for i in range(len(held)):
            partition = held[(self._turn + i) % len(held)]
            if len(out) == max_records:
                break
            out += self._topic.read(partition, self._position[partition], max_records - len(out))
        if out and self._lease_is_over():
            return []
        for delivery in out:
            self._position[delivery.partition] = delivery.offset + 1
        return out

    def _wait(self, deadline: float, seen: int) -> None:
        until = min(deadline, self._looked + self._timeout_s / 4)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_S, left))
            if self._topic.changes() != seen or self._groups.changes() != self._group_seen:
                return

    # -- sharing

    def _lease_is_over(self) -> bool:
        return time.monotonic() - self._heart.renewed(self._token) > self._timeout_s * 0.9

    def _rebalance(self) -> None:
        """Let go of what is too much or lost, take what is due; callbacks hear of it, losses first."""
        now, changes = time.monotonic(), self._groups.changes()
        over = self._lease_is_over()
        if changes == self._group_seen and now - self._looked < self._timeout_s / 4 and not over and not self._untold:
            return
        self._group_seen, self._looked = changes, now
        if over and self._token in self._groups.beat([self._token]):
            self._heart.add(self._token)
        share = self._groups.share(self._topic.name, self._group, self._token)
        if not share.alive:
            self._rejoin()
            share = self._groups.share(self._topic.name, self._group, self._token)
        if share.surplus:
            self._tell_revoked(share.surplus & self._position.keys())
            self._groups.release(self._topic.name, self._group, self._token, share.surplus)
            self._forget(share.surplus)
        self._take(share.held - share.surplus)

    def _rejoin(self) -> None:
        """The lease went to others while this process stood still (or another process has taken over its name)."""
        self._heart.remove(self._token)
        lost = frozenset(self._position)
        self._tell_revoked(lost)
        self._forget(lost)
        if self._member and self._groups.name_taken(self._topic.name, self._group, self._member):
            self._closed = True
            raise self._fenced()
        self._token = self._groups.join(self._topic.name, self._group, self._member, self._topic.partitions)
        self._heart.add(self._token)

    def _tell_revoked(self, partitions: Partitions) -> None:
        known = partitions - self._untold
        if known and self._on_revoked is not None:
            self._on_revoked(known)

    def _forget(self, partitions: Partitions) -> None:
        for partition in partitions:
            self._position.pop(partition, None)
            self._committed.pop(partition, None)
            self._untold.discard(partition)

    def _take(self, held: Partitions) -> None:
        new = held - self._position.keys()
        if new:
            committed, firsts = self._groups.committed(self._topic.name, self._group), self._topic.firsts()
            for partition in new:
                self._committed[partition] = committed[partition]
                self._position[partition] = max(committed[partition], firsts[partition])
            self._untold |= new
        if self._untold:
            if self._on_assigned is not None:
                self._on_assigned(frozenset(self._untold))
            self._untold.clear()

    # -- offsets

    def commit(self) -> None:
        self._open()
        offsets = {p: at for p, at in self._position.items() if at != self._committed[p]}
        if offsets:
            self._groups.commit(self._topic.name, self._group, self._token, offsets)
            self._committed.update(offsets)

    def assigned(self) -> Partitions:
        return frozenset(self._position)

    def position(self, partition: int) -> int:
        return self._position[partition]

    def seek(self, partition: int, offset: int) -> None:
        self._open()
        if partition in self._position:
            first, end = self._topic.firsts()[partition], self._topic.ends()[partition]
            self._position[partition] = max(first, min(offset, end))

    def seek_time(self, moment: datetime) -> None:
        self._open()
        for partition in self._position:
            self._position[partition] = self._topic.find(partition, moment)

    def close(self) -> None:
        if self._closed and self._token == "":
            return
        self._heart.remove(self._token)
        token, self._token, self._closed = self._token, "", True
        try:
            self._groups.leave(token)
        finally:
            self._position.clear()
            self._on_close(self)
            self._groups.close()
            self._topic.close()

    def _open(self) -> None:
        if self._closed:
            raise self._fenced() if self._token else TransportError("this subscription has been closed")

    def _fenced(self) -> TransportError:
        return TransportError(
            f"another process has joined group {self._group} of {self._topic.name} as {self._member!r}: "
            "member names must differ, or this process should end"
        )
