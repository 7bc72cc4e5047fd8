"""Query + flat document → whether it meets: the plain reading of `soc.store.query`, value by value.

The reference for every store's own execution, and what the embedded store asks when its index gives candidates only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soc.event import rfc3339, text_of
from soc.store.fold import fold, keyword, words
from soc.store.tree import (
    UNSPOKEN,
    And,
    Equals,
    Everything,
    Exists,
    Network,
    Not,
    Or,
    Query,
    Range,
    Wild,
    Words,
    is_text_field,
)
from soc.store.values import address_key, address_of, number_of, time_of


def matches(query: Query, fields: Mapping[str, Any]) -> bool:
    """Whether the document meets the query."""
    if isinstance(query, And):
        return all(matches(part, fields) for part in query.parts)
    if isinstance(query, Or):
        return any(matches(part, fields) for part in query.parts)
    if isinstance(query, Not):
        return not matches(query.part, fields)
    if isinstance(query, Everything):
        return True
    if isinstance(query, Exists):
        return next(members(fields, query.field), None) is not None
    values = members(fields, query.field) if query.field else everything(fields)
    return any(value_matches(query, value) for value in values)


def value_matches(query: Words | Equals | Wild | Range | Network, value: object) -> bool:
    """Whether one scalar meets a condition on a single value."""
    if isinstance(query, Words):
        return _follow(query, words(text_of(value)))
    if isinstance(query, Equals):
        if query.number is not None and isinstance(value, int | float) and not isinstance(value, bool):
            return value == query.number
        return comparable(query.field, value) == query.text
    if isinstance(query, Wild):
        if not query.field or is_text_field(query.field):
            text = fold(text_of(value))
            return any(fits(query.parts, run) for run in (*text.split(), *words(text)))
        return fits(query.parts, comparable(query.field, value))
    if isinstance(query, Network):
        address = address_of(text_of(value))
        return address is not None and address in query.network
    return _within(query, value)


def members(fields: Mapping[str, Any], name: str) -> Iterator[Any]:
    """The scalars of a field, those of lists one by one; within vendor objects by the rest of the dotted name."""
    if name in fields:
        yield from scalars(fields[name])
        return
    at = name.find(".")
    while at > 0:
        if (parent := fields.get(name[:at])) is not None:
            yield from _within_objects(parent, name[at + 1 :])
        at = name.find(".", at + 1)


def everything(fields: Mapping[str, Any]) -> Iterator[Any]:
    """The scalars of all fields that words are searched in."""
    for name, value in fields.items():
        if name not in UNSPOKEN:
            yield from scalars(value)


def scalars(value: Any) -> Iterator[Any]:
    """A scalar itself, or those within lists and objects; null is none."""
    if isinstance(value, list):
        for member in value:
            yield from scalars(member)
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from scalars(member)
    elif value is not None:
        yield value


def _within_objects(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from members(value, name)
    elif isinstance(value, list):
        for member in value:
            yield from _within_objects(member, name)


def comparable(field: str, value: object) -> str:
    """The text by which a value of a keyword field is compared; addresses in their canonical form."""
    text = text_of(value)
    if field.endswith("ip") and (address := address_of(text)) is not None:
        return str(address)
    return keyword(text)


def fits(parts: Sequence[str | None], text: str) -> bool:
    """Whether the text is the literals in order, with any run of characters for None and one character for ""."""
    at, star, back = 0, -1, 0
    i = 0
    pattern = [c for part in parts for c in ([None] if part is None else [""] if part == "" else part)]
    while at < len(text):
        if i < len(pattern) and pattern[i] is not None and pattern[i] in ("", text[at]):
            i, at = i + 1, at + 1
        elif i < len(pattern) and pattern[i] is None:
            star, back, i = i, at, i + 1
        elif star >= 0:
            back += 1
            i, at = star + 1, back
        else:
            return False
    return all(c is None for c in pattern[i:])


def _follow(query: Words, found: list[str]) -> bool:
    wanted = query.words
    exact = wanted[:-1] if query.prefix else wanted
    for i in range(len(found) - len(wanted) + 1):
        if all(found[i + k] == w for k, w in enumerate(exact)) and (
            not query.prefix or found[i + len(exact)].startswith(wanted[-1])
        ):
            return True
    return False


def _within(query: Range, value: object) -> bool:
    text = text_of(value)
    key: Any
    if query.kind == "number":
        key = number_of(text)
    elif query.kind == "time":
        moment = time_of(text)
        key = None if moment is None else rfc3339(moment[0])
    elif query.kind == "address":
        address = address_of(text)
        key = None if address is None else address_key(address)
    else:
        key = keyword(text)
    if key is None:
        return False
    low: Any = query.low
    high: Any = query.high
    return (low is None or (low <= key if query.with_low else low < key)) and (
        high is None or (key <= high if query.with_high else key < high)
    )
