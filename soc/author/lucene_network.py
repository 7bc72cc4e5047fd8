"""Networks: a CIDR network → a Lucene regular expression of the texts of its addresses, for fields kept as text."""

from __future__ import annotations

import ipaddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network(cidr: Network) -> str:
    """The expression between the slashes, for small letters.

    IPv4 is exact, IPv4-mapped IPv6 in its usual spelling included. IPv6 is met as RFC 5952 spells it and with leading
    zeros; not where a `::` ends within the network's own bits.
    """
    if isinstance(cidr, ipaddress.IPv4Network):
        return r"(\:\:ffff\:)?" + r"\.".join(_octets(cidr))
    whole, bits = divmod(cidr.prefixlen, 16)
    groups = [int(group, 16) for group in cidr.network_address.exploded.split(":")]
    parts = [f"0*{group:x}" for group in groups[:whole]]
    if bits:
        parts.append(_group(groups[whole], bits))
    spelled = [r"\:".join(parts) + ("" if len(parts) == 8 else r"\:.*" if parts else ".*")]
    if whole == 8:
        spelled.append(str(cidr.network_address).replace(":", r"\:"))
    elif not bits:  # `::` for the network's last zeros, at least
        given = len("".join("0" if group == 0 else "1" for group in groups[:whole]).rstrip("0"))
        if given < whole:
            rest = rf"([0-9a-f]{{1,4}}(\:[0-9a-f]{{1,4}}){{0,{7 - whole}}})?"
            spelled.append(r"\:".join(parts[:given]) + r"\:\:" + rest)
    return "|".join(spelled)


def _octets(cidr: ipaddress.IPv4Network) -> list[str]:
    """`<16-31>`: Lucene's numeric interval."""
    pairs = zip(cidr.network_address.packed, cidr.broadcast_address.packed, strict=True)
    return [str(first) if first == last else f"<{first}-{last}>" for first, last in pairs]


def _group(value: int, bits: int) -> str:
    """Up to four hexadecimal digits of which the first `bits` bits are given; zeros at the front may be left out."""
    digits, rest = divmod(bits, 4)
    text = f"{value:04x}"
    known, free = text[:digits].lstrip("0"), 4 - digits - bool(rest)
    partial = "".join(f"{digit:x}" for digit in range(int(text[digits], 16), int(text[digits], 16) + (16 >> rest)))
    if not known and (not rest or "0" in partial):
        return "0*" + (f"[{partial}]?" if rest else "") + (f"[0-9a-f]{{1,{free}}}" if free else "")
    return f"0*{known}" + (f"[{partial}]" if rest else "") + "[0-9a-f]" * free
