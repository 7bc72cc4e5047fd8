"""The distributed bus: Apache Kafka through kafka-python, which is imported in this package alone."""

from soc.bus.kafka.access import KafkaAccess
from soc.bus.kafka.bus import KafkaBus

__all__ = ["KafkaAccess", "KafkaBus"]
