"""Kibana's query language, the part that our content uses: text in, a tree of conditions out.

    field:value  field:"a phrase"  field:*  field:pre*  field:(a or b)  field >= 5  field < "now-15m"
    and, or, not, parentheses; `not` binds closest, then `and`, then `or`

Words without a field and nested fields are refused: in a dashboard they would search every field.
Source: https://www.elastic.co/docs/explore-analyze/query-filter/languages/kql
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Op = Literal[":", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """One field and one value. `quoted`: the value stood in quotes, so that `*` in it is a letter."""

    field: str
    op: Op
    value: str
    quoted: bool = False

    @property
    def exists(self) -> bool:
        return self.op == ":" and self.value == "*" and not self.quoted


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


Node = Compare | All | Any | Not


class KqlError(ValueError):
    """A text that is no query, with what was expected."""


_TOKEN: Final = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<sign>[():]|[<>]=?)|(?P<word>(?:[^\s():<>"\\]|\\.)+))'
)
_WORDS: Final = ("and", "or", "not")
Token = tuple[str, str]  # (text | sign | word | end, what stood there)


def parse(text: str) -> Node:
    """The tree of a query. Raises KqlError."""
    reading = _Reading(text)
    tree = reading.either()
    if reading.kind != "end":
        raise KqlError(f"{reading.seen!r} is unexpected in {text!r}")
    return tree


def fields(node: Node) -> Iterator[Compare]:
    """Every comparison of a tree, from left to right."""
    match node:
        case Compare():
            yield node
        case Not(part):
            yield from fields(part)
        case All(parts) | Any(parts):
            for part in parts:
                yield from fields(part)


def quoted(value: str) -> str:
    """A value as it stands in a query, whatever letters it has."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def one_of(field: str, values: Sequence[str]) -> str:
    """The query that a field has one of these values."""
    return f"{field}:({' or '.join(quoted(value) for value in values)})"


class _Reading:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = self.seen = ""
        self._next()

    def _next(self) -> Token:
        """The token that was seen; the one after it is seen now."""
        last = (self.kind, self.seen)
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            if self._text[self._at :].strip():
                raise KqlError(f"{self._text[self._at :].strip()[:20]!r} cannot be read in {self._text!r}")
            self.kind, self.seen = "end", "the end"
            return last
        self._at = found.end()
        self.kind, self.seen = str(found.lastgroup), str(found[str(found.lastgroup)])
        return last

    def _is(self, word: str) -> bool:
        return self.kind == "word" and self.seen.lower() == word

    def either(self, field: str = "") -> Node:
        parts = [self.every(field)]
        while self._is("or"):
            self._next()
            parts.append(self.every(field))
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def every(self, field: str = "") -> Node:
        parts = [self.negated(field)]
        while self._is("and"):
            self._next()
            parts.append(self.negated(field))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def negated(self, field: str = "") -> Node:
        if self._is("not"):
            self._next()
            return Not(self.negated(field))
        if self.seen == "(" and self.kind == "sign":
            self._next()
            inner = self.either(field)
            self._closed()
            return inner
        return Compare(field, ":", *self._value()) if field else self._comparison()

    def _comparison(self) -> Node:
        if self.kind != "word" or self.seen.lower() in _WORDS:
            raise KqlError(f"expected a field before {self.seen!r} in {self._text!r}")
        field = _plain(self._next()[1])
        if self.kind != "sign" or self.seen in "()":
            raise KqlError(f"{field!r} stands without a field in {self._text!r}: write field:value")
        op = self._next()[1]
        if op == ":" and self.kind == "sign" and self.seen == "(":
            self._next()
            inner = self.either(field)
            self._closed()
            return inner
        return Compare(field, op, *self._value())  # type: ignore[arg-type]  # one of the signs of Op

    def _value(self) -> tuple[str, bool]:
        if self.kind == "text":
            return _plain(self._next()[1][1:-1]), True
        if self.kind != "word" or self.seen.lower() in _WORDS:
            raise KqlError(f"expected a value before {self.seen!r} in {self._text!r}")
        return _plain(self._next()[1]), False

    def _closed(self) -> None:
        if self.seen != ")" or self.kind != "sign":
            raise KqlError(f"expected ) before {self.seen!r} in {self._text!r}")
        self._next()


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
