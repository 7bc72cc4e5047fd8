"""Messages in, acknowledged by Kafka out; what is not acknowledged yet is held here, bounded, and never lost.

    taken ──▶ handed to kafka-python ──▶ acknowledged by all in-sync replicas: forgotten
      ▲                                  │
      └───────── failed ◀────────────────┘   the producer is stopped; a new one sends all that is left, in order

kafka-python's own buffer has no bound, so the bound is ours: records and bytes that are taken and not acknowledged.
Its producer is idempotent and retries for ever by itself, in order and without doubles, through outages of any
length. A future fails only for what a retry does not mend (a right is missing, a record is too large, the producer's
id was forgotten by the broker). Then everything behind it must not overtake it: its sender is stopped at once, in the
very callback, and the next publish or flush opens a new producer, which may send again what was on its way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from kafka import KafkaProducer, errors
from kafka.partitioner.default import murmur2

from soc.bus.base import Message, TooLargeError
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.clients import opened
from soc.bus.kafka.connecting import wait_for_connections
from soc.bus.kafka.failures import FAILURES, sentence, silent
from soc.bus.kafka.limits import MAX_REQUEST, Limits, size
from soc.bus.kafka.refusal import refused
from soc.event import TransportError

log = logging.getLogger(__name__)

#: What a record costs beside its bytes: kafka-python's future and ours (measured: 1.4 kB; most of it is short-lived).
_OVERHEAD: Final = 200
_LINGER_MS: Final = 20
_BATCH_BYTES: Final = 256 << 10
_NEVER_MS: Final = 2**31 - 1  # 24 days; what fails then is sent again by us
_BLOCK_MS: Final = 5_000  # waiting for a topic's metadata
_STOP_S: Final = 5.0
_HANGS_S: Final = 60.0
_SLICE_S: Final = 0.5
_PAUSE_S: Final = 0.002
#: The partitions of these keys are remembered: kafka-python's murmur2 costs 0.4 µs a byte.
_KEYS: Final = 16_384

_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)

_hash = lru_cache(_KEYS)(murmur2)


@dataclass(slots=True)
class _Entry:
    """One record that Kafka has not acknowledged. `future` is kafka-python's; None: (again) to be handed over."""

    number: int
    topic: str
    message: Message
    size: int
    future: Any = None


class Outbox:
    """Thread-safe. Topics by the names that the cluster knows.

    `wait_s` is the longest that `publish` waits for room and `flush` for acknowledgements, in seconds; opening a new
    producer may add as much again.
    """

    def __init__(
        self, administration: Administration, rejected: str, *, max_records: int, max_bytes: int, wait_s: float
    ) -> None:
        self._administration = administration
        self._cluster = administration.cluster
        self._limits = Limits(administration)
        self._rejected = rejected
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._wait_s = wait_s
        self._lock = threading.RLock()
        self._entries: deque[_Entry] = deque()  # in the order in which they were taken
        self._bytes = 0
        self._taken = 0
        self._moved = 0.0  # when an entry was acknowledged last, or the first one taken
        self._suspected = 0.0  # since when the cluster is known to answer while nothing moves; 0 = it is not
        self._looked = 0.0
        self._producer: KafkaProducer | None = None
        self._halted: BaseException | None = None  # why the producer was stopped

    # -- in

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Take all messages or none. Raises TooLargeError, and TransportError when there is no room in time."""
        if not messages:
            return
        sizes = [size(message) for message in messages]
        limit = self._limits.limit(topic, max(sizes))
        if too_large := [n for n, found in enumerate(sizes) if found > limit]:
            raise TooLargeError(topic, limit, too_large)
        needed = sum(sizes) + _OVERHEAD * len(messages)
        turns = _Turns(self._wait_s)
        while True:
            with self._lock:
                self._mend(turns)
                if self._has_room(len(messages), needed):
                    if not self._entries:
                        self._moved, self._suspected = time.monotonic(), 0.0
                    first = self._taken
                    self._taken += len(messages)
                    entries = [
                        _Entry(n, topic, m, s + _OVERHEAD)
                        for n, m, s in zip(range(first, self._taken), messages, sizes, strict=True)
                    ]
                    self._entries.extend(entries)
                    self._bytes += needed
                    self._hand_over(entries)
                    return
                producer = self._producer
            if turns.over:
                self._suspect()
                raise TransportError(f"no room for more records: {self._waiting()}")
            turns.wait(producer)

    def _has_room(self, records: int, needed: int) -> bool:
        for forget in (self._forget, self._sweep):
            forget()
            if not self._entries:
                return True  # a call that is larger than the bound is taken alone
            if len(self._entries) + records <= self._max_records and self._bytes + needed <= self._max_bytes:
                return True
        return False

    def flush(self) -> None:
        """Returns once all that was published before is acknowledged. Raises TransportError, and keeps what is not."""
        turns = _Turns(self._wait_s)
        with self._lock:
            last = self._taken - 1
        while True:
            with self._lock:
                self._forget()
                if not self._entries or self._entries[0].number > last:
                    return
                self._mend(turns)
                producer = self._producer
            if turns.over:
                self._suspect()
                raise TransportError(f"records are not acknowledged: {self._waiting()}")
            turns.wait(producer)

    def _forget(self) -> None:
        """Let go of what is acknowledged, up to the first that is not."""
        entries = self._entries
        while entries and (future := entries[0].future) is not None and future.is_done and future.exception is None:
            self._bytes -= entries.popleft().size
            self._moved, self._suspected = time.monotonic(), 0.0

    def _sweep(self) -> None:
        """Let go of all that is acknowledged."""
        left = deque(
            e for e in self._entries if e.future is None or not e.future.is_done or e.future.exception is not None
        )
        if len(left) < len(self._entries):
            self._moved, self._suspected = time.monotonic(), 0.0
        self._entries = left
        self._bytes = sum(entry.size for entry in left)

    # -- to kafka-python

    def _hand_over(self, entries: Iterable[_Entry]) -> None:
        """Give entries to the producer in order; the first that it does not take stops it, and stays."""
        producer: Any = self._producer
        halt = partial(self._halt, producer)
        partitions: dict[str, int] = {}
        try:
            for entry in entries:
                topic, message = entry.topic, entry.message
                if topic not in partitions:
                    partitions[topic] = len(producer.partitions_for(topic))
                entry.future = producer.send(
                    topic,
                    message.value,
                    message.key,
                    list(message.headers.items()),
                    (_hash(message.key) & 0x7FFFFFFF) % partitions[topic],  # as Kafka's own clients do by default
                ).add_errback(halt)
        except FAILURES as wrong:
            self._halt(producer, wrong)

    def _halt(self, producer: KafkaProducer, wrong: BaseException) -> None:
        """A record has failed: nothing more is sent. Called in kafka-python's sender thread, so it takes no lock."""
        if producer is self._producer and self._halted is None:
            self._halted = wrong
        producer._sender.force_close()  # close() would first wait for what cannot be sent

    def _mend(self, turns: _Turns) -> None:
        """See that there is a producer that works and has all entries. Raises TransportError.

        A call opens one new producer; if what stopped the old one stops the new one, too, the caller is told. Only
        records that are too large stop one after the other, and each is mended.
        """
        producer, halted = self._producer, self._halted
        if producer is not None and halted is None and producer._sender.is_alive():
            return
        if halted is not None and turns.mended and not isinstance(halted, _TOO_LARGE):
            raise TransportError(f"publishing: {self._why(halted)}; {len(self._entries)} records are kept")
        turns.mended = True
        self._stop()
        self._sweep()
        if isinstance(halted, _TOO_LARGE):
            self._set_aside()
        self._producer = self._open()
        self._halted = None
        for entry in self._entries:
            entry.future = None
        self._hand_over(self._entries)

    def _suspect(self) -> None:
        """A call has waited in vain: has the producer long sent nothing, while the cluster answers others? Then the
        next call opens a new one.

        Seen in kafka-python's source, not yet in the field: the loop that refreshes its metadata ends for ever when a
        refresh that somebody else began fails (kafka/cluster.py).
        """
        now = time.monotonic()
        with self._lock:
            self._sweep()
            if not self._entries or now - self._moved < _HANGS_S or now - self._looked < _HANGS_S / 2:
                return
            self._looked = now
            producer, topic = self._producer, self._entries[0].topic
        try:
            self._administration.partitions(topic)
        except TransportError:
            self._suspected = 0.0
            return
        if not self._suspected:
            self._suspected = now
        elif producer is not None and now - self._suspected >= _HANGS_S / 2:
            log.warning(
                "nothing was acknowledged for %.0f s by a cluster that answers: a new producer", now - self._moved
            )
            self._moved, self._suspected = now, 0.0
            self._halt(producer, errors.KafkaTimeoutError("the producer stood still"))

    def _open(self) -> KafkaProducer:
        producer = opened(
            KafkaProducer,
            self._cluster,
            "publishing",
            client_id="soc",
            acks="all",
            enable_idempotence=True,
            compression_type="zstd",
            linger_ms=_LINGER_MS,
            batch_size=_BATCH_BYTES,
            max_request_size=MAX_REQUEST,
            delivery_timeout_ms=_NEVER_MS,
            max_block_ms=_BLOCK_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        wait_for_connections(producer)
        return producer

    def _stop(self) -> None:
        """End the producer; what its sender has not had acknowledged by now is ours again."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._sender.force_close()
        producer._sender.join(_STOP_S)
        try:
            producer.close(timeout=0)
        except FAILURES as wrong:
            log.debug("a producer could not be closed: %r", wrong)
            producer._closed = True  # or it tries once more when it is collected, and says so

    def _set_aside(self) -> None:
        """What a broker has refused as too large goes to the rejected topic, with all that is too large by now."""
        topics = {entry.topic for entry in self._entries} | {self._rejected}
        for topic in topics:
            self._limits.forget(topic)
        limits = {topic: self._limits.limit(topic) for topic in topics}
        for entry in self._entries:
            at_fault = entry.future is not None and isinstance(entry.future.exception, _TOO_LARGE)
            if at_fault or size(entry.message) > limits[entry.topic]:
                log.warning("%s no longer takes a record of %s bytes: set aside", entry.topic, size(entry.message))
                entry.message = refused(entry.message, entry.topic, limits[entry.topic], limits[self._rejected])
                entry.topic, entry.future = self._rejected, None

    # -- out

    def _waiting(self) -> str:
        with self._lock:
            why = self._why(self._halted) if self._halted else silent(self._cluster, time.monotonic() - self._moved)
            return f"{len(self._entries)} wait ({self._bytes} bytes) and are kept. {why}"

    def _why(self, wrong: BaseException) -> str:
        topics = sorted({entry.topic for entry in self._entries if entry.future is None or entry.future.exception})
        return sentence(wrong, self._cluster, ", ".join(topics))

    def close(self) -> None:
        """Flush, then end. Raises TransportError for what could not be flushed; it is gone then."""
        try:
            self.flush()
        finally:
            with self._lock:
                self._stop()


class _Turns:
    """How long one call has waited, and whether it has opened a new producer."""

    def __init__(self, wait_s: float) -> None:
        self._deadline = time.monotonic() + wait_s
        self.mended = False

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._deadline

    def wait(self, producer: KafkaProducer) -> None:
        """Have everything sent that lingers, and wait a while for acknowledgements."""
        begin = time.monotonic()
        try:
            producer.flush(timeout=max(0.01, min(_SLICE_S, self._deadline - begin)))
        except FAILURES as wrong:  # what became of each record stands in its future
            log.debug("waiting for acknowledgements: %r", wrong)
        if time.monotonic() - begin < _PAUSE_S:
            time.sleep(_PAUSE_S)  # a batch that was split is waited for anew
