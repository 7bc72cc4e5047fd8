"""The mark by which an applied object is known again, and what counts as the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.kibana import Alerting, Content, Setup, everything
from soc.kibana.item import contained, content_hash, differences, mark_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(st.text(max_size=4), VALUES, max_size=4)


@settings(max_examples=40)
@given(BODIES)
def test_the_hash_is_of_the_content_not_of_its_order(body: dict[str, Any]) -> None:
    assert content_hash(dict(reversed(body.items()))) == content_hash(body)


@settings(max_examples=40)
@given(BODIES, BODIES)
def test_other_content_has_another_hash(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = contained(one, other) and contained(other, one)
    assert (content_hash(one) == content_hash(other)) == same


@settings(max_examples=40)
@given(BODIES, st.text(min_size=5, max_size=6), VALUES)
def test_what_kibana_adds_is_no_difference(body: dict[str, Any], name: str, value: Any) -> None:
    assert contained(body, {**body, name: value})
    assert differences(body, {**body, name: value}) == []


@settings(max_examples=40)
@given(BODIES, BODIES)
def test_a_difference_has_a_place(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    assert bool(differences(wanted, found)) != contained(wanted, found)


@pytest.mark.parametrize("kind", ["space", "role", "search", "dashboard", "rule"])
def test_every_object_bears_the_hash_of_its_content(
    content: Content, may_alert: list[Alerting], setup: Setup, kind: Any
) -> None:
    marks = [mark_of(kind, item.body) for item in everything(content, may_alert, setup) if item.kind == kind]
    assert all(len(mark) == 12 for mark in marks)
    assert len(set(marks)) == len(marks)


@pytest.mark.parametrize(
    ("kind", "body"),
    [("role", {}), ("role", {"metadata": None}), ("rule", {"tags": None}), ("rule", {"tags": ["x"]}), ("space", {})],
)
def test_an_object_of_somebody_else_bears_none(kind: Any, body: dict[str, Any]) -> None:
    assert mark_of(kind, body) == ""
