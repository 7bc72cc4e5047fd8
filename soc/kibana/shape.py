"""Shapes of JSON values: what a value should be in, what is wrong with it out. As much of JSON Schema as we need."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Shape(Protocol):
    def wrong(self, value: Any, at: str) -> Iterator[str]:
        """Sentences that begin with the place; none for a value that fits."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `most` characters, and `pattern` all of it."""

    least: int = 0
    most: int = 100_000
    pattern: str = ""

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield f"{at}: expected a text, not {value!r}"
        elif not self.least <= len(value) <= self.most:
            yield f"{at}: expected {self.least} to {self.most} characters, not {len(value)}"
        elif self.pattern and not re.fullmatch(self.pattern, value):
            yield f"{at}: {value!r} does not fit {self.pattern}"


@dataclass(frozen=True, slots=True)
class Number:
    least: float
    most: float

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, int | float) or isinstance(value, bool) or not self.least <= value <= self.most:
            yield f"{at}: expected a number from {self.least:g} to {self.most:g}, not {value!r}"


@dataclass(frozen=True, slots=True)
class Flag:
    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, bool):
            yield f"{at}: expected true or false, not {value!r}"


class OneOf:
    """One of these values."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if value not in self.values:
            yield f"{at}: {value!r} is none of {', '.join(map(str, self.values))}"


@dataclass(frozen=True, slots=True)
class Many:
    """A list, each member of one shape."""

    of: Shape
    least: int = 0
    most: int = 10_000

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{at}: expected a list"
            return
        if not self.least <= len(value) <= self.most:
            yield f"{at}: expected {self.least} to {self.most} members, not {len(value)}"
        for number, member in enumerate(value):
            yield from self.of.wrong(member, f"{at}[{number}]")


@dataclass(frozen=True, slots=True)
class Keys:
    """A mapping of any keys to values of one shape."""

    of: Shape

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{at}: expected a mapping"
            return
        for key, member in value.items():
            yield from self.of.wrong(member, f"{at}.{key}")


@dataclass(frozen=True, slots=True)
class Object:
    """A mapping with these keys and no others."""

    needed: Mapping[str, Shape]
    optional: Mapping[str, Shape] = field(default_factory=dict)

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{at}: expected a mapping"
            return
        yield from (f"{at}: {key} is missing" for key in self.needed if key not in value)
        for key, member in value.items():
            if (shape := self.needed.get(key) or self.optional.get(key)) is None:
                yield f"{at}: {key} is not known"
            else:
                yield from shape.wrong(member, f"{at}.{key}")


@dataclass(frozen=True, slots=True)
class By:
    """A mapping whose value under `key` says which shape it has."""

    key: str
    shapes: Mapping[str, Shape]

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        named = value.get(self.key) if isinstance(value, Mapping) else None
        if not isinstance(named, str) or named not in self.shapes:
            yield f"{at}.{self.key}: {named!r} is none of {', '.join(self.shapes)}"
            return
        yield from self.shapes[named].wrong(value, at)


@dataclass(frozen=True, slots=True)
class When:
    """`then` for a mapping that has `key`, else `other`."""

    key: str
    then: Shape
    other: Shape

    def wrong(self, value: Any, at: str) -> Iterator[str]:
        has = isinstance(value, Mapping) and self.key in value
        yield from (self.then if has else self.other).wrong(value, at)
