"""RawRecord ⇄ bus message, and Rejected ⇄ bus message: exact bytes as the value, receipts as headers.

    key      sender NUL stream        order holds within it
    value    the record's bytes, exactly
    headers  id, received (RFC 3339), source, unit, sender, stream; facts as one JSON object; empty ones are left out
             a rejected record has code, detail and stage beside them

A message without our headers comes from a foreign shipper that writes to the topic itself. Its id is where it stands
(topic, partition, offset), its time of receipt is when the bus took it, its source FOREIGN.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

import orjson

from soc.bus.base import Delivery, Message
from soc.event import FOREIGN, RECORD_ERROR_CODES, RawRecord, Rejected, rfc3339


@lru_cache(maxsize=1024)  # a batch shares its time of receipt
def _received_text(moment: datetime) -> bytes:
    return rfc3339(moment).encode()


@lru_cache(maxsize=1024)
def _received(text: bytes) -> datetime:
    moment = datetime.fromisoformat(text.decode("ascii"))
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)


def to_message(record: RawRecord) -> Message:
    """The message of a record for topic soc.raw. Texts must be valid Unicode (no lone surrogates)."""
    sender = record.sender.encode()
    stream = record.stream.encode()
    headers = {"id": record.id.encode(), "received": _received_text(record.received), "source": record.source.encode()}
    if record.unit:
        headers["unit"] = record.unit.encode()
    if sender:
        headers["sender"] = sender
    if stream:
        headers["stream"] = stream
    if record.facts:
        headers["facts"] = orjson.dumps(record.facts)
    return Message(b"%b\0%b" % (sender, stream), record.data, headers)


def from_delivery(delivery: Delivery) -> RawRecord:
    """The record that a message of topic soc.raw carries. Never raises: what is not ours is read as a foreign one."""
    headers = delivery.headers
    try:
        facts = orjson.loads(headers["facts"]) if "facts" in headers else {}
        if not isinstance(facts, dict):
            return _foreign(delivery)
        return RawRecord(
            headers["id"].decode(),
            delivery.value,
            _received(headers["received"]),
            headers["source"].decode(),
            headers["unit"].decode() if "unit" in headers else "",
            headers["sender"].decode() if "sender" in headers else "",
            headers["stream"].decode() if "stream" in headers else "",
            facts,
        )
    except (KeyError, ValueError):
        return _foreign(delivery)


def _foreign(delivery: Delivery) -> RawRecord:
    place = f"{delivery.topic}-{delivery.partition}-{delivery.offset}"
    return RawRecord(
        id=f"{delivery.published:%Y%m%d}-{place}",
        data=delivery.value,
        received=delivery.published,
        source=FOREIGN,
        sender=delivery.key.decode("utf-8", "backslashreplace"),
        stream=f"{delivery.topic}-{delivery.partition}",
    )


def rejected_to_message(rejected: Rejected) -> Message:
    """The message of a record that was set aside, for topic soc.rejected."""
    message = to_message(rejected.record)
    headers = {
        **message.headers,
        "code": rejected.code.encode(),
        "detail": rejected.detail.encode("utf-8", "backslashreplace"),
        "stage": rejected.stage.encode(),
    }
    return Message(message.key, message.value, headers)


def rejected_from_delivery(delivery: Delivery) -> Rejected:
    """What a message of topic soc.rejected carries. Never raises: a foreign one counts as `bad_format`."""
    headers = delivery.headers
    code = headers.get("code", b"").decode("utf-8", "replace")
    detail = headers.get("detail", b"").decode("utf-8", "replace")
    if code not in RECORD_ERROR_CODES:
        code, detail = "bad_format", detail or "written to the topic without a code"
    stage = headers.get("stage", b"collect").decode("utf-8", "replace")
    return Rejected(from_delivery(delivery), code, detail, stage)
