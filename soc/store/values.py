"""Texts → the addresses, numbers and times that they are; None where they are not."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from soc.store.tree import Address


def address_of(text: str) -> Address | None:
    """The address that a text is; an IPv4 address mapped into IPv6 (::ffff:a.b.c.d) is the IPv4 address."""
    if not (2 <= len(text) <= 45) or ("." not in text and ":" not in text):
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or (None if address.scope_id else address)
    return address


def address_key(address: Address) -> str:
    """Text whose order is the order of addresses, IPv4 before IPv6: "4" or "6" and the hex digits."""
    return f"{address.version}{address.packed.hex()}"


_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,4000}")


def number_of(text: str) -> int | float | None:
    """The finite number that a text is, in JSON's notation or with leading zeros."""
    if not text or text[0] not in "-0123456789" or not _NUMBER.fullmatch(text):
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text)
    return value if abs(value) != float("inf") else None


_TIME: Final = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([Tt ](?P<hour>[0-9]{2})(:(?P<minute>[0-9]{2})(:(?P<second>[0-9]{2})([.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r"(?P<zone>Z|z|[-+][0-9]{2}:?[0-9]{2})?)?"
)


def time_of(text: str, zone: tzinfo = UTC) -> tuple[datetime, timedelta] | None:
    """When a time text begins (UTC) and how long the span is that it names: a day, an hour, … a microsecond."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, hour, minute, second, fraction, named = found.group("day", "hour", "minute", "second", "fraction", "zone")
    span = timedelta(days=1)
    for value, length in (
        (hour, timedelta(hours=1)),
        (minute, timedelta(minutes=1)),
        (second, timedelta(seconds=1)),
        (fraction, timedelta(microseconds=1)),
    ):
        span = length if value is not None else span
    micro = (fraction or "0")[:6].ljust(6, "0")
    plain = f"{day}T{hour or '00'}:{minute or '00'}:{second or '00'}.{micro}"
    try:
        if named is None:
            return datetime.fromisoformat(plain).replace(tzinfo=zone).astimezone(UTC), span
        return datetime.fromisoformat(plain + named.upper()).astimezone(UTC), span
    except (ValueError, OverflowError):
        return None
