"""A topic → the largest record it takes, as the brokers say."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from soc.bus.base import Message
from soc.bus.kafka.administration import Administration

log = logging.getLogger(__name__)

_KEY: Final = "max.message.bytes"
#: Kafka's own default, assumed where the user may not look (no DescribeConfigs on the topic).
ASSUMED: Final = 1_048_588
#: Bytes of a request at most; below the brokers' socket.request.max.bytes (104,857,600).
MAX_REQUEST: Final = 32 << 20
#: A record of its own is a batch: 61 bytes of batch header, up to 21 of the record's own, and what zstd adds to bytes
#: that cannot be compressed (frame header and checksum, 3 bytes a block of 128 KiB).
#: https://kafka.apache.org/documentation/#recordbatch and RFC 8878
_BATCH: Final = 61 + 21 + 64
_ZSTD_SHARE: Final = 16_384  # one more byte for so many
_HEADER: Final = 10  # two lengths
_LOOK_S: Final = 60.0


def size(message: Message) -> int:
    """Bytes of the record as a topic counts them, uncompressed, and at most a few too many."""
    headers = sum(len(name.encode()) + len(value) + _HEADER for name, value in message.headers.items())
    return len(message.key) + len(message.value) + headers


class Limits:
    """Asked of the brokers once; again when a record seems too large, or when a broker has refused one."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._lock = threading.Lock()
        self._known: dict[str, tuple[int, float]] = {}  # topic → limit, when asked

    def limit(self, topic: str, wanted: int = 0) -> int:
        """Most bytes of a record (see `size`). `wanted` bytes are there: if they are too many, an old answer does not
        count. Raises TransportError."""
        with self._lock:
            limit, asked = self._known.get(topic, (-1, 0.0))
        if limit < 0 or (wanted > limit and time.monotonic() - asked > _LOOK_S):
            limit = self._ask(topic)
            with self._lock:
                self._known[topic] = (limit, time.monotonic())
        return limit

    def forget(self, topic: str) -> None:
        """A broker refused a record that should have fitted: the limit has changed."""
        with self._lock:
            self._known.pop(topic, None)

    def _ask(self, topic: str) -> int:
        self._administration.partitions(topic)  # says so when the topic does not exist

        def question(admin: KafkaAdminClient) -> str | None:
            resource = ConfigResource("TOPIC", topic, [_KEY])
            found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
            return found[_KEY]["value"] if _KEY in found else None

        told = self._administration.ask(f"asking for the limits of {topic}", question, topic)
        if told is None:
            log.info(
                "this user may not see how large a record of %s may be (describe_configs): taking %s", topic, ASSUMED
            )
        whole = min(ASSUMED if told is None else int(told), MAX_REQUEST)
        return whole - _BATCH - whole // _ZSTD_SHARE
