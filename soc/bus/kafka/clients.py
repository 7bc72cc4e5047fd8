"""A kind of kafka-python's clients and its settings in, an open client out; and clients closed, whatever their state.

kafka-python's clients start a thread and open sockets before they know whether a broker answers, and leave them behind
when none does. Through an outage of hours that would be hundreds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Final

from kafka import errors
from kafka.net.compat import KafkaNetClient

from soc.bus.kafka.access import Cluster
from soc.bus.kafka.failures import FAILURES, failures
from soc.event import TransportError

log = logging.getLogger(__name__)

_CLOSE_S: Final = 10.0


def opened(kind: Callable[..., Any], cluster: Cluster, what: str, topic: str = "", group: str = "", **own: Any) -> Any:
    """A client that has seen a broker. `what` it is for, `own`: settings of its kind.

    Raises TransportError, which says what to look at, and then has left nothing behind.
    """
    begun: list[Any] = []

    def network(**settings: Any) -> Any:
        begun.append(KafkaNetClient(**settings))
        return begun[-1]

    with failures(cluster, what, topic, group):
        settings = cluster.settings()
        try:
            return kind(kafka_client=network, **own, **settings)
        except FAILURES as wrong:
            for one in begun:
                closed(one.close)
            if isinstance(wrong, errors.KafkaTimeoutError):
                raise TransportError(cluster.unreachable()) from wrong
            raise


def closed(close: Callable[[], object]) -> None:
    """Close in a thread of its own: kafka-python may wait for ever for what has failed."""

    def closing() -> None:
        try:
            close()
        except FAILURES as wrong:
            log.debug("a client could not be closed: %r", wrong)

    thread = threading.Thread(target=closing, name="kafka client closing", daemon=True)
    thread.start()
    thread.join(_CLOSE_S)
