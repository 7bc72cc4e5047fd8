"""One member of a Kafka group: kafka-python's consumer, opened when it is needed, with what it tells kept in order.

kafka-python calls a rebalance listener in a thread of its own, where nothing may block. The listener here only notes
what happened; `round` does one round of polling, in which at most one rebalance ends, and returns. So the user's
callbacks run in the user's thread, between the end of a rebalance that took partitions away and the next one, which
gives them to others: a commit in between still counts (KIP-429).
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition, errors
from kafka.admin import MemberToRemove
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState
from kafka.util import Timer

from soc.bus.base import Partitions
from soc.bus.kafka.access import REQUEST_S
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.clients import closed, opened
from soc.bus.kafka.failures import failures, silent
from soc.bus.kafka.headers import read_any_name
from soc.bus.kafka.joining import keep_joined
from soc.bus.kafka.shares import Shares
from soc.event import TransportError, digest

log = logging.getLogger(__name__)

#: A member that lives but does not poll for so long loses its partitions; as in the embedded bus.
MAX_POLL_INTERVAL_S: Final = 300.0
_NAME: Final = 249  # characters of a member's name at most
_COMMIT_S: Final = 10.0
_CLOSE_S: Final = 5.0
_HEARTBEAT_S: Final = 3.0
_HEARD_S: Final = 5.0  # a member that reads, commits or probes hears of the cluster more often
#: Compressed bytes that are fetched ahead, of all partitions and of one.
_FETCH_BYTES: Final = 16 << 20
_PARTITION_BYTES: Final = 2 << 20
#: After these a question can be asked again; after any other failure a new consumer is opened.
_PASSING: Final = (errors.RetriableError, errors.CommitFailedError, errors.AuthorizationError)

#: What happened to partitions: "assigned", "revoked" (a commit still counts) or "lost" (it does not).
Change = tuple[str, Partitions]


class Member:
    """Used by one thread. `name` makes it static. Topic and group by the names that the cluster knows.

    Every call may raise TransportError; called again, it goes on.
    """

    def __init__(
        self, administration: Administration, topic: str, group: str, name: str, session_timeout_s: float
    ) -> None:
        self.topic: Final = topic
        self.group: Final = group
        self.changes: deque[Change] = deque()
        self._administration = administration
        self._cluster = administration.cluster
        self._name = name
        #: A group of ours may read several topics, each by members of its own: so the topic is part of the name.
        self._instance = _instance(f"{name}/{topic}") if name else ""
        self._session_timeout_s = session_timeout_s
        self._consumer: KafkaConsumer | None = None
        self._fenced = False
        self._shares = Shares(administration, topic, group)
        self._probed = self._answered = self._checked = time.monotonic()

    # -- opening and ending

    def _open(self) -> KafkaConsumer:
        if self._fenced:
            raise TransportError(self._elder())
        if self._consumer is not None:
            return self._consumer
        self._administration.partitions(self.topic)  # says so when the topic does not exist
        read_any_name()
        consumer = opened(
            KafkaConsumer,
            self._cluster,
            f"joining group {self.group}",
            self.topic,
            self.group,
            client_id=f"soc-{self._instance or 'member'}",
            group_id=self.group,
            group_instance_id=self._instance or None,
            partition_assignment_strategy=[CooperativeStickyAssignor()],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=int(self._session_timeout_s * 1000),
            heartbeat_interval_ms=int(min(_HEARTBEAT_S, self._session_timeout_s / 3) * 1000),
            max_poll_interval_ms=int(MAX_POLL_INTERVAL_S * 1000),
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            metrics_enabled=False,
        )
        keep_joined(consumer)
        self._consumer = consumer
        with self._calling(f"joining group {self.group}"):
            consumer.subscribe([self.topic], listener=_Listener(self.changes))
            # so that it knows the topic before it joins: a leader that does not would share out nothing
            consumer.end_offsets([self._tp(0)], timeout_ms=int(REQUEST_S * 1000))
        self._probed = self._answered = self._checked = time.monotonic()
        return consumer

    @contextmanager
    def _calling(self, what: str) -> Iterator[None]:
        """kafka-python's failures become sentences; after one that it does not mend the consumer is dropped."""
        try:
            with failures(self._cluster, what, self.topic, self.group):
                yield
        except TransportError as wrong:
            cause = wrong.__cause__
            if isinstance(cause, errors.FencedInstanceIdError):
                self._fenced = True
                self.drop()
                raise TransportError(self._elder()) from cause
            if not isinstance(cause, _PASSING):
                self.drop()
            raise

    def _elder(self) -> str:
        return (
            f"another process has joined group {self.group} of {self.topic} as {self._name!r}: "
            "member names must differ, or this process should end"
        )

    def drop(self) -> None:
        """Part with the consumer; all partitions count as lost. The next round opens another one."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            self.changes = deque([("lost", frozenset())])  # what the old one notes while it closes goes nowhere
            self._close(consumer)

    def leave(self) -> None:
        """Leave the group at once, a static member, too, so that others need not wait for the session to time out."""
        consumer, self._consumer = self._consumer, None
        self.changes = deque()
        if consumer is None:
            return
        known = consumer.group_metadata()
        self._close(consumer)
        heard = time.monotonic() - self._answered < _HEARD_S  # or this would wait for a cluster that is away
        if self._name and known.state is not MemberState.UNJOINED and heard:
            member = MemberToRemove(member_id=known.member_id, group_instance_id=self._instance)
            try:
                self._administration.ask(
                    f"leaving group {self.group}",
                    lambda admin: admin.remove_group_members(self.group, [member]),
                    self.topic,
                    self.group,
                )
            except TransportError as wrong:
                log.warning("%s; others get its partitions in %.0f s", wrong, self._session_timeout_s)

    def _close(self, consumer: KafkaConsumer) -> None:
        closed(partial(consumer.close, autocommit=False, timeout_ms=int(_CLOSE_S * 1000)))

    # -- reading

    def round(self, max_records: int, wait_s: float) -> dict[int, list[Any]]:
        """One round: heartbeats, at most one end of a rebalance, and what is fetched, by partition.

        `changes` is to be emptied before the next one. After a failure a new consumer is opened, whatever it was: this
        one may have gone past records that it did not return.
        """
        consumer = self._open()
        self._claim(consumer)
        try:
            with self._calling(f"reading {self.topic}"):
                # poll() would do many rounds; each may end a rebalance
                found = consumer._poll_once(Timer(max(0.0, wait_s) * 1000), max_records)
        except TransportError:
            self.drop()
            raise
        if found:
            self._answered = time.monotonic()
        return {tp.partition: records for tp, records in found.items()}

    def _claim(self, consumer: KafkaConsumer) -> None:
        """Join again if partitions are left to nobody. Of those who do, the one that leads the group makes it count."""
        known = consumer.group_metadata()
        if known.state is MemberState.STABLE and (left := self._shares.forgotten(known.generation_id)):
            log.warning("group %s has left partitions %s to nobody; joining it again", self.group, sorted(left))
            consumer._coordinator.request_rejoin()

    def watch(self, safe: Mapping[int, int]) -> None:
        """After a round: see that the group still knows this member, and that the cluster answers.

        kafka-python tells neither: a static member that was replaced, and any member whose brokers are gone, polls
        nothing for ever. So what is committed (`safe`: partition → offset) is committed again from time to time.
        """
        consumer, now = self._consumer, time.monotonic()
        if consumer is None:
            return
        if safe and now - self._probed > min(_HEARTBEAT_S, self._session_timeout_s / 3):
            self._probed = now
            if consumer.group_metadata().state is MemberState.STABLE:
                with self._calling(f"keeping group {self.group}"):
                    consumer.commit_async(self._offsets(safe), callback=self._on_probe)
        if now - max(self._answered, self._checked) > REQUEST_S:
            self._checked = now
            self._administration.partitions(self.topic)
            if safe and now - self._answered > 2 * REQUEST_S + self._session_timeout_s:
                self.drop()
                raise TransportError(f"{silent(self._cluster, now - self._answered)}; joining {self.group} anew")

    def _on_probe(self, _offsets: Any, wrong: Any) -> None:
        if not isinstance(wrong, BaseException):
            self._answered = time.monotonic()

    # -- offsets

    def settle(self) -> None:
        """Wait until no rebalance is under way, some seconds at most: until then nothing can be committed."""
        deadline = time.monotonic() + _COMMIT_S
        while (consumer := self._consumer) is not None:
            if consumer.group_metadata().state is not MemberState.REBALANCING:
                return
            if (left := deadline - time.monotonic()) <= 0:
                raise TransportError(
                    f"group {self.group} is sharing out its partitions and waits for a member that is busy"
                )
            with self._calling(f"joining group {self.group}"):
                consumer._coordinator.poll(timeout_ms=int(left * 1000))

    def commit(self, offsets: Mapping[int, int]) -> bool:
        """Partition → offset of the next record to read. False if this is no member of the group at present."""
        consumer = self._consumer
        if consumer is None or consumer.group_metadata().state is MemberState.UNJOINED:
            return False
        try:
            with self._calling(f"committing {self.topic}"):
                consumer.commit(self._offsets(offsets), timeout_ms=int(_COMMIT_S * 1000))
        except TransportError as wrong:
            if isinstance(wrong.__cause__, errors.CommitFailedError):
                raise TransportError(
                    f"group {self.group} has given up on this member, which was away for longer than "
                    f"bus.session_timeout_s ({self._session_timeout_s:g} s) or did not poll for "
                    f"{MAX_POLL_INTERVAL_S:g} s; it joins again, and what was not committed is read again"
                ) from wrong
            raise
        self._answered = time.monotonic()
        return True

    def _offsets(self, offsets: Mapping[int, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {TopicPartition(self.topic, p): OffsetAndMetadata(at, "", -1) for p, at in offsets.items()}

    def start(self, partition: int) -> int:
        """Offset from which a partition that was just assigned is read."""
        consumer = self._open()
        with self._calling(f"looking where to begin in {self.topic}"):
            at: int | None = consumer.position(self._tp(partition), timeout_ms=int(_COMMIT_S * 1000))
            if at is None:
                raise errors.KafkaTimeoutError("no offset")
            return at

    def put_back(self, partition: int, offset: int) -> None:
        """What was returned from this offset on was not used; if the partition is ours, return it again."""
        if (consumer := self._consumer) is not None and self._tp(partition) in consumer.assignment():
            with self._calling(f"seeking in {self.topic}"):
                consumer.seek(self._tp(partition), offset)

    def seek(self, partition: int, offset: int) -> int:
        """Read on from there, or from the nearest offset that exists; which one it is."""
        consumer, tp, limit_ms = self._open(), self._tp(partition), int(REQUEST_S * 1000)
        with self._calling(f"seeking in {self.topic}"):
            first = consumer.beginning_offsets([tp], timeout_ms=limit_ms)[tp]
            end = consumer.end_offsets([tp], timeout_ms=limit_ms)[tp]
            at = int(max(first, min(offset, end)))
            if tp in consumer.assignment():
                consumer.seek(tp, at)
            return at

    def find(self, partitions: Iterable[int], at_ms: int) -> dict[int, int]:
        """Partition → offset of the first record published at or after the time, or the end."""
        consumer, limit_ms = self._open(), int(REQUEST_S * 1000)
        wanted = {self._tp(p): at_ms for p in partitions}
        with self._calling(f"looking for a time in {self.topic}"):
            ends = consumer.end_offsets(list(wanted), timeout_ms=limit_ms)
            found = consumer.offsets_for_times(dict(wanted), timeout_ms=limit_ms)
            return {tp.partition: ends[tp] if found[tp] is None else found[tp].offset for tp in wanted}

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes what happens, in kafka-python's thread."""

    def __init__(self, changes: deque[Change]) -> None:
        self._changes = changes

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._note("assigned", assigned)

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._note("revoked", revoked)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._note("lost", lost)

    def _note(self, what: str, partitions: Iterable[TopicPartition]) -> None:
        self._changes.append((what, frozenset(tp.partition for tp in partitions)))


def _instance(name: str) -> str:
    """A member's name as Kafka allows it (letters, digits, dot, hyphen); other characters as _ and their code."""
    made = re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", name)
    return made if len(made) <= _NAME else f"{made[: _NAME - 25]}-{digest(name)}"
