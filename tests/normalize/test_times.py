"""Stamps of senders become the one moment that they mean, or bad_timestamp."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from soc.event import RecordError
from soc.normalize.times import time_reader

RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
HANOI = "Asia/Ho_Chi_Minh"

GOOD = [
    ("rfc3339", "2026-11-24T08:00:00+07:00", "2026-11-24T01:00:00.000000Z"),
    ("rfc3339", "2026-11-24T08:00:00.123456789+0700", "2026-11-24T01:00:00.123456Z"),
    ("rfc3339", "2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
    ("iso8601", "2026-11-24 08:00:00", "2026-11-24T01:00:00.000000Z"),
    ("unix", 1795482000.5, "2026-11-24T01:00:00.500000Z"),
    ("unix", "-0.25", "1969-12-31T23:59:59.750000Z"),
    ("unix_ms", "1795482000123", "2026-11-24T01:00:00.123000Z"),
    ("unix_any", "1795482000", "2026-11-24T01:00:00.000000Z"),
    ("unix_any", 1795482000123456, "2026-11-24T01:00:00.123456Z"),
    ("unix_any", "1795482000123456789", "2026-11-24T01:00:00.123456Z"),
    ("httpdate", "24/Nov/2026:08:00:00 +0700", "2026-11-24T01:00:00.000000Z"),
    ("httpdate", "23/Nov/2026:19:30:00 -0530", "2026-11-24T01:00:00.000000Z"),
    ("syslog", "Nov 24 08:00:00", "2026-11-24T01:00:00.000000Z"),
    ("syslog", "Nov  4 08:00:00.5", "2026-11-04T01:00:00.500000Z"),
    ("syslog", "Dec 31 23:59:59", "2025-12-31T16:59:59.000000Z"),
    ("syslog", "Nov 25 09:00:00", "2026-11-25T02:00:00.000000Z"),  # within a day ahead: a fast clock, not last year
    ("syslog", "Nov 26 09:00:00", "2025-11-26T02:00:00.000000Z"),
    ("syslog", "Feb 29 08:00:00", "2024-02-29T01:00:00.000000Z"),
    ("syslog", "Nov 24 2020 08:00:00", "2020-11-24T01:00:00.000000Z"),
    ("syslog", "2020 Nov 24 08:00:00", "2020-11-24T01:00:00.000000Z"),
    ("syslog", "Nov 24 01:00:00 UTC", "2026-11-24T01:00:00.000000Z"),
    ("syslog", "2026-11-24T08:00:00,5", "2026-11-24T01:00:00.500000Z"),
    ("clock", "08:00:00", "2026-11-24T01:00:00.000000Z"),
    ("clock", "23:00:00", "2026-11-23T16:00:00.000000Z"),
    ("%Y/%m/%d %H:%M:%S", "2026/11/24 08:00:00", "2026-11-24T01:00:00.000000Z"),
    ("%d-%b-%Y %H:%M:%S %z", "24-Nov-2026 08:00:00 +0800", "2026-11-24T00:00:00.000000Z"),
]


@pytest.mark.parametrize(("layout", "stamp", "expected"), GOOD, ids=[f"{g[0]}:{g[1]}" for g in GOOD])
def test_is_read(layout: str, stamp: object, expected: str) -> None:
    assert time_reader((layout,), HANOI)(stamp, RECEIVED)[1] == expected


BAD = [
    ("rfc3339", "2026-11-24T08:00:00"),
    ("rfc3339", "2026-02-30T08:00:00Z"),
    ("rfc3339", 7),
    ("rfc3339", "9999-12-31T23:59:59-07:00"),
    ("unix", "soon"),
    ("unix", True),
    ("unix_ns", "9" * 40),
    ("httpdate", "31/Feb/2026:08:00:00 +0700"),
    ("httpdate", "24/Non/2026:08:00:00 +0700"),
    ("syslog", "Nov 31 08:00:00"),
    ("syslog", "yesterday"),
    ("clock", "25:00:00"),
    ("%Y", None),
]


@pytest.mark.parametrize(("layout", "stamp"), BAD, ids=[f"{b[0]}:{b[1]}" for b in BAD])
def test_is_refused(layout: str, stamp: object) -> None:
    with pytest.raises(RecordError, match="bad_timestamp"):
        time_reader((layout,), HANOI)(stamp, RECEIVED)


def test_formats_are_tried_in_order() -> None:
    read = time_reader(("rfc3339", "%Y-%m-%d %H:%M:%S"), HANOI)
    assert read("2026-11-24 08:00:00", RECEIVED) == read("2026-11-24T01:00:00Z", RECEIVED)


def test_in_january_december_is_last_year_and_in_december_january_is_next() -> None:
    read = time_reader(("syslog",), "UTC")
    assert read("Dec 31 23:00:00", datetime(2027, 1, 1, 1, tzinfo=UTC))[0].year == 2026
    assert read("Jan  1 00:10:00", datetime(2026, 12, 31, 23, 59, tzinfo=UTC))[0].year == 2027
    # what was remembered on one day does not outlive it
    assert read("Dec 31 23:00:00", datetime(2028, 1, 1, 1, tzinfo=UTC))[0].year == 2027
