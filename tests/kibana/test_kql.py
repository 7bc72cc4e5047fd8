"""Kibana's query language, as far as our content uses it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.kibana.kql import All, Any, Compare, KqlError, Not, fields, one_of, parse, quoted


def test_not_binds_closer_than_and_and_than_or() -> None:
    a, b, c = Compare("a", ":", "1"), Compare("b", ":", "2"), Compare("c", ":", "3")
    assert parse("a:1 or b:2 and not c:3") == Any((a, All((b, Not(c)))))
    assert parse("(a:1 or b:2) and c:3") == All((Any((a, b)), c))


def test_a_field_takes_one_of_several_values() -> None:
    assert parse('a.b:(x or "y z")') == Any((Compare("a.b", ":", "x"), Compare("a.b", ":", "y z", quoted=True)))


def test_ranges_and_presence() -> None:
    assert parse('n >= 73 and t < "now-15m"') == All((Compare("n", ">=", "73"), Compare("t", "<", "now-15m", True)))
    star = parse("a:*")
    assert isinstance(star, Compare) and star.exists
    literal = parse('a:"*"')
    assert isinstance(literal, Compare) and not literal.exists


@given(st.text(min_size=1))
def test_any_value_survives_quoting(value: str) -> None:
    assert parse(f"f:{quoted(value)}") == Compare("f", ":", value, quoted=True)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_one_of_asks_for_each_value(values: list[str]) -> None:
    assert [found.value for found in fields(parse(one_of("f", values)))] == values


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        parse(text)
    except KqlError as wrong:
        assert str(wrong)


@pytest.mark.parametrize("text", ["", "word", "a:", "(a:b", "a:b c:d", "a and b:c", 'a:"x', "a:b)", "not", "a:b or"])
def test_what_is_no_query_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(KqlError, match=r"expected|unexpected|without a field|cannot be read"):
        parse(text)
