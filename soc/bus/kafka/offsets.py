"""How far groups have read: a cluster's offsets in, lag and ends out; and what all have read is deleted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kafka import TopicPartition
from kafka.admin import OffsetSpec

from soc.bus.kafka.administration import Administration

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
#: Asked about with the groups that are there: whoever may not see it may not see all groups that begin as ours do.
_ANY: Final = "any"


def milliseconds(moment: datetime) -> int:
    """The first whole millisecond since 1970 at or after the moment; Kafka knows none before 0."""
    return max(0, -((_EPOCH - moment) // timedelta(milliseconds=1)))


def from_milliseconds(number: int) -> datetime:
    """Aware UTC; a record without a time (-1) is of 1970, one of the far future of the year 9999."""
    return _EPOCH + timedelta(milliseconds=min(max(0, number), _LAST_MS))


class Offsets:
    """Offsets of topics and groups. Topics and groups by the names that the cluster knows; TransportError if asked in
    vain."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def ends(self, topic: str) -> dict[int, int]:
        """Partition → offset that the next record gets."""
        return self._listed(topic, OffsetSpec.LATEST)

    def firsts(self, topic: str) -> dict[int, int]:
        """Partition → oldest offset that is kept."""
        return self._listed(topic, OffsetSpec.EARLIEST)

    def _listed(self, topic: str, spec: Any) -> dict[int, int]:
        wanted = {TopicPartition(topic, p): spec for p in self._administration.partitions(topic)}
        found = self._administration.ask(
            f"asking for the offsets of {topic}", lambda admin: admin.list_partition_offsets(wanted), topic
        )
        return {tp.partition: at.offset for tp, at in found.items()}

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """Partition → committed offset, of those that have one."""
        return self._of_groups(topic, [group], group)[group]

    def _of_groups(self, topic: str, groups: list[str], said: str) -> dict[str, dict[int, int]]:
        """Group → its committed offsets; `said` names the groups in a sentence."""
        found = self._administration.ask(
            "asking for committed offsets", lambda admin: admin.list_group_offsets(dict.fromkeys(groups)), topic, said
        )
        return {
            group: {tp.partition: at.offset for tp, at in offsets.items() if tp.topic == topic and at.offset >= 0}
            for group, offsets in found.items()
        }

    def lag(self, topic: str, group: str) -> int:
        """Records that are kept and not committed by the group."""
        committed, firsts = self.committed(topic, group), self.firsts(topic)
        return sum(end - max(committed.get(p, 0), firsts[p]) for p, end in self.ends(topic).items())

    def slowest(self, topic: str, prefix: str) -> dict[int, int] | None:
        """Partition → least committed offset of the groups whose names begin so; None if none reads the topic.

        Raises TransportError when this user may not see all of them.
        """
        listed = self._administration.ask("listing groups", lambda admin: admin.list_groups())
        names = [group["group_id"] for group in listed if group["group_id"].startswith(prefix)]
        of_groups = self._of_groups(topic, [prefix + _ANY, *names], f"{prefix}*")
        readers = [committed for committed in of_groups.values() if committed]
        if not readers:
            return None
        return {p: min(r.get(p, 0) for r in readers) for p in set().union(*readers)}

    def expire(self, topic: str, prefix: str, before: datetime) -> int:
        """Delete what was published before the moment and every group has committed; how many records."""
        slowest, firsts = self.slowest(topic, prefix), self.firsts(topic)
        bounds = self._found(topic, before)
        if slowest is not None:
            bounds = {p: min(at, slowest.get(p, 0)) for p, at in bounds.items()}
        wanted = {TopicPartition(topic, p): at for p, at in bounds.items() if at > firsts[p]}
        if not wanted:
            return 0
        deleted: Mapping[Any, Any] = self._administration.ask(
            f"deleting records of {topic}", lambda admin: admin.delete_records(wanted), topic
        )
        return sum(result["low_watermark"] - firsts[tp.partition] for tp, result in deleted.items())

    def _found(self, topic: str, moment: datetime) -> dict[int, int]:
        """Partition → offset of the first record published at or after the moment, or the end."""
        ends, at = self.ends(topic), milliseconds(moment)
        wanted = {TopicPartition(topic, p): at for p in ends}
        found = self._administration.ask(
            f"looking for a time in {topic}", lambda admin: admin.list_partition_offsets(wanted), topic
        )
        return {tp.partition: ends[tp.partition] if o.offset < 0 else o.offset for tp, o in found.items()}
