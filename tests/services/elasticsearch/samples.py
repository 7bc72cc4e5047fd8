"""Events and records that the tests of the store write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from soc.event import Event, Fields, RawRecord, Rejected, digest, rfc3339

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def event(n: int, fields: Fields | None = None, *, received: datetime = NOON, **changes: Any) -> Event:
    """The n-th event of a day, one a second."""
    timestamp = received + timedelta(seconds=n)
    name = f"{received:%Y%m%d}-{digest(n)}"
    document = {"@timestamp": rfc3339(timestamp), "event.dataset": "linux_auth", "event.original": f"line {n}"}
    document |= {"host.name": f"PC-{n % 7:04d}"}
    facts: dict[str, Any] = {"record_id": name, "unit": "vn:xa:00001", "source": "linux_auth"} | changes
    return Event(
        name, facts["record_id"], timestamp, received, facts["source"], (), document | (fields or {}), facts["unit"]
    )


def rejection(n: int, received: datetime = NOON) -> Rejected:
    record = RawRecord(f"{received:%Y%m%d}-{digest(n)}", b"line \xff%d" % n, received, "linux_auth", "vn:xa:00001")
    return Rejected(record, "bad_format", "expected something else", "parse")
