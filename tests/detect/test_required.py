"""Required literals of regular expressions: what is told is needed by every match."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.detect.required import required

PIECES = [
    "a",
    "b",
    "ab",
    "a+",
    "b?",
    "c*",
    "a{2}",
    "b{0,2}",
    ".",
    "[ab]",
    "[^a]",
    "(?:ab|c)",
    "(a)+",
    r"\.",
    r"\d",
    "^",
    "$",
    "|",
]


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        (r"net\s+stop SuperBackupMan", ["stop SuperBackupMan"]),
        (r"\$PSHome\[\s*\d{1,3}\s*\]", ["$PSHome["]),
        (r"foo|ba[rz]x?", ["foo", "ba"]),
        (r"(?i)abc?de", ["ab"]),
        (r"[a\]b]x(?:foo|bar)yz*w", ["x"]),
        (r"ab+c", ["ab"]),
        (r"a\x41bc", None),
        (r"\Qa.b\E", None),
        (r"[^/]{100,}$", None),
        (r"a|", None),
        (r"x{,3}y", None),
    ],
)
def test_literals_of_real_expressions(pattern: str, literals: list[str] | None) -> None:
    assert required(pattern) == literals


@settings(max_examples=600)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=6),
    text=st.text(st.sampled_from("aabbc.1"), max_size=8),
)
def test_no_match_is_without_a_required_literal(pieces: list[str], text: str) -> None:
    pattern = "".join(pieces)
    literals = required(pattern)
    if literals is not None and re2.search(pattern, text):
        assert any(literal in text for literal in literals), literals
