"""The bus as its users see it: records in by topic, records out by topic and group.

One contract suite (tests/contract/test_bus.py) says what every implementation must do. The words are Kafka's:
a topic has partitions, a record's key decides its partition, order holds within a partition, a group shares the
partitions among its members, and what a member did not commit is read again by whoever gets the partition next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from soc.event import SocError

RAW: Final = "soc.raw"
DETECTIONS: Final = "soc.detections"
REJECTED: Final = "soc.rejected"
COUNTS: Final = "soc.counts"
TOPICS: Final = (RAW, DETECTIONS, REJECTED, COUNTS)


class TooLargeError(SocError):
    """Messages are larger than their topic takes. Nothing of the call was published; `at` are their indexes."""

    def __init__(self, topic: str, limit: int, at: Sequence[int]) -> None:
        super().__init__(f"{len(at)} messages are larger than the {limit} bytes that {topic} takes")
        self.limit = limit
        self.at = list(at)


@dataclass(frozen=True, slots=True)
class Message:
    """What goes onto the bus. `headers` are short texts beside the bytes."""

    key: bytes
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it is read back. `published` (aware UTC) is when the bus took it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]
    published: datetime


Partitions = frozenset[int]
OnChange = Callable[[Partitions], None]


class Subscription(Protocol):
    """One member of a group reading one topic. Not thread-safe. Every call may raise TransportError."""

    def poll(self, max_records: int, timeout_s: float) -> list[Delivery]:
        """Up to max_records in order per partition; returns early with what there is, [] after timeout_s.

        Partition changes are told (on_revoked, then on_assigned) from within poll, before its result.
        """

    def commit(self) -> None:
        """Everything that poll has returned of the partitions still held is done and will not be read again."""

    def assigned(self) -> Partitions: ...

    def position(self, partition: int) -> int:
        """Offset of the next record that poll would return."""

    def seek(self, partition: int, offset: int) -> None:
        """Read on from there; an offset that retention has removed means the oldest that is left."""

    def seek_time(self, moment: datetime) -> None:
        """Read on, in every held partition, from the first record published at or after the moment."""

    def close(self) -> None:
        """Leave the group at once; what was not committed is read again by another member."""


class Bus(Protocol):
    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Hand over in order. May buffer; blocks (back-pressure) when the bound on unflushed bytes is reached.

        Raises TooLargeError, and then has published nothing; the caller sets those messages aside.
        """

    def flush(self) -> None:
        """Returns once everything published before is durable. Raises TransportError if it is not (yet): call again,
        what was not taken is kept and sent again."""

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        member: str = "",
        on_assigned: OnChange | None = None,
        on_revoked: OnChange | None = None,
    ) -> Subscription:
        """Join the group. A new group starts at the oldest record. `member` is a stable name (static membership),
        of one subscription within the group."""

    def lag(self, topic: str, group: str) -> int:
        """Records published and not yet committed by the group, over all partitions."""

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """Partition → offset up to which the group has committed; a partition without a commit is left out."""

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition → offset that the next published record will get."""

    def expire(self, topic: str, before: datetime) -> int:
        """Remove records published before the moment that every known group has committed; how many."""

    def close(self) -> None: ...
