"""Dates as senders write them: a text or epoch number → a naive datetime in the sender's own clock, zone ignored.

For the modifiers minute, hour, day, week, month, year, which look at the named field as it stands.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from soc.detect.value import Scalar

#: ISO 8601 and its relatives: 2025-10-25T13:21:33.116Z, 2025/10/25 13:21, 2025-10-25.
_ISO: Final = re.compile(
    r"(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?:[T ](?P<hour>\d{1,2}):(?P<minute>\d{2}))?(?!\d)"
)
#: 25/Oct/2025:13:21:33 +0000 (Apache) and Sat, 25 Oct 2025 13:21:33 +0000 (RFC 5322).
_DAY_FIRST: Final = re.compile(
    r"(?:[A-Za-z]{3}, *)?(?P<day>\d{1,2})[-/ ](?P<name>[A-Za-z]{3})[-/ ](?P<year>\d{4})"
    r"(?:[: T](?P<hour>\d{1,2}):(?P<minute>\d{2}))?(?!\d)"
)
#: Oct 25 2025 13:21:33, and RFC 3164's Oct 25 13:21:33, whose year is unknown.
_MONTH_FIRST: Final = re.compile(
    r"(?P<name>[A-Za-z]{3}) +(?P<day>\d{1,2})(?:,? +(?P<year>\d{4}))? +(?P<hour>\d{1,2}):(?P<minute>\d{2})(?!\d)"
)
_MONTHS: Final = {
    name: i + 1
    for i, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"))
}
#: Below this an epoch number is in seconds; each thousandfold above it in ms, µs, ns (1e11 s is the year 5138).
_SECONDS_END: Final = 1e11
#: Smaller numbers (before 1973) are no dates but counts.
_SECONDS_BEGIN: Final = 1e8
_NANOSECONDS_END: Final = 1e20

PARTS: Final = ("minute", "hour", "day", "week", "month", "year")


def part(value: Scalar, name: str) -> int | None:
    """One part of a date (`week` is the ISO week); None if the value is no date or does not say that part."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _of_epoch(value, name)
    stripped = value.strip()
    match = _ISO.match(stripped) or _DAY_FIRST.match(stripped) or _MONTH_FIRST.match(stripped)
    if match is None:
        return None
    found = match.groupdict()
    if "name" in found:
        found["month"] = str(_MONTHS.get(found["name"].lower(), 0))
    unknown_year = found["year"] is None
    if (unknown_year and name in ("year", "week")) or (found["hour"] is None and name in ("hour", "minute")):
        return None
    try:  # 2000 is a leap year, so that Feb 29 without a year is a date
        moment = datetime(
            2000 if unknown_year else int(found["year"]),
            int(found["month"]),
            int(found["day"]),
            int(found["hour"] or 0),
            int(found["minute"] or 0),
        )
    except ValueError:
        return None
    return _of_moment(moment, name)


def _of_epoch(value: float, name: str) -> int | None:
    """Seconds, milliseconds, microseconds or nanoseconds, told apart by their size."""
    if not _SECONDS_BEGIN <= value < _NANOSECONDS_END:  # NaN, too
        return None
    while value >= _SECONDS_END:
        value /= 1000
    return _of_moment(datetime.fromtimestamp(value, UTC), name)


def _of_moment(moment: datetime, name: str) -> int:
    if name == "week":
        return moment.isocalendar().week
    part_value: int = getattr(moment, name)
    return part_value
