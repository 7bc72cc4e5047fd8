"""What goes onto the bus comes back as it was; what a foreign shipper wrote is read, too."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from soc.bus.base import Delivery, Message
from soc.collect.wire import from_delivery, rejected_from_delivery, rejected_to_message, to_message
from soc.event import RECORD_ERROR_CODES, RawRecord, Rejected

PUBLISHED = datetime(2026, 11, 24, 1, 2, 3, 4, tzinfo=UTC)

texts = st.text(max_size=12)
records = st.builds(
    RawRecord,
    id=texts,
    data=st.binary(max_size=60),
    received=st.datetimes(timezones=st.just(UTC)),
    source=texts,
    unit=texts,
    sender=texts,
    stream=texts,
    facts=st.dictionaries(texts, texts, max_size=4),
)


def delivered(message: Message) -> Delivery:
    return Delivery("soc.raw", 3, 18422, message.key, message.value, message.headers, PUBLISHED)


@given(record=records)
def test_any_record_survives_the_bus(record: RawRecord) -> None:
    assert from_delivery(delivered(to_message(record))) == record


@given(record=records, code=st.sampled_from(sorted(RECORD_ERROR_CODES)), detail=texts)
def test_any_rejected_record_survives_the_bus(record: RawRecord, code: str, detail: str) -> None:
    rejected = Rejected(record, code, detail, "collect")
    assert rejected_from_delivery(delivered(rejected_to_message(rejected))) == rejected


@given(
    headers=st.dictionaries(
        st.sampled_from(["id", "received", "source", "unit", "sender", "stream", "facts", "code", "other"]),
        st.binary(max_size=12) | st.just(b"2026-11-24T01:02:03.000000Z"),
    ),
    key=st.binary(max_size=5),
    value=st.binary(max_size=5),
)
def test_any_foreign_message_is_a_record_with_its_bytes(headers: dict[str, bytes], key: bytes, value: bytes) -> None:
    delivery = delivered(Message(key, value, headers))
    assert from_delivery(delivery).data == value
    assert rejected_from_delivery(delivery).code in RECORD_ERROR_CODES


def test_a_foreign_message_is_known_by_where_it_stands() -> None:
    record = from_delivery(delivered(Message(b"fw\xff1", b"<13>x", {"trace": b"1"})))
    assert record == RawRecord(
        "20261124-soc.raw-3-18422", b"<13>x", PUBLISHED, sender="fw\\xff1", stream="soc.raw-3", source="bus"
    )


def test_the_key_is_sender_and_stream() -> None:
    record = RawRecord("1", b"", PUBLISHED, sender="192.0.2.1", stream="tcp")
    assert to_message(record).key == b"192.0.2.1\0tcp"
