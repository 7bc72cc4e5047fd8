"""Regular expressions in Lucene's language: over an index of small letters they find what RE2 finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from soc.author.lucene_regex import lucene
from soc.detect.predicate import Regex, holds, re2_compile

SMALL = "ab1-_ \n\t'\"#<é"
CAPITAL = SMALL + "ABÉ"


def found(expression: str, text: str) -> bool:
    """As Lucene: the whole text, small letters, `.` crosses lines. What we emit of its syntax, Python reads alike."""
    return "#" not in expression.replace("\\#", "") and re.fullmatch(expression, text.lower(), re.DOTALL) is not None


def atoms(signs: str) -> st.SearchStrategy[str]:
    literal = st.sampled_from(signs).map(lambda c: c if c in "\n\t" else re.escape(c))
    member = st.sampled_from([*"ab1_", "a-b", "0-9", "\\s", "\\d", "\\W", "\\n", *("A-B" if "A" in signs else "")])
    classes = st.tuples(st.sampled_from(["", "^"]), st.lists(member, min_size=1, max_size=3))
    return st.one_of(
        literal,
        literal,
        classes.map(lambda c: f"[{c[0]}{''.join(c[1])}]"),
        st.sampled_from([".", "\\d", "\\w", "\\s", "\\S", "\\D", "\\W", "\\x41" if "A" in signs else "\\x61"]),
    )


def patterns(signs: str) -> st.SearchStrategy[str]:
    quantifier = st.sampled_from(["", "", "", "*", "+", "?", "*?", "{2}", "{1,2}", "{1,}"])
    anchor = st.sampled_from(["", "", "", "^", "$"])

    def longer(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        group = st.tuples(st.sampled_from(["(", "(?:", "(?P<n>", "(?s:"]), inner, quantifier)
        return st.one_of(
            st.tuples(anchor, inner, inner, anchor).map("".join),
            st.tuples(inner, inner).map("|".join),
            group.map(lambda g: f"{g[0]}{g[1]}){g[2]}"),
        )

    one = st.tuples(atoms(signs), quantifier).map("".join)
    return st.recursive(one, longer, max_leaves=8)


def said(pattern: str, flags: str) -> str:
    try:
        re2_compile(Regex(pattern, flags).source)
    except Exception:  # RE2's own error; such a rule does not load
        assume(False)
    try:
        return lucene(pattern, flags)
    except ValueError:
        assume(False)
        raise AssertionError from None


@settings(max_examples=250)
@given(patterns(SMALL), st.sampled_from(["", "s", "m", "i"]), st.text(SMALL, max_size=8))
def test_small_letters_are_found_exactly(pattern: str, flags: str, text: str) -> None:
    assert found(said(pattern, flags), text) is holds(Regex(pattern, flags), text)


@settings(max_examples=200)
@given(patterns(CAPITAL), st.text(CAPITAL, max_size=8))
def test_letters_of_any_case_are_never_missed_and_exact_where_case_does_not_count(pattern: str, text: str) -> None:
    assert found(said(pattern, "i"), text) is holds(Regex(pattern, "i"), text)
    assert found(said(pattern, ""), text) or not holds(Regex(pattern), text)


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        ("abc", ".*abc.*"),
        ("^Abc$", "abc"),
        ("(?i)a.b", ".*a[^\n]b.*"),
        ("(?:^|x)a", "a.*|.*xa.*"),
        ("a(?:$|[0-9])", ".*a|.*a[0-9].*"),
        (r"C:\\x/y", r".*c\:\\x\/y.*"),
        ('a"b#c@d&e<f~g', r".*a\"b\#c\@d\&e\<f\~g.*"),
        ("[A-Z]x", ".*[a-z]x.*"),
        ("[^A-Z]x", ".*.x.*"),
        ("(?i)[^A-Z]x", ".*[^a-z]x.*"),
        ("a{2}b{x", r".*a{2}b\{x.*"),
        ("(?m)^a$", "(.*\n)?a(\n.*)?"),
        ("a[b-c]{1,64}d{2,9}", ".*a[b-c]{1,}d{2,9}.*"),
    ],
)
def test_what_becomes_of(pattern: str, expression: str) -> None:
    assert lucene(pattern) == expression


@pytest.mark.parametrize(
    "pattern", [r"\bfoo", r"a^b", r"(?:x|^){2}", r"\pL", "[[:alpha:]]", "(?U)a", r"\Qa\E", "a{1000,}"]
)
def test_what_has_no_counterpart_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        lucene(pattern)
