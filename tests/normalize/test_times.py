"""Stamps of senders become the one moment that they mean, or bad_timestamp."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.event import Event, RawRecord, RecordError, rfc3339
from soc.normalize import Sources, load_sources
from soc.normalize.stamps import moment_of
from soc.normalize.times import LIVE, ZONE_GUESSED, time_reader, utc_reader
from soc.normalize.unknown import unknown

SOURCES = Path(__file__).resolve().parents[2] / "pipelines" / "sources"
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
    ("%b %d %H:%M:%S", "Nov 24 08:00:00", "2026-11-24T01:00:00.000000Z"),
    ("%b %d %H:%M:%S", "Dec 31 23:59:59", "2025-12-31T16:59:59.000000Z"),
    ("%d.%m. %H:%M", "29.02. 08:00", "2024-02-29T01:00:00.000000Z"),
    ("%b %d %Y %H:%M:%S %Z", "Nov 24 2026 01:00:00 UTC", "2026-11-24T01:00:00.000000Z"),
    ("%b %d %Y %H:%M:%S.%f %Z", "Nov 24 2026 08:00:00.5 ICT", "2026-11-24T01:00:00.500000Z"),
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
    ("%b %d %Y %H:%M:%S %Z", "Nov 24 2026 01:00:00 EST"),
    ("%b %d %Y %H:%M:%S %Z", "UTC"),
]


@pytest.mark.parametrize(("layout", "stamp"), BAD, ids=[f"{b[0]}:{b[1]}" for b in BAD])
def test_is_refused(layout: str, stamp: object) -> None:
    with pytest.raises(RecordError, match="bad_timestamp"):
        time_reader((layout,), HANOI)(stamp, RECEIVED)


def test_formats_are_tried_in_order() -> None:
    read = time_reader(("rfc3339", "%Y-%m-%d %H:%M:%S"), HANOI)
    assert read("2026-11-24 08:00:00", RECEIVED) == read("2026-11-24T01:00:00Z", RECEIVED)


MANY: tuple[str, ...] = (
    "unix_any",
    "rfc3339",
    "%b %d %Y %H:%M:%S.%f %Z",
    "%b %d %Y %H:%M:%S %Z",
    "%b %d %Y %H:%M:%S.%f",
    "%d.%m.%Y",
)
MANY += ("%b %d %Y %H:%M:%S", "%H:%M %d/%m/%Y", "%b %d %H:%M:%S", "iso8601", "syslog", "httpdate", "clock")


@settings(max_examples=200, deadline=None)
@given(
    at=st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)),
    layout=st.sampled_from(
        [*MANY[2:9], "%Y-%m-%dT%H:%M:%S.%f", "%b  %d %H:%M:%S", "%d/%b/%Y:%H:%M:%S +0700", "%H:%M:%S"]
    ),
    noise=st.sampled_from(["", " ", "7", "Z", ".5", "+07:00", "UTC"]),
    before=st.booleans(),
    formats=st.permutations(MANY),
)
def test_of_several_formats_the_first_counts_that_fits(
    at: datetime, layout: str, noise: str, before: bool, formats: list[str]
) -> None:
    stamp = at.strftime(layout)
    stamp = noise + stamp if before else stamp + noise
    alone = [outcome(time_reader((name,), HANOI), stamp) for name in formats]
    expected = next((found for found in alone if found != "bad_timestamp"), "bad_timestamp")
    assert outcome(time_reader(tuple(formats), HANOI), stamp) == expected


def test_in_january_december_is_last_year_and_in_december_january_is_next() -> None:
    read = time_reader(("syslog",), "UTC")
    assert read("Dec 31 23:00:00", datetime(2027, 1, 1, 1, tzinfo=UTC))[0].year == 2026
    assert read("Jan  1 00:10:00", datetime(2026, 12, 31, 23, 59, tzinfo=UTC))[0].year == 2027
    # what was remembered on one day does not outlive it
    assert read("Dec 31 23:00:00", datetime(2028, 1, 1, 1, tzinfo=UTC))[0].year == 2027


def test_the_year_depends_on_the_day_of_receipt_alone_not_on_what_was_read_before() -> None:
    early, late = datetime(2026, 11, 24, 0, 1, tzinfo=UTC), datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
    for first, second in ((early, late), (late, early)):
        read = time_reader(("syslog",), "UTC")
        assert read("Nov 25 12:00:00", first) == read("Nov 25 12:00:00", second)


MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1))
#: How senders write a local time: format, text of it. The second texts of syslog and ISO 8601 have a fraction.
WRITERS: list[tuple[str, Callable[[datetime], str]]] = [
    ("iso8601", lambda t: t.isoformat(" ", "seconds")),
    ("iso8601", lambda t: t.isoformat("T", "milliseconds")),
    ("iso8601", lambda t: t.strftime("%Y%m%dT%H%M%S.%f")),
    ("syslog", lambda t: t.strftime("%b %d %H:%M:%S")),
    ("syslog", lambda t: t.strftime("%b %d %H:%M:%S.%f")),
    ("syslog", lambda t: t.isoformat("T", "microseconds")),
    ("httpdate", lambda t: t.strftime("%d/%b/%Y:%H:%M:%S +0530")),
    ("%d.%m.%Y %H:%M:%S", lambda t: t.strftime("%d.%m.%Y %H:%M:%S")),
    ("%a %b %d %H:%M:%S.%f %Y", lambda t: t.strftime("%a %b %d %H:%M:%S.%f %Y")),
    ("%d/%m/%Y %I:%M:%S %p", lambda t: t.strftime("%d/%m/%Y %I:%M:%S %p")),
    ("%Y%m%d %H:%M:%S %z", lambda t: t.strftime("%Y%m%d %H:%M:%S +0930")),
    ("%H:%M:%S.%f", lambda t: t.strftime("%H:%M:%S.%f")),
]
ZONES = ["UTC", HANOI, "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia"]


@settings(max_examples=100, deadline=None)
@given(
    start=st.one_of(MOMENTS, st.sampled_from([datetime(2026, 10, 25, 2, 59, 30), datetime(1972, 1, 7, 0, 44, 0)])),
    steps=st.lists(st.integers(0, 90_000), min_size=1, max_size=8),
    writer=st.sampled_from(WRITERS),
    zone=st.sampled_from(ZONES),
)
def test_what_was_read_before_changes_nothing(
    start: datetime, steps: list[int], writer: tuple[str, Callable[[datetime], str]], zone: str
) -> None:
    layout, written = writer
    read = time_reader((layout,), zone)
    for step in steps:
        start += timedelta(milliseconds=step)
        received = start.replace(tzinfo=UTC)
        stamp = written(start)
        assert read(stamp, received) == time_reader((layout,), zone)(stamp, received)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("0123456789-:.T +ZW,", min_size=1, max_size=24), min_size=1, max_size=6))
def test_memory_lets_nothing_in_that_is_no_stamp(tails: list[str]) -> None:
    starts = ("iso8601", "2026-11-24 08:00:07"), ("syslog", "Nov 24 08:00:07"), ("%H:%M:%S", "08:00:07")
    for layout, start in (*starts, ("%H:%M:%S.%f", "08:00:07.5"), ("%H:%M:%S.%f %Y", "08:00:07.5 2026")):
        read = time_reader((layout,), HANOI)
        read(start, RECEIVED)
        for tail in tails:
            for stamp in (start + tail, start[:-3] + tail, start[:-2] + tail, tail):
                assert outcome(read, stamp) == outcome(time_reader((layout,), HANOI), stamp)


def outcome(read: Callable[[object, datetime], tuple[datetime, str]], stamp: str) -> object:
    try:
        return read(stamp, RECEIVED)
    except RecordError as error:
        return error.code


@settings(max_examples=200, deadline=None)
@given(at=MOMENTS, zone=st.sampled_from(ZONES), offset=st.integers(-720, 840))
def test_a_moment_is_written_as_documents_want_it(at: datetime, zone: str, offset: int) -> None:
    for aware in (at.replace(tzinfo=ZoneInfo(zone)), at.replace(tzinfo=timezone(timedelta(minutes=offset)))):
        moment, text = moment_of(aware, UTC)
        assert (moment, text) == (aware.astimezone(UTC), rfc3339(aware))


# ------------------------------------------------------------ live senders whose clock is in UTC


@pytest.mark.parametrize("layout", ["syslog", "iso8601", "%b %d %H:%M:%S %Y"])
@given(apart=st.integers(-3 * 86_400, 3 * 86_400))
@settings(max_examples=60, deadline=None)
def test_only_what_is_live_in_utc_and_not_as_declared_is_read_in_utc(layout: str, apart: int) -> None:
    """`apart`: seconds from the clock face of the stamp, as UTC, to the receipt."""
    face = RECEIVED - timedelta(seconds=apart)
    stamp = face.strftime({"syslog": "%b %d %H:%M:%S", "iso8601": "%Y-%m-%d %H:%M:%S"}.get(layout, layout))
    declared = time_reader((layout,), HANOI)(stamp, RECEIVED)
    in_utc = utc_reader((layout,), HANOI)
    assert in_utc is not None
    meant = in_utc(stamp, RECEIVED, declared)
    as_declared = abs(RECEIVED - declared[0]) <= LIVE
    assert (meant is not None) == (abs(apart) <= LIVE.total_seconds() and not as_declared)
    assert meant is None or meant[0] == face


def test_a_stamp_that_names_its_zone_is_never_read_in_another() -> None:
    for layout, stamp in (("iso8601", "2026-11-24T03:00:00+07:00"), ("syslog", "Nov 24 03:00:00 ICT")):
        in_utc = utc_reader((layout,), HANOI)
        assert in_utc is not None
        assert in_utc(stamp, RECEIVED, time_reader((layout,), HANOI)(stamp, RECEIVED)) is None
    assert utc_reader(("rfc3339", "unix", "httpdate", "%Y %z"), HANOI) is None
    assert utc_reader(("syslog",), "UTC") is None


def test_new_year_in_utc_is_found_by_a_sender_in_utc() -> None:
    received = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC)
    read, in_utc = time_reader(("syslog",), HANOI), utc_reader(("syslog",), HANOI)
    assert in_utc is not None
    for stamp, year in (("Dec 31 23:59:58", 2026), ("Jan  1 00:00:04", 2027)):
        meant = in_utc(stamp, received, read(stamp, received))
        assert meant is not None and meant[0].year == year and received - meant[0] < timedelta(minutes=1)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources([SOURCES])


LINE = "<38>Nov 24 02:59:58 fw1.example sshd[7]: Accepted password for lan from 192.0.2.7 port 51000 ssh2"


def made(sources: Sources, line: str, source: str, **facts: str) -> Event:
    record = RawRecord("20261124-1", line.encode(), RECEIVED, source, sender="192.0.2.1", stream="udp", facts=facts)
    return sources.events(record)[0] if source != "unknown" else unknown(record)


@pytest.mark.parametrize("source", ["linux_auth", "syslog", "unknown"])
def test_a_live_sender_in_utc_is_on_time_and_says_so(sources: Sources, source: str) -> None:
    event = made(sources, LINE, source, transport="udp", port="51000")
    assert event.timestamp == RECEIVED - timedelta(seconds=2)
    assert event.fields["@timestamp"] == rfc3339(event.timestamp)
    assert event.fields["event.timezone"] == "UTC" and event.fields[ZONE_GUESSED] is True


@pytest.mark.parametrize("source", ["linux_auth", "syslog", "unknown"])
def test_the_same_line_of_a_file_is_read_as_declared(sources: Sources, source: str) -> None:
    event = made(sources, LINE, source, file="auth.log", record="1")
    assert event.timestamp == datetime(2026, 11, 23, 19, 59, 58, tzinfo=UTC)
    assert ZONE_GUESSED not in event.fields and "event.timezone" not in event.fields


@pytest.mark.parametrize("clock", ["09:59:58", "04:20:00", "22:00:00"])
def test_a_live_sender_in_the_declared_zone_or_late_by_other_hours_is_read_as_declared(
    sources: Sources, clock: str
) -> None:
    event = made(sources, LINE.replace("02:59:58", clock), "linux_auth", transport="udp")
    assert event.fields["@timestamp"] == time_reader(("syslog",), HANOI)(f"Nov 24 {clock}", RECEIVED)[1]
    assert ZONE_GUESSED not in event.fields
