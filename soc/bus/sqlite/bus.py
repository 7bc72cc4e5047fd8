"""Messages → files of topics, safe among processes; groups of members read them. See `soc.bus.base`."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from soc.bus.base import RAW, Message, OnChange, TooLargeError
from soc.bus.sqlite.group import Groups
from soc.bus.sqlite.heart import Heart
from soc.bus.sqlite.subscription import SqliteSubscription
from soc.bus.sqlite.topic import Topic
from soc.event import TransportError

_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_BACKLOG_LOOK_S: Final = 0.25

#: Bytes that a topic may hold unread. Only the raw records are bounded: their senders can wait, while a bound on
#: detections would stop the alert worker, which both reads and writes them.
DEFAULT_BACKLOG: Final[Mapping[str, int]] = {RAW: 8 << 30}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteBus:
    """The embedded bus in a folder that several processes open.

    `publish` keeps messages in memory until `flush`, or until `max_unflushed_bytes` are there; then it writes them
    itself, so that the publisher is as slow as the disk. Whatever fails, the messages stay in hand: flush again.
    A `publish` that raises has taken none of its messages.

    `max_backlog_bytes`: topic → bytes (as the file counts them) that may lie unread by its slowest group. Beyond
    that `publish` raises TransportError until readers catch up: it does not block, so that a collector can use its
    spool.

    `member` names make a member static: a new process of the same name has its partitions at once, and the old one,
    if it lives, can no longer use its subscription. A member that dies otherwise keeps its partitions for
    `session_timeout_s`; one that lives but has not polled for `max_poll_interval_s` loses them, too.

    The bus may be used by several threads, a subscription by one.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int = 4,
        max_unflushed_bytes: int = 16 << 20,
        *,
        max_backlog_bytes: Mapping[str, int] = DEFAULT_BACKLOG,
        max_message_bytes: int = 64 << 20,
        session_timeout_s: float = 10.0,
        max_poll_interval_s: float = 300.0,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._folder = folder
        self._partitions = partitions
        self._max_unflushed_bytes = max_unflushed_bytes
        self._max_backlog_bytes = max_backlog_bytes
        self._max_message_bytes = max_message_bytes
        self._session_timeout_s = session_timeout_s
        self._max_poll_interval_s = max_poll_interval_s
        self._now = now
        self._lock = threading.RLock()
        self._topics: dict[str, Topic] = {}
        self._unflushed: dict[str, list[Message]] = {}
        self._unflushed_bytes = 0
        self._full: dict[str, tuple[float, str]] = {}  # topic → when looked, why it is full ("" = it is not)
        self._groups = Groups(self._groups_path, session_timeout_s)
        self._heart: Heart | None = None
        self._subscriptions: list[SqliteSubscription] = []

    @property
    def _groups_path(self) -> Path:
        return self._folder / "groups.sqlite"

    # -- writing

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        sizes = [len(m.key) + len(m.value) for m in messages]
        if too_large := [i for i, size in enumerate(sizes) if size > self._max_message_bytes]:
            raise TooLargeError(topic, self._max_message_bytes, too_large)
        size = sum(sizes) + 200 * len(messages)
        with self._lock:
            self._topic(topic)  # opened before anything is taken for it
            if (full := self._why_full(topic)) != "":
                raise TransportError(full)
            if self._unflushed_bytes and self._unflushed_bytes + size > self._max_unflushed_bytes:
                self.flush()
            self._unflushed.setdefault(topic, []).extend(messages)
            self._unflushed_bytes += size

    def flush(self) -> None:
        with self._lock:
            for topic, messages in list(self._unflushed.items()):
                self._topic(topic).append(messages)
                del self._unflushed[topic]
            self._unflushed_bytes = 0

    def _why_full(self, name: str) -> str:
        bound = self._max_backlog_bytes.get(name)
        if bound is None:
            return ""
        looked, why = self._full.get(name, (0.0, ""))
        if time.monotonic() - looked > _BACKLOG_LOOK_S:
            kept, size = self._topic(name).size()
            unread = self._unread(name, self._groups.slowest(name) or {})
            why = ""
            if unread and size * unread > bound * kept:
                why = (
                    f"topic {name} holds {unread} records that nobody has read, more than {bound} bytes: "
                    "is the worker that reads it running?"
                )
            self._full[name] = (time.monotonic(), why)
        return why

    # -- reading

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        member: str = "",
        on_assigned: OnChange | None = None,
        on_revoked: OnChange | None = None,
    ) -> SqliteSubscription:
        with self._lock:
            if self._heart is None:
                self._heart = Heart(self._groups_path, self._session_timeout_s, self._max_poll_interval_s)
            subscription = SqliteSubscription(
                self._open(topic),
                Groups(self._groups_path, self._session_timeout_s),
                self._heart,
                group,
                member,
                self._session_timeout_s,
                on_assigned,
                on_revoked,
                self._left,
            )
            self._subscriptions.append(subscription)
            return subscription

    def _left(self, subscription: SqliteSubscription) -> None:
        with self._lock:
            self._subscriptions.remove(subscription)

    def lag(self, topic: str, group: str) -> int:
        with self._lock:
            return self._unread(topic, self._groups.committed(topic, group))

    def committed(self, topic: str, group: str) -> dict[int, int]:
        with self._lock:
            return self._groups.committed(topic, group)

    def _unread(self, name: str, committed: Mapping[int, int]) -> int:
        topic = self._topic(name)
        firsts = topic.firsts()
        return sum(end - max(committed.get(p, 0), firsts[p]) for p, end in topic.ends().items())

    def end_offsets(self, topic: str) -> dict[int, int]:
        with self._lock:
            return self._topic(topic).ends()

    def expire(self, topic: str, before: datetime) -> int:
        own = self._open(topic)  # of its own connection, so that publishers of this process do not wait for it
        try:
            with self._lock:
                slowest = self._groups.slowest(topic)
            return own.expire(before, slowest)
        finally:
            own.close()

    def close(self) -> None:
        """Flush, leave all groups and close. What cannot be flushed raises TransportError, when all is closed."""
        with self._lock:
            try:
                self.flush()
            finally:
                for subscription in list(self._subscriptions):
                    subscription.close()
                if self._heart is not None:
                    self._heart.close()
                    self._heart = None
                for topic in self._topics.values():
                    topic.close()
                self._topics.clear()
                self._groups.close()

    def _topic(self, name: str) -> Topic:
        if name not in self._topics:
            self._topics[name] = self._open(name)
        return self._topics[name]

    def _open(self, name: str) -> Topic:
        if not _TOPIC_NAME.fullmatch(name) or name == "groups":
            raise ValueError(f"{name!r} cannot be a topic's name: letters, digits, dot, underscore, hyphen")
        return Topic(self._folder / f"{name}.sqlite", name, self._partitions, self._now)
