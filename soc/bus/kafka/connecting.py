"""A mend of kafka-python 3.0: a producer that is not connected waits, and does not spin.

While a broker is away, the sender thread of kafka-python 3.0.12 asks for how long to wait before it looks again. It is
told seconds and takes them for milliseconds, and 0 while a connection is being made (producer/sender.py,
_send_producer_data): with a broker that stands still, or behind a network that swallows packets, that is a whole core.
"""

from __future__ import annotations

from typing import Final

from kafka import KafkaProducer

#: It wakes up at once when the connection is made; this is how often it looks without that.
_LEAST_MS: Final = 50.0


def wait_for_connections(producer: KafkaProducer) -> None:
    """From now on the producer's sender waits for as long as it is told, and a little while connecting."""
    client = producer._sender._client
    delay_s = client.connection_delay

    def delay_ms(node_id: object) -> float:
        return max(_LEAST_MS, float(delay_s(node_id)) * 1000)

    client.connection_delay = delay_ms
