"""What a topic does not take is set aside with its reason, whole where that can be, and never stops the stream."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.bus.base import RAW, REJECTED, Bus, Message, TooLargeError
from soc.bus.sqlite import SqliteBus
from soc.collect.publish import publish
from soc.collect.wire import from_delivery, rejected_from_delivery
from soc.event import RawRecord, Rejected, record_id

RECEIVED = datetime(2026, 11, 25, tzinfo=UTC)
#: As in the table of topics: what raw refuses, rejected takes, up to a limit of its own.
LIMITS = {RAW: 1_000, REJECTED: 10_000}


class Limited(SqliteBus):
    """The embedded bus with a limit for each topic, as Kafka has."""

    def publish(self, topic: str, messages: list[Message]) -> None:  # type: ignore[override]
        if at := [n for n, m in enumerate(messages) if len(m.value) > LIMITS[topic]]:
            raise TooLargeError(topic, LIMITS[topic], at)
        super().publish(topic, messages)


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return Limited(tmp_path)


def record(n: int, size: int) -> RawRecord:
    return RawRecord(record_id(RECEIVED, n), b"x" * size, RECEIVED, "linux_auth", "", "sender", "stream")


def read(bus: Bus, topic: str) -> list:
    bus.flush()
    subscription = bus.subscribe(topic, "test")
    return subscription.poll(100, 1.0)


def test_a_record_too_large_for_its_topic_is_set_aside_whole_and_the_rest_goes_on(bus: Bus) -> None:
    small, large, after = record(1, 10), record(2, 5_000), record(3, 10)
    publish(bus, [small, large, after])
    assert [from_delivery(d) for d in read(bus, RAW)] == [small, after]
    (set_aside,) = [rejected_from_delivery(d) for d in read(bus, REJECTED)]
    assert (set_aside.record, set_aside.code, set_aside.stage) == (large, "too_large", "collect")
    assert "1000 bytes" in set_aside.detail


def test_one_that_no_topic_takes_keeps_its_beginning_its_size_and_its_digest(bus: Bus) -> None:
    huge = record(1, 50_000)
    publish(bus, [Rejected(huge, "bad_format", "because", "collect"), huge])
    found = [rejected_from_delivery(d) for d in read(bus, REJECTED)]
    assert [(r.record.id, r.code) for r in found] == [(huge.id, "bad_format"), (huge.id, "too_large")]
    for item in found:
        assert huge.data.startswith(item.record.data)
        assert len(item.record.data) == 4_096
        assert "50000 bytes" in item.detail
    assert read(bus, RAW) == []
