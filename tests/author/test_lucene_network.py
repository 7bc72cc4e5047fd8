"""Networks as regular expressions of their addresses' texts: what Lucene would accept is what the network holds."""

from __future__ import annotations

import ipaddress
import re

from hypothesis import example, given
from hypothesis import strategies as st

from soc.author.lucene_network import Network, network

_INTERVAL = re.compile(r"<(\d+)-(\d+)>")


def accepts(pattern: str, text: str) -> bool:
    """As Lucene does: the whole text; its numeric intervals spelled out for Python."""

    def spelled(found: re.Match[str]) -> str:
        return f"(?:{'|'.join(map(str, range(int(found[1]), int(found[2]) + 1)))})"

    return re.fullmatch(_INTERVAL.sub(spelled, pattern), text) is not None


v4 = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: ipaddress.IPv4Network(p, strict=False))
v6 = st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(lambda p: ipaddress.IPv6Network(p, strict=False))


@given(v4, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_an_ipv4_network_accepts_its_addresses_alone(cidr: ipaddress.IPv4Network, within: int, other: int) -> None:
    pattern = network(cidr)
    inside = cidr[within % cidr.num_addresses]
    assert accepts(pattern, str(inside))
    assert accepts(pattern, f"::ffff:{inside}")
    outside = ipaddress.IPv4Address(other)
    assert accepts(pattern, str(outside)) is (outside in cidr)
    assert not accepts(pattern, f"{inside}.example")


@given(v6, st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
@example(ipaddress.IPv6Network("fe80::/10"), 1, 0xFE80 << 112)
@example(ipaddress.IPv6Network("::1/128"), 0, 1)
@example(ipaddress.IPv6Network("2001:db8::/32"), 7, 0)
@example(ipaddress.IPv6Network("2001::/22"), 7, 0)
def test_an_ipv6_network_accepts_no_other_address_and_all_of_its_own_written_in_full(
    cidr: ipaddress.IPv6Network, within: int, other: int
) -> None:
    pattern = network(cidr)
    inside, outside = cidr[within % cidr.num_addresses], ipaddress.IPv6Address(other)
    assert accepts(pattern, inside.exploded)
    for text in (str(outside), outside.exploded):
        assert not accepts(pattern, text) or outside in cidr
    if not abbreviated(cidr, inside):
        assert accepts(pattern, str(inside))


def abbreviated(cidr: Network, address: ipaddress.IPv6Address) -> bool:
    """Does a `::` begin within the network's groups and not stand for their last zeros?"""
    groups = -(-cidr.prefixlen // 16)
    before = str(address).partition("::")[0]
    begins = before.count(":") + 1 if before else 0
    if "::" not in str(address) or cidr.prefixlen == 128 or begins >= groups:
        return False
    given = cidr.network_address.exploded.split(":")[:groups]
    return cidr.prefixlen % 16 > 0 or set(given[begins:]) != {"0000"} or (begins > 0 and given[begins - 1] == "0000")
