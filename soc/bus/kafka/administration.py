"""Questions about topics and groups in, the cluster's answers out: an admin client, opened when it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from kafka import KafkaAdminClient, errors

from soc.bus.kafka.access import REQUEST_S, Cluster
from soc.bus.kafka.clients import closed, opened
from soc.bus.kafka.failures import failures, missing, sentence
from soc.event import TransportError

Result = TypeVar("Result")

_PAUSE_S: Final = 0.1


@contextmanager
def admin_of(cluster: Cluster) -> Iterator[KafkaAdminClient]:
    """An admin client for the time of the block. Raises TransportError."""
    admin = _open(cluster)
    try:
        yield admin
    finally:
        closed(admin.close)


def _open(cluster: Cluster) -> KafkaAdminClient:
    return opened(KafkaAdminClient, cluster, "asking Kafka", client_id="soc-admin")


class Administration:
    """Thread-safe; one question at a time. The client is opened anew after a failure."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._lock = threading.Lock()
        self._admin: KafkaAdminClient | None = None

    def ask(
        self, what: str, question: Callable[[KafkaAdminClient], Result], topic: str = "", group: str = ""
    ) -> Result:
        """The answer. `what` is being done, for the sentence of the TransportError.

        Answers that say "not yet" (a coordinator that is being elected, a leader that moves) are asked for again
        until REQUEST_S is over. A client that was open before is replaced once: its broker may have been away.
        """
        deadline = time.monotonic() + REQUEST_S
        with self._lock:
            while True:
                opened = self._admin is not None
                try:
                    return self._asked(what, question, topic, group)
                except TransportError as wrong:
                    self._drop()
                    again = opened or _soon(wrong.__cause__)
                    if not again or time.monotonic() > deadline:
                        raise
                time.sleep(_PAUSE_S)

    def _asked(self, what: str, question: Callable[[KafkaAdminClient], Result], topic: str, group: str) -> Result:
        if self._admin is None:
            self._admin = _open(self.cluster)
        with failures(self.cluster, what, topic, group):
            return question(self._admin)

    def partitions(self, topic: str) -> list[int]:
        """The topic's partitions. Raises TransportError, which says so when it does not exist."""
        (found,) = self.ask("looking at topics", lambda admin: admin.describe_topics([topic]), topic)
        if found["error_code"]:
            kind = errors.for_code(found["error_code"])
            if kind is errors.UnknownTopicOrPartitionError:
                raise TransportError(missing(topic))
            raise TransportError(sentence(kind(), self.cluster, topic))
        return sorted(partition["partition_index"] for partition in found["partitions"])

    def _drop(self) -> None:
        if self._admin is not None:
            closed(self._admin.close)
            self._admin = None

    def close(self) -> None:
        with self._lock:
            self._drop()


def _soon(wrong: BaseException | None) -> bool:
    """Whether a broker has said that it will know soon."""
    told = isinstance(wrong, errors.BrokerResponseError) and wrong.retriable
    return told and not isinstance(wrong, errors.UnknownTopicOrPartitionError)
