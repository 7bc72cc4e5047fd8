"""Networks and ranges of addresses → the ranges that they are on the server, where IPv4 lies within IPv6."""

from __future__ import annotations

import ipaddress
from typing import Final

from soc.store.tree import Address, Network, Range

_V4_FIRST: Final = ipaddress.IPv4Address(0)
_V4_LAST: Final = ipaddress.IPv4Address(2**32 - 1)
_V6_LAST: Final = 2**128 - 1
_MAPPED_FIRST: Final = int(ipaddress.IPv6Address("::ffff:0:0"))
_MAPPED_LAST: Final = int(ipaddress.IPv6Address("::ffff:ffff:ffff"))


def ip_ranges(query: Network | Range) -> list[tuple[Address, Address]]:
    """First and last of each range, of one family; an IPv4 address within IPv6 is IPv4 and in no IPv6 range."""
    if isinstance(query, Network):
        first, last = query.network.network_address, query.network.broadcast_address
        if isinstance(first, ipaddress.IPv4Address):
            return [(first, last)]
        return _v6(int(first), int(last))
    low, high = (_bound(bound) for bound in (query.low, query.high))
    found: list[tuple[Address, Address]] = []
    if low is None or low[0] == 4:
        begin = 0 if low is None else low[1] + (not query.with_low)
        end = int(_V4_LAST) if high is None or high[0] == 6 else high[1] - (not query.with_high)
        if begin <= end:
            found.append((ipaddress.IPv4Address(begin), ipaddress.IPv4Address(end)))
    if high is None or high[0] == 6:
        begin = 0 if low is None or low[0] == 4 else low[1] + (not query.with_low)
        end = _V6_LAST if high is None else high[1] - (not query.with_high)
        found += _v6(begin, end)
    return found


def _bound(key: int | float | str | None) -> tuple[int, int] | None:
    """(family, number) of an `address_key`."""
    return None if key is None else (int(str(key)[0]), int(str(key)[1:], 16))


def _v6(first: int, last: int) -> list[tuple[Address, Address]]:
    parts = [(first, min(last, _MAPPED_FIRST - 1)), (max(first, _MAPPED_LAST + 1), last)]
    return [(ipaddress.IPv6Address(a), ipaddress.IPv6Address(b)) for a, b in parts if a <= b]
