"""A sender's time stamp → (aware UTC datetime, its text in documents).

Zones: a stamp that names none is in the source's declared `time_zone`. Years that a format leaves out (RFC 3164,
https://www.rfc-editor.org/rfc/rfc3164#section-4.1.2) are found from the time of receipt: the latest year in which the
stamp is not later than a day after it. So December's lines read in January are of last year.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from soc.event import RecordError, rfc3339

Moment = tuple[datetime, str]
#: (stamp, time of receipt) → moment. Raises ValueError or OverflowError when the stamp is not of the format.
Reader = Callable[[Any, datetime], Moment]

FORMATS: Final = (
    "rfc3339",
    "iso8601",
    "unix",
    "unix_ms",
    "unix_us",
    "unix_ns",
    "unix_any",
    "syslog",
    "httpdate",
    "clock",
)
#: Clocks of senders run ahead by less than this; a stamp without year further ahead is of the year before.
AHEAD: Final = timedelta(days=1)
_MEMO: Final = 4096
_MONTHS: Final = {month: at for at, month in enumerate(calendar.month_abbr) if month}
#: Zone words that say one thing only in the logs we read (ICT: Indochina Time, the tz database's abbreviation).
_ZONES: Final = {"UTC": UTC, "GMT": UTC, "ICT": timezone(timedelta(hours=7))}
_SYSLOG: Final = re.compile(
    r"(?:\w{3},? )?(?:(\d{4}) )?(\w{3}) +(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?: (\d{4}))?(?: ([A-Z]{3,4}|[+-]\d\d:?\d\d))?"
)
_LEAP_SECOND: Final = re.compile(r"(:\d\d:)60(?:\.\d+)?")


def zone_needed(format_name: str) -> bool:
    """Whether stamps of this format can lack a zone."""
    if "%" in format_name:
        return not any(z in format_name for z in ("%z", "%s"))
    return format_name in ("iso8601", "syslog", "clock")


def moment_of(stamp: datetime, zone: tzinfo) -> Moment:
    """UTC moment of a stamp; a naive one is in `zone`."""
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=zone)
    stamp = stamp.astimezone(UTC)
    text = stamp.isoformat()  # a third of the time of isoformat(timespec=…)
    return stamp, f"{text[:26]}Z" if stamp.microsecond else f"{text[:19]}.000000Z"


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        # a leap second is legal in RFC 3339 (section 5.7) and unknown to datetime
        shorter = _LEAP_SECOND.sub(r"\g<1>59.999999", text)
        if shorter == text:
            raise
        return datetime.fromisoformat(shorter)


def _rfc3339(stamp: Any, received: datetime) -> Moment:
    moment = _iso(stamp)
    if moment.tzinfo is None:
        raise ValueError("names no zone")
    return moment_of(moment, UTC)


class _Seconds(dict[int, tuple[datetime, str]]):
    """Whole seconds since 1970 → their moment and the start of its text; consecutive records share them."""

    def __missing__(self, second: int) -> tuple[datetime, str]:
        moment = datetime.fromtimestamp(second, UTC)
        if len(self) >= _MEMO:
            self.clear()
        made = self[second] = (moment, moment.isoformat()[:19])
        return made


_SECONDS: Final = _Seconds()


def _of_micros(micros: int) -> Moment:
    second, micro = divmod(micros, 1_000_000)
    moment, text = _SECONDS[second]
    return (moment.replace(microsecond=micro), f"{text}.{micro:06d}Z") if micro else (moment, f"{text}.000000Z")


def _unix(digits: int) -> Reader:
    """`digits` after the second: 0, 3, 6 or 9. A fraction behind a point may follow."""
    more, less = (10 ** (6 - digits), 1) if digits <= 6 else (1, 10 ** (digits - 6))

    def read(stamp: Any, received: datetime) -> Moment:
        if (stamp.__class__ is str and "." not in stamp) or stamp.__class__ is int:
            return _of_micros(int(stamp) * more // less)
        whole, _, fraction = (repr(stamp) if stamp.__class__ is float else stamp).partition(".")
        part = int(fraction[:9].ljust(9, "0")) * more // less // 1_000_000_000 if fraction else 0
        return _of_micros(int(whole) * more // less + (-part if whole.startswith("-") else part))

    return read


_SCALES: Final = tuple((limit, _unix(digits)) for limit, digits in ((11, 0), (14, 3), (17, 6), (99, 9)))


def _unix_any(stamp: Any, received: datetime) -> Moment:
    """Seconds, or parts of them, told apart by the number of digits: 11 digits of seconds reach the year 5138."""
    digits = len(str(stamp).lstrip("-").partition(".")[0])
    for limit, read in _SCALES:
        if digits <= limit:
            return read(stamp, received)
    raise ValueError("too many digits")


def _http(text: str, received: datetime) -> Moment:
    """10/Oct/2000:13:55:36 -0700 (Apache httpd, mod_log_config `%t`; nginx, `$time_local`)."""
    day, month, rest = text.split("/", 2)
    year, hour, minute, second_zone = rest.split(":", 3)
    second, zone = second_zone.split(" ")
    if len(zone) != 5:
        raise ValueError("zone")
    offset = timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[3:]))
    stamp = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59))
    return moment_of(stamp.replace(tzinfo=timezone(offset)), UTC)


def _syslog(zone: tzinfo) -> Reader:
    def read(text: Any, received: datetime) -> Moment:
        if text[:4].isdecimal() and text[4:5] == "-":
            return moment_of(_iso(text.replace(",", ".")), zone)
        found = _SYSLOG.fullmatch(text)
        if found is None:
            raise ValueError("no stamp of syslog")
        before, month, day, within, hour, minute, second, fraction, behind, offset = found.groups()
        micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
        clock = (_MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), micro)
        here: tzinfo = zone
        if offset:
            here = _ZONES.get(offset) or (zone if offset.isalpha() else _offset(offset))
        year = before or within or behind
        if year:
            return moment_of(datetime(int(year), *clock), here)
        return _latest(clock, here, received)

    return read


def _offset(text: str) -> tzinfo:
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _latest(clock: tuple[int, int, int, int, int, int], zone: tzinfo, received: datetime) -> Moment:
    """The latest year in which the clock is no later than a day after receipt (29 February: up to 8 years back)."""
    for year in range(received.year + 1, received.year - 9, -1):
        try:
            stamp = datetime(year, *clock, tzinfo=zone)
        except ValueError:
            if clock[:2] == (2, 29):
                continue
            raise
        if stamp <= received + AHEAD:
            return moment_of(stamp, zone)
    raise ValueError("no such day")


def _clock(zone: tzinfo) -> Reader:
    """06:07:08 of the day of receipt, or of the day before where that would be later than the receipt."""

    def read(text: Any, received: datetime) -> Moment:
        hour, minute, second = text.split(":")
        micro = int((second[3:] + "000000")[:6])
        today = received.astimezone(zone)
        stamp = today.replace(hour=int(hour), minute=int(minute), second=min(int(second[:2]), 59), microsecond=micro)
        return moment_of(stamp if stamp <= today + timedelta(hours=1) else stamp - timedelta(days=1), zone)

    return read


def _strptime(layout: str, zone: tzinfo) -> Reader:
    def read(text: Any, received: datetime) -> Moment:
        return moment_of(datetime.strptime(text, layout), zone)

    return read


def _reader(name: str, zone: tzinfo) -> Reader:
    plain: dict[str, Reader] = {
        "rfc3339": _rfc3339,
        "iso8601": lambda stamp, _: moment_of(_iso(stamp), zone),
        "unix": _unix(0),
        "unix_ms": _unix(3),
        "unix_us": _unix(6),
        "unix_ns": _unix(9),
        "unix_any": _unix_any,
    }
    found = plain.get(name)
    if found is not None:
        return found
    if name == "syslog":
        return _remembered(_syslog(zone), daily=True)
    if name == "clock":
        return _clock(zone)
    if name == "httpdate":
        return _remembered(_http, daily=False)
    return _remembered(_strptime(name, zone), daily=False)


def _remembered(read: Reader, daily: bool) -> Reader:
    """Stamps that count seconds come many times in a row. `daily`: the result depends on the day of receipt too."""
    memo: dict[Any, Moment] = {}
    day = 0

    def remembering(stamp: Any, received: datetime) -> Moment:
        nonlocal day
        if daily and received.toordinal() != day:
            day = received.toordinal()
            memo.clear()
        moment = memo.get(stamp)
        if moment is None:
            if len(memo) >= _MEMO:
                memo.clear()
            moment = memo[stamp] = read(stamp, received)
        return moment

    return remembering


def time_reader(formats: tuple[str, ...], time_zone: str) -> Reader:
    """Reads a stamp by the first of `formats` that fits. Raises RecordError("bad_timestamp")."""
    zone: tzinfo = ZoneInfo(time_zone) if time_zone else UTC
    readers = [_reader(name, zone) for name in formats]

    def read(stamp: Any, received: datetime) -> Moment:
        for reader in readers:
            try:
                return reader(stamp, received)
            except (ValueError, OverflowError, TypeError, KeyError, AttributeError, OSError):
                # not of this format (a number where a text is due, a month that does not exist): the next one
                continue
        raise RecordError("bad_timestamp", f"{str(stamp)[:80]!r} is not {' or '.join(formats)}")

    return read


def received_moment(received: datetime) -> Moment:
    return received, rfc3339(received)
