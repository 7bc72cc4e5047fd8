"""Predicates: what one value of a rule asks of one scalar of an event. `holds(predicate, scalar)` is their meaning.

Exists and Null ask about the field and not about a scalar, Reference about two fields: they are answered where the
event is at hand (`soc.detect.explain`, `soc.detect.match`).
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import re2

from soc.detect import times
from soc.detect.fold import fold, plain
from soc.detect.pattern import Parts, Wild, regex
from soc.detect.value import Scalar, equal, number, text


@dataclass(frozen=True, slots=True)
class Text:
    """A Sigma string; without wildcards it also equals a number of the same value."""

    parts: Parts
    cased: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """An unquoted number of a rule: equal by value or by text."""

    number: int | float


@dataclass(frozen=True, slots=True)
class Present:
    """`*` alone: a value that is not null."""


@dataclass(frozen=True, slots=True)
class Null:
    """The field is absent or null."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The key is there, whatever its value, null too (or is not there)."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class Regex:
    """RE2, searched for anywhere in the text. `flags` of i, m, s; `start`, `end`: anchored there."""

    pattern: str
    flags: str = ""
    start: bool = False
    end: bool = False

    @property
    def source(self) -> str:
        """The whole RE2 pattern, flags and anchors included."""
        out = f"(?{self.flags}:{plain(self.pattern)})" if self.flags else f"(?:{plain(self.pattern)})"
        return (r"\A" if self.start else "") + out + (r"\z" if self.end else "")


@dataclass(frozen=True, slots=True)
class Cidr:
    """An address within a network of the same family; an IPv4-mapped IPv6 address is its IPv4 address."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Compare:
    """Numeric comparison (`eq`, `gt`, `gte`, `lt`, `lte`) of the value or of a part of the date that it is."""

    op: str
    number: int | float
    part: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Equal to (or `startswith`, `endswith`, `contains`) the value of another field of the event."""

    field: str
    mode: str = ""
    cased: bool = False


Predicate = Text | Number | Present | Null | Exists | Regex | Cidr | Compare | Reference

OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def holds(predicate: Predicate, value: Scalar) -> bool:
    """Does the scalar satisfy the predicate? Not for Null, Exists and Reference."""
    if isinstance(predicate, Text):
        return _text_holds(predicate, value)
    if isinstance(predicate, Number):
        return equal(predicate.number, value)
    if isinstance(predicate, Regex):
        return _compiled(predicate.source).search(plain(text(value))) is not None
    if isinstance(predicate, Compare):
        actual = times.part(value, predicate.part) if predicate.part else number(value)
        return actual is not None and OPERATORS[predicate.op](actual, predicate.number)
    if isinstance(predicate, Cidr):
        address = ip(text(value))
        return address is not None and address in predicate.network
    if isinstance(predicate, Present):
        return True
    raise TypeError(f"{predicate!r} asks more than one scalar")


def refers(reference: Reference, value: Scalar, other: Scalar) -> bool:
    """Does the scalar stand in the reference's relation to a scalar of the other field?"""
    if not reference.mode:
        return equal(value, other, reference.cased)
    normal = plain if reference.cased else fold
    mine, its = normal(text(value)), normal(text(other))
    if reference.mode == "startswith":
        return mine.startswith(its)
    if reference.mode == "endswith":
        return mine.endswith(its)
    return its in mine


def _text_holds(predicate: Text, value: Scalar) -> bool:
    parts = predicate.parts
    if any(isinstance(part, Wild) for part in parts):
        normal = plain if predicate.cased else fold
        return _glob(predicate).search(normal(text(value))) is not None
    literal = parts[0] if parts else ""
    assert isinstance(literal, str)
    return equal(literal, value, predicate.cased)


@lru_cache(maxsize=8192)
def _glob(predicate: Text) -> Any:
    return re2_compile(regex(predicate.parts, predicate.cased))


@lru_cache(maxsize=8192)
def ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address a text is, zone (`%eth0`) aside; None if it is none."""
    try:
        address = ipaddress.ip_address(value.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=8192)
def _compiled(source: str) -> Any:
    return re2_compile(source)


def re2_compile(source: str | bytes) -> Any:
    """A compiled RE2 pattern that keeps its complaints to itself. Raises re2.error."""
    return re2.compile(source, _quiet())


def searcher(source: str) -> Callable[[bytes], bool]:
    """Whether a pattern occurs in UTF-8. Raises re2.error.

    Half of the cost of re2's own `search`, which makes a match object; by two of its private names, which the lock
    file holds still.
    """
    options = _quiet()
    options.never_capture = True
    match = re2.compile(source.encode(), options)._regexp.Match
    anywhere = re2._Anchor.UNANCHORED
    return lambda data: match(anywhere, data, 0, len(data))[0][0] >= 0


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options
