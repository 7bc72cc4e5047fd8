"""Messages of a syslog connection are the same whatever the chunks, and memory stays bounded."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.collect.syslog_framing import Message, SyslogFramer

LIMIT = 30
TOKENS = [
    *[b"<13>a", b"\n", b"\r\n", b"\0", b" ", b"5 <1>ab", b"5 ", b"12", b"<", b"99 <1>", b"0 <1>", b"x" * 20, b"\xff"],
    *[b"7 <1>a\nbc", b"123456789012 <", b"40 <1>" + b"y" * 37, b"2026-11-24 z\n"],
]
streams = st.lists(st.sampled_from(TOKENS), max_size=20).map(b"".join)


def messages(parts: list[bytes]) -> list[Message]:
    framer = SyslogFramer(LIMIT)
    return [m for part in parts for m in framer.feed(part)] + framer.finish()


@settings(max_examples=200)
@given(data=streams, cuts=st.lists(st.integers(0, 400), max_size=8))
def test_chunking_changes_nothing(data: bytes, cuts: list[int]) -> None:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    assert messages([data]) == messages([data[a:b] for a, b in itertools.pairwise([0, *at, len(data)])])


@settings(max_examples=150)
@given(
    sent=st.lists(
        st.tuples(st.binary(min_size=1, max_size=20).filter(lambda b: not {10, 0, 13} & set(b)), st.booleans()),
        max_size=8,
    )
)
def test_counted_and_lines_may_be_mixed(sent: list[tuple[bytes, bool]]) -> None:
    data = b"".join(b"%d <1>%s" % (len(m) + 3, m) if counted else b"<1>%s\n" % m for m, counted in sent)
    assert messages([data]) == [Message(b"<1>" + m) for m, _ in sent]
