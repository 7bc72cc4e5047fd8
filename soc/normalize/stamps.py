"""A stamp of one format → (aware UTC datetime, its text in documents). One function per format; `times` chooses.

Years that a format leaves out (RFC 3164, https://www.rfc-editor.org/rfc/rfc3164#section-4.1.2) are found from the time
of receipt: the latest year in which the stamp is not later than the day after it. So December's lines read in January
are of last year, and a clock that runs a little ahead on New Year's Eve is in the next.

Speed: consecutive records share their minute; what stands before the seconds is read once per minute.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

Moment = tuple[datetime, str]
#: (stamp, time of receipt) → moment. Raises one of NOT_OURS when the stamp is not of the format.
Reader = Callable[[Any, datetime], Moment]
#: What readers raise: at a number where a text is due, a month that does not exist, …
NOT_OURS: Final = (ValueError, OverflowError, TypeError, KeyError, AttributeError, OSError)

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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MEMO: Final = 4096
_MONTHS: Final = {month: at for at, month in enumerate(calendar.month_abbr) if month}
#: The end of a stamp, ":07" → how far into the minute.
_SECONDS: Final = {f":{second:02d}": timedelta(seconds=second) for second in range(60)}
#: Zone words that say one thing only in the logs we read (ICT: Indochina Time, the tz database's abbreviation).
_ZONES: Final = {"UTC": UTC, "GMT": UTC, "ICT": timezone(timedelta(hours=7))}
_SYSLOG: Final = re.compile(
    r"(?:\w{3},? )?(?:(\d{4}) )?(\w{3}) +(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?: (\d{4}))?(?: ([A-Z]{3,4}|[+-]\d\d:?\d\d))?"
)
_SYSLOG_WIDTH: Final = len("Nov 24 08:00:07")
_LEAP_SECOND: Final = re.compile(r"(:\d\d:)60(?:\.\d+)?")


def moment_of(stamp: datetime, zone: tzinfo) -> Moment:
    """UTC moment of a stamp; a naive one is in `zone`."""
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=zone)
    if stamp.tzinfo is not UTC:
        stamp = stamp.astimezone(UTC)
    return stamp, _text(stamp)


class _Days(dict[int, str]):
    """Ordinal of a day → the start of its text ("2026-11-24T"); bounded."""

    def __missing__(self, day: int) -> str:
        if len(self) >= _MEMO:
            self.clear()
        text = self[day] = f"{date.fromordinal(day).isoformat()}T"
        return text


_DAYS: Final = _Days()
_TWO: Final = tuple(f"{number:02d}" for number in range(60))


def _text(at: datetime) -> str:
    """`soc.event.rfc3339` of a UTC time in a third of its time."""
    clock = f"{_TWO[at.hour]}:{_TWO[at.minute]}:{_TWO[at.second]}"
    return f"{_DAYS[at.toordinal()]}{clock}.{at.microsecond:06d}Z"


class _Minutes(dict[str, Moment]):
    """What stands before the seconds of a stamp → its minute, and the minute's text ("2026-11-24T01:00"); bounded."""

    def learn(self, head: str, seconds: str, moment: Moment) -> None:
        """`moment` is of a stamp that begins with `head` and goes on with `seconds` (":07")."""
        stamp, text = moment
        if text[16:19] == seconds and seconds in _SECONDS:  # else a leap second, or a zone off by seconds
            if len(self) >= _MEMO:
                self.clear()
            self[head] = (stamp.replace(second=0, microsecond=0), text[:16])


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


def _iso8601(zone: tzinfo) -> Reader:
    minutes = _Minutes()

    def read(stamp: Any, received: datetime) -> Moment:
        moment = _iso(stamp)
        if moment.tzinfo is not None:
            return moment_of(moment, zone)
        known = minutes.get(stamp[:16])  # "2026-11-24 08:00"; what follows cannot change the minute
        if known is not None:
            second, micro = moment.second, moment.microsecond
            return known[0] + timedelta(0, second, micro), f"{known[1]}:{_TWO[second]}.{micro:06d}Z"
        made = moment_of(moment, zone)
        if moment.isoformat(" ", "minutes") == f"{stamp[:10]} {stamp[11:16]}":
            minutes.learn(stamp[:16], f":{_TWO[moment.second]}", made)
        return made

    return read


#: Number of digits after the point → what makes microseconds of them.
_TENS: Final = (10**6, 10**5, 10**4, 10**3, 100, 10, 1)


def _micro(digits: str) -> int | None:
    """Microseconds of the digits after the point, further ones cut off; None if they are no digits."""
    if not (digits.isdecimal() and digits.isascii()):
        return None
    return int(digits) * _TENS[len(digits)] if len(digits) <= 6 else int(digits[:6])


def _of_micros(micros: int) -> Moment:
    at = _EPOCH + timedelta(0, 0, micros)
    return at, _text(at)


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
    text = stamp if stamp.__class__ is str else str(stamp)
    digits = len(text if text.isdecimal() else text.lstrip("-").partition(".")[0])
    for limit, read in _SCALES:
        if digits <= limit:
            return read(stamp, received)
    raise ValueError("too many digits")


def _http() -> Reader:
    """10/Oct/2000:13:55:36 -0700 (Apache httpd, mod_log_config `%t`; nginx, `$time_local`)."""
    minutes = _Minutes()

    def read(text: Any, received: datetime) -> Moment:
        head, seconds = text[:17] + text[20:], text[17:20]
        known = minutes.get(head)
        if known is not None and (into := _SECONDS.get(seconds)) is not None:
            return known[0] + into, f"{known[1]}{seconds}.000000Z"
        day, month, rest = text.split("/", 2)
        year, hour, minute, second_zone = rest.split(":", 3)
        second, zone = second_zone.split(" ")
        if len(zone) != 5:
            raise ValueError("zone")
        offset = timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[3:]))
        stamp = datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59))
        made = moment_of(stamp.replace(tzinfo=timezone(offset)), UTC)
        if len(text) == 26:
            minutes.learn(head, seconds, made)
        return made

    return read


def _syslog(zone: tzinfo) -> Reader:
    iso = _iso8601(zone)
    minutes = _Minutes()
    latest: datetime | None = None
    last_day = date.min

    def read(text: Any, received: datetime) -> Moment:
        nonlocal latest, last_day
        if received is not latest:
            latest = received
            if received.date() != last_day:  # the year of a stamp without one depends on the day of receipt
                last_day = received.date()
                minutes.clear()
        whole, point, fraction = text, "", ""
        if len(text) > _SYSLOG_WIDTH:
            if text[4] == "-" and text[:4].isdecimal():
                return iso(text.replace(",", "."), received)
            whole, point, fraction = text.partition(".")
        known = minutes.get(whole[:-3])
        if known is not None and (into := _SECONDS.get(whole[-3:])) is not None:
            if not point:
                return known[0] + into, f"{known[1]}{whole[-3:]}.000000Z"
            if len(fraction) <= 9 and (micro := _micro(fraction)) is not None:
                return known[0] + into + timedelta(0, 0, micro), f"{known[1]}{whole[-3:]}.{micro:06d}Z"
        made = _bsd(text, zone, received)
        if len(whole) == _SYSLOG_WIDTH:
            minutes.learn(whole[:-3], whole[-3:], made)
        return made

    return read


def _bsd(text: str, zone: tzinfo, received: datetime) -> Moment:
    found = _SYSLOG.fullmatch(text)
    if found is None:
        raise ValueError("no stamp of syslog")
    before, month, day, within, hour, minute, second, fraction, behind, offset = found.groups()
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    clock = (_MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), micro)
    if offset:
        zone = _ZONES.get(offset) or (zone if offset.isalpha() else _offset(offset))
    year = before or within or behind
    if year:
        return moment_of(datetime(int(year), *clock), zone)
    return _latest(clock, zone, received)


def _offset(text: str) -> tzinfo:
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)


def _latest(clock: tuple[int, int, int, int, int, int], zone: tzinfo, received: datetime) -> Moment:
    """The latest year in which the clock is no later than the (UTC) day after receipt; 29 February: 8 years back."""
    end = datetime(received.year, received.month, received.day, tzinfo=UTC) + timedelta(days=2)
    for year in range(received.year + 1, received.year - 9, -1):
        try:
            stamp = datetime(year, *clock, tzinfo=zone)
        except ValueError:
            if clock[:2] == (2, 29):
                continue
            raise
        if stamp < end:
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


def _zone_named(layout: str) -> Reader:
    """The zone is a word behind the stamp. (strptime's own %Z takes the words of this machine and forgets them.)"""
    readers = {word: _strptime(layout, zone) for word, zone in _ZONES.items()}

    def read(text: Any, received: datetime) -> Moment:
        stamp, _, word = text.rpartition(" ")
        return readers[word](stamp, received)

    return read


def _yearless(layout: str, zone: tzinfo) -> Reader:
    def read(text: Any, received: datetime) -> Moment:
        at = datetime.strptime(f"2000|{text}", f"%Y|{layout}")  # a leap year
        clock = (at.month, at.day, at.hour, at.minute, at.second, at.microsecond)
        return _latest(clock, at.tzinfo or zone, received)

    return read


#: The end of a layout whose stamps name their zone by a word of _ZONES.
NAMED_ZONE: Final = " %Z"
#: What gives a layout of strptime its year.
_YEARS: Final = ("%Y", "%y", "%G", "%c", "%x")


def _strptime(layout: str, zone: tzinfo) -> Reader:
    def slow(text: Any, received: datetime) -> Moment:
        return moment_of(datetime.strptime(text, layout), zone)

    if layout.endswith(NAMED_ZONE):
        return _zone_named(layout.removesuffix(NAMED_ZONE))
    if not any(year in layout for year in _YEARS) and "%d" in layout:
        return _yearless(layout, zone)
    minutes = _Minutes()
    before, second, behind = layout.partition(":%S")
    fractional = behind.startswith(".%f") and behind[3:4] in ("", " ")
    if not second or ":" not in before or layout.count(":") != 2 or (layout.count("%f") and not fractional):
        return slow

    def read(text: Any, received: datetime) -> Moment:
        # the seconds begin at the last colon: "Tue Nov 24 08:00" ":07" ".123" " 2026"
        at = text.rfind(":")
        seconds, fraction, tail = text[at : at + 3], "0", text[at + 3 :]
        if fractional:
            fraction, blank, rest = tail[1:].partition(" ")
            tail = tail[:1] + blank + rest
        head = f"{text[:at]}:{tail}"
        known = minutes.get(head)
        if known is not None and len(fraction) <= 6 and (into := _SECONDS.get(seconds)) is not None:
            if not fractional:
                return known[0] + into, f"{known[1]}{seconds}.000000Z"
            if (micro := _micro(fraction)) is not None:
                return known[0] + into + timedelta(0, 0, micro), f"{known[1]}{seconds}.{micro:06d}Z"
        made = slow(text, received)
        if text.count(":") == 2:  # those of the layout: no zone or name has one
            minutes.learn(head, seconds, made)
        return made

    return read


def stamp_reader(name: str, zone: tzinfo) -> Reader:
    """The reader of one of FORMATS, or of a layout of strptime. `zone`: of stamps that name none."""
    plain: dict[str, Reader] = {
        "rfc3339": _rfc3339,
        "unix": _unix(0),
        "unix_ms": _unix(3),
        "unix_us": _unix(6),
        "unix_ns": _unix(9),
        "unix_any": _unix_any,
    }
    found = plain.get(name)
    if found is not None:
        return found
    if name == "httpdate":
        return _http()
    zoned = {"iso8601": _iso8601, "syslog": _syslog, "clock": _clock}.get(name)
    return _strptime(name, zone) if zoned is None else zoned(zone)
