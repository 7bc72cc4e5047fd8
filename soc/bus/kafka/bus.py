"""Messages → topics of an Apache Kafka cluster; groups of members read them. See `soc.bus.base`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from soc.bus.base import REJECTED, Message, OnChange
from soc.bus.kafka.access import Cluster, KafkaAccess
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.member import Member
from soc.bus.kafka.offsets import Offsets
from soc.bus.kafka.outbox import Outbox
from soc.bus.kafka.subscription import KafkaSubscription

#: Before every group, so that our groups are told from others' on a shared cluster, and rights given for all of them.
GROUPS: Final = "soc."
_WAIT_S: Final = 10.0


class KafkaBus:
    """The bus on a cluster. Nothing is opened before it is used: a bus can be made while the brokers are away.

    Topic `x` is `prefix + x` on the cluster, group `g` is `prefix + "soc." + g`. Topics are made by
    `soc topics apply` (soc/bus/kafka/topics.py), never by use. On Kafka a group is one whatever it reads: when members
    of one of its topics come or go, those of its other topics must poll, too, before anybody goes on. So give each
    topic that one thread reads a group of its own.

    `publish` holds what is not acknowledged, `max_unflushed_records` and `max_unflushed_bytes` at most; when that is
    full it waits some seconds, then raises TransportError and has taken nothing: a collector keeps its spool.
    Records are acknowledged once all in-sync replicas have them. What was published, and not flushed, dies with the
    process, as everywhere.

    `member` names make a member static, see `soc.bus.base`. Every call of ours is bounded in time; should one of
    kafka-python's hang all the same (its issue 3121), the supervisor ends the role whose loop does not turn, and
    starts it again: nothing is lost, for what was not committed is read again.

    The bus may be used by several threads, a subscription by one.
    """

    def __init__(
        self,
        bootstrap: Sequence[str],
        *,
        access: KafkaAccess | None = None,
        prefix: str = "",
        max_unflushed_bytes: int = 32 << 20,
        max_unflushed_records: int = 20_000,
        session_timeout_s: float = 15.0,
        wait_s: float = _WAIT_S,
    ) -> None:
        self._prefix = prefix
        self._session_timeout_s = session_timeout_s
        self._administration = Administration(Cluster(tuple(bootstrap), access or KafkaAccess()))
        self._offsets = Offsets(self._administration)
        self._outbox = Outbox(
            self._administration,
            prefix + REJECTED,
            max_records=max_unflushed_records,
            max_bytes=max_unflushed_bytes,
            wait_s=wait_s,
        )
        self._lock = threading.Lock()
        self._subscriptions: list[KafkaSubscription] = []

    def _group(self, group: str) -> str:
        return f"{self._prefix}{GROUPS}{group}"

    # -- writing

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self._outbox.publish(self._prefix + topic, messages)

    def flush(self) -> None:
        self._outbox.flush()

    # -- reading

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        member: str = "",
        on_assigned: OnChange | None = None,
        on_revoked: OnChange | None = None,
    ) -> KafkaSubscription:
        """The first poll joins the group."""
        made = KafkaSubscription(
            Member(self._administration, self._prefix + topic, self._group(group), member, self._session_timeout_s),
            topic,
            on_assigned,
            on_revoked,
            self._left,
        )
        with self._lock:
            self._subscriptions.append(made)
        return made

    def _left(self, subscription: KafkaSubscription) -> None:
        with self._lock:
            self._subscriptions.remove(subscription)

    def lag(self, topic: str, group: str) -> int:
        return self._offsets.lag(self._prefix + topic, self._group(group))

    def committed(self, topic: str, group: str) -> dict[int, int]:
        return self._offsets.committed(self._prefix + topic, self._group(group))

    def end_offsets(self, topic: str) -> dict[int, int]:
        return self._offsets.ends(self._prefix + topic)

    def expire(self, topic: str, before: datetime) -> int:
        """Kafka deletes by its own retention, too (topics.yaml); this deletes earlier what everybody has read."""
        return self._offsets.expire(self._prefix + topic, self._prefix + GROUPS, before)

    def close(self) -> None:
        """Flush, leave all groups and close. What cannot be flushed raises TransportError, when all is closed."""
        try:
            self._outbox.close()
        finally:
            with self._lock:
                subscriptions = list(self._subscriptions)
            for subscription in subscriptions:
                subscription.close()
            self._administration.close()
