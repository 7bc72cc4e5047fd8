"""Event values: a field's name and an event → the scalars found there; scalars → text and number.

The decisions every part of the engine shares: the flat key first, then the nested path; a list is any of its members;
an empty list or null is no value, though the key exists; booleans are the texts `true` and `false`; a number is its
canonical text and its value, so that `4624` = `"4624"` and `1` = `1.0`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from soc.detect.fold import fold, plain

#: A number as people and JSON write it; no spaces, no hexadecimal, no thousands separators.
_NUMBER: Final = re.compile(r"[+-]?(\d{1,400})(\.\d*)?([eE][+-]?\d{1,3})?", re.ASCII)

Scalar = str | int | float | bool


def text(value: Scalar) -> str:
    """Canonical text of a scalar, as JSON writes it."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    return value if isinstance(value, str) else str(value)


def number(value: Scalar) -> int | float | None:
    """Numeric value of a number or of a text that is one; None for booleans and everything else."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        if match is None:
            return None
        return int(value) if match[2] is None and match[3] is None else float(value)
    return value if type(value) is int or (type(value) is float and value == value) else None


def equal(left: Scalar, right: Scalar, cased: bool = False) -> bool:
    """Same text (without case unless `cased`), or same number where at least one side is a number and not a text."""
    normal = plain if cased else fold
    if normal(text(left)) == normal(text(right)):
        return True
    if isinstance(left, str) and isinstance(right, str):
        return False
    a = number(left)
    return a is not None and a == number(right)


def members(value: Any) -> Iterator[Any]:
    """The scalars, nulls and objects in a value: itself, or those of a list at any depth."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from members(item)
    else:
        yield value


def find(event: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """What stands under a name: () if the key is absent, else one value, or several below a list of objects."""
    if name in event:
        return (event[name],)
    at = name.rfind(".")
    while at > 0:  # the longest flat prefix wins
        node = event.get(name[:at])
        if isinstance(node, Mapping):
            return find(node, name[at + 1 :])
        if isinstance(node, list | tuple):
            below = tuple(
                found for item in members(node) if isinstance(item, Mapping) for found in find(item, name[at + 1 :])
            )
            if below:
                return below
        at = name.rfind(".", 0, at)
    return ()


def leaves(value: Any) -> Iterator[Scalar]:
    """Every scalar in a value, those of nested objects and lists included, nulls left out."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif value is not None:
        yield value


def without_spaces(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with each name that holds spaces also under the name without them (`Threat Name` → `ThreatName`)."""
    spaced = [name for name in event if " " in name]
    if not spaced:
        return event
    out = dict(event)
    for name in spaced:
        out.setdefault(name.replace(" ", ""), event[name])
    return out
