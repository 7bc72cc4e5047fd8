"""Networks: a CIDR network → a Lucene regular expression of the texts of its addresses, for fields kept as text."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(cidr: Network) -> str:
    """The expression between the slashes, for small letters.

    IPv4 is exact, IPv4-mapped IPv6 in its usual spelling included. IPv6 is met as RFC 5952 spells it and with leading
    zeros; a `::` within the network's own bits is not.
    """
    if isinstance(cidr, ipaddress.IPv4Network):
        return r"(\:\:ffff\:)?" + r"\.".join(_octets(cidr))
    whole, bits = divmod(cidr.prefixlen, 16)
    groups = cidr.network_address.exploded.split(":")
    parts = [f"0*{group.lstrip('0') or '0'}" for group in groups[:whole]]
    if bits:
        parts.append(_group(int(groups[whole], 16), bits))
    if whole == 8:
        return f"{_plain(str(cidr.network_address))}|" + r"\:".join(parts)
    return r"\:".join(parts) + (r"\:.*" if parts else ".*")


def _octets(cidr: ipaddress.IPv4Network) -> list[str]:
    """`<16-31>`: Lucene's numeric interval."""
    pairs = zip(cidr.network_address.packed, cidr.broadcast_address.packed, strict=True)
    return [str(first) if first == last else f"<{first}-{last}>" for first, last in pairs]


def _group(value: int, bits: int) -> str:
    """Four hexadecimal digits of which the first `bits` bits are given; fewer digits are a smaller number."""
    first, last = value, value | (0xFFFF >> bits)
    digits, rest = divmod(bits, 4)
    text = f"{first:04x}"
    known = text[:digits]
    if rest:
        low, high = int(text[digits], 16), int(f"{last:04x}"[digits], 16)
        known += "[" + "".join(f"{digit:x}" for digit in range(low, high + 1)) + "]"
    full = known + "[0-9a-f]" * (4 - digits - bool(rest))
    return f"({full}|[0-9a-f]{{1,3}})" if first == 0 else full


def _plain(address: str) -> str:
    return address.replace(":", r"\:").replace(".", r"\.")
