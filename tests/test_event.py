"""The nouns: ids, times, and the two shapes of a document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.event import RecordError, digest, flat, nested, parse_rfc3339, record_id, rfc3339

names = st.text("abc", min_size=1, max_size=3)
values = st.one_of(st.integers(), st.text(max_size=5), st.none(), st.lists(st.integers(), max_size=2))
trees = st.recursive(values, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4), max_leaves=12)


@given(st.dictionaries(names, trees, min_size=1, max_size=4))
def test_nesting_undoes_flattening(tree: dict[str, object]) -> None:
    assert nested(flat(tree)) == tree


def test_a_name_that_is_value_and_parent_loses_neither() -> None:
    assert nested({"a": 1, "a.b": 2}) == {"a": 1, "a.b": 2}
    assert nested({"a.b": 2, "a": 1}) == {"a": 1, "a.b": 2}
    assert nested({"x.a.b": 2, "x.a": 1}) == {"x": {"a": 1}, "x.a.b": 2}


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_facts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1)))
def test_a_time_survives_its_text_whatever_its_zone(naive: datetime) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(hours=7)))
    text = rfc3339(moment)
    assert parse_rfc3339(text) == moment and len(text) == 27


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="names no time zone"):
        parse_rfc3339("2026-11-24T01:02:03")


def test_a_record_id_begins_with_the_day_of_receipt() -> None:
    assert record_id(datetime(2026, 11, 24, 23, 59, tzinfo=UTC), "file", 0).startswith("20261124-")


def test_codes_of_rejected_records_are_a_closed_list() -> None:
    with pytest.raises(AssertionError):
        RecordError("whatever")
