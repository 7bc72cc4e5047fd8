"""A sender's time stamp → (aware UTC datetime, its text in documents).

Zones: a stamp that names none is in the source's declared `time_zone`. A record that came by the network and not from
a file was sent when it was written, so its stamp can be held against the time of receipt: `utc_reader`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from soc.event import RecordError, rfc3339
from soc.normalize.stamps import FORMATS, NAMED_ZONE, NOT_OURS, Moment, Reader, stamp_reader

__all__ = [
    "FORMATS",
    "LIVE",
    "ZONE_GUESSED",
    "Moment",
    "Reader",
    "received_moment",
    "time_reader",
    "utc_reader",
    "zone_needed",
]

#: A live record is received within this time of its stamp: what a sender's clock is off, or its queue delays.
LIVE: Final = timedelta(hours=1)
#: True in an event whose stamp was read in UTC against its source's declaration; its event.timezone is "UTC".
ZONE_GUESSED: Final = "soc.clock.zone_guessed"


def zone_needed(format_name: str) -> bool:
    """Whether stamps of this format can lack a zone."""
    if "%" in format_name:
        return "%z" not in format_name and not format_name.endswith(NAMED_ZONE)
    return format_name in ("iso8601", "syslog", "clock")


def _may_fit(name: str, starts_with_letter: bool, has_point: bool) -> bool:
    """False where a text that starts so, or has no point, can never be of the format: to try it would cost time."""
    if "%" not in name:
        return name == "syslog" or not starts_with_letter
    if name[:2] in ("%b", "%B", "%a", "%A"):
        return starts_with_letter and (has_point or "." not in name)
    if name[:2] in ("%Y", "%y", "%m", "%d", "%H", "%I", "%j"):
        return not starts_with_letter and (has_point or "." not in name)
    return True


def time_reader(formats: tuple[str, ...], time_zone: str) -> Reader:
    """Reads a stamp by the first of `formats` that fits. Raises RecordError("bad_timestamp")."""
    zone: tzinfo = ZoneInfo(time_zone) if time_zone else UTC
    readers = tuple(stamp_reader(name, zone) for name in formats)
    fitting = {
        (letter, point): tuple(r for n, r in zip(formats, readers, strict=True) if _may_fit(n, letter, point))
        for letter in (False, True)
        for point in (False, True)
    }
    several = len(readers) > 1

    def read(stamp: Any, received: datetime) -> Moment:
        some = readers
        if several and stamp.__class__ is str:
            some = fitting[stamp[:1].isalpha(), "." in stamp]
        for reader in some:
            try:
                return reader(stamp, received)
            except NOT_OURS:
                continue
        raise RecordError("bad_timestamp", f"{str(stamp)[:80]!r} is not {' or '.join(formats)}")

    return read


#: (stamp, time of receipt, moment in the declared zone) → moment in UTC if that is what a live sender meant.
UtcReader = Callable[[Any, datetime, Moment], Moment | None]


def utc_reader(formats: tuple[str, ...], time_zone: str) -> UtcReader | None:
    """For live records: finds the senders whose clock runs in UTC, against what was declared for their source.

    Their stamps, which name no zone, are then further than LIVE from the time of receipt in the declared zone and
    within it in UTC. No third zone is tried. UTC is how devices leave the factory; and a record that was held back on
    its way by seven hours, within LIVE, is the only one that can be taken for it. Were every whole or half hour tried,
    every delayed record would look live: a backlog after an outage would be moved to the time of its receipt.
    The record alone decides, not what the sender sent before: the same record always makes the same event.

    None when no stamp of these formats can lack its zone, or the declared zone is UTC.
    """
    if not any(map(zone_needed, formats)) or time_zone in ("", "UTC", "Etc/UTC"):
        return None
    reader = time_reader(formats, "UTC")

    def read(stamp: Any, received: datetime, declared: Moment) -> Moment | None:
        if -LIVE <= received - declared[0] <= LIVE:
            return None
        try:
            moment = reader(stamp, received)
        except RecordError:  # a day before the first, or after the last that there is
            return None
        return moment if -LIVE <= received - moment[0] <= LIVE else None

    return read


def received_moment(received: datetime) -> Moment:
    return received, rfc3339(received)
