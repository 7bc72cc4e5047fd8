"""Query text → Query: the tree that every store and `soc.store.evaluate` carry out.

The language is Lucene's as analysts know it from Kibana, implicit AND:

    user.name:root AND NOT source.ip:10.0.0.0/8        event.severity:>=73
    process.name:(cmd.exe OR powershell.exe)           destination.port:[1 TO 1023]
    host.name:PC-*   url.path:*.ph?   tags:"a b"       _exists_:user.name   user.name:*
    "dang nhap that bai"   dang nhap                   @timestamp:[2026-11-24 TO 2026-11-25}

- Fields are the flat ECS or vendor names. A list matches if any of its members does.
- Keyword values are equal without regard to case; `*` and `?` stand for any characters and for one.
- Words without a field search every value of the event, words with a text field (`message`, `event.original`)
  search that one; both ignore case and Vietnamese marks. "Several words" must follow each other in one value.
- Numbers compare as numbers, addresses as addresses, times as times. A time that leaves parts out means the whole
  of that day, hour, minute or second; one that names no zone is in `zone`.
- `\\` takes the meaning from the character after it, except before a letter or digit, where it stands for itself;
  within quotes only `\\"` and `\\\\` are escapes. So C:\\Windows can be typed as it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal

from soc.event import SocError, rfc3339
from soc.store.evaluate import comparable
from soc.store.fold import fold, keyword, words
from soc.store.tree import And, Equals, Everything, Exists, Network, Not, Or, Query, Range, Wild, Words, is_text_field
from soc.store.values import address_key, address_of, number_of, time_of

__all__ = ["Query", "QueryError", "parse_query"]

MAX_CLAUSES: Final = 256  # a query beyond this is a mistake or an attack; SQLite's expression depth is 1000
MAX_DEPTH: Final = 32


class QueryError(SocError, ValueError):
    """The query cannot be read. `position` is the 0-based character where; the message counts from 1."""

    def __init__(self, why: str, text: str, position: int) -> None:
        super().__init__(f"{why}, at character {position + 1} of {text!r}")
        self.why = why
        self.position = position


def parse_query(text: str, zone: tzinfo = UTC) -> Query:
    """The tree of a query text; blank text is Everything. Raises QueryError with the position of the fault."""
    return _Parser(text, zone).query()


_Part = str | None  # of a wildcard pattern: literal text, None for "*", "" for "?"
_OPERATORS: Final = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR", "NOT": "NOT"}
_FIELD: Final = re.compile(r"[^\W\d][\w.@#$%/ -]*|@[\w.-]+")


class _Parser:
    """Recursive descent over the characters; every method leaves `at` behind what it has read."""

    def __init__(self, text: str, zone: tzinfo) -> None:
        self.text = text
        self.zone = zone
        self.at = 0
        self.clauses = 0
        self.depth = 0

    def query(self) -> Query:
        self._blanks()
        if self.at == len(self.text):
            return Everything()
        found = self._or("")
        if self.at < len(self.text):
            raise self._wrong("a closing bracket without an opening one" if self._peek(")") else "unexpected text")
        return found

    # -- operators

    def _or(self, field: str) -> Query:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} brackets within each other")
        parts = [self._and(field)]
        while self._operator("OR"):
            parts.append(self._and(field))
        self.depth -= 1
        return _joined(Or, parts)

    def _and(self, field: str) -> Query:
        parts = [self._unary(field)]
        while True:
            explicit = self._operator("AND")
            self._blanks()
            if not explicit and (self.at == len(self.text) or self._peek(")") or self._operator_here() == "OR"):
                return _joined(And, parts)
            parts.append(self._unary(field))

    def _unary(self, field: str) -> Query:
        negative = False
        while True:
            self._blanks()
            if self._operator("NOT") or self._prefix_operator("!") or self._prefix_operator("-"):
                negative = not negative
            elif not self._prefix_operator("+"):
                break
        found = self._primary(field)
        return Not(found) if negative else found

    def _prefix_operator(self, sign: str) -> bool:
        """`-`, `+`, `!` before a clause, with nothing between; "-5" in a field's brackets is a number all the same."""
        after = self.text[self.at + 1 : self.at + 2]
        if not self._peek(sign) or not after or after.isspace() or after == ")":
            return False
        self.at += 1
        return True

    def _operator_here(self) -> str:
        found = re.compile(r"(AND|OR|NOT)(?=[\s()]|$)|&&|\|\|").match(self.text, self.at)
        return _OPERATORS[found.group()] if found else ""

    def _operator(self, name: str) -> bool:
        self._blanks()
        if self._operator_here() != name:
            return False
        self.at += 2 if self.text[self.at] in "&|" or name == "OR" else 3
        return True

    # -- clauses

    def _primary(self, field: str) -> Query:
        self._blanks()
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise self._wrong(f"more than {MAX_CLAUSES} clauses")
        if self.at == len(self.text):
            raise self._wrong("a field, word or phrase was expected")
        if self._peek("("):
            return self._group(field)
        if operator := self._operator_here():
            raise self._wrong(f"a field, word or phrase was expected before {operator}")
        if not field and (name := self._field_name()):
            return self._value(name)
        return self._value(field)

    def _group(self, field: str) -> Query:
        opening = self.at
        self.at += 1
        found = self._or(field)
        self._blanks()
        if not self._peek(")"):
            raise self._wrong("this bracket is not closed", opening)
        self.at += 1
        return found

    def _field_name(self) -> str:
        """Reads `name:` and returns the name; "" and nothing read if a word stands here, such as an address."""
        start = self.at
        out: list[str] = []
        for char, escaped in self._characters():
            if char == ":" and not escaped:
                break
            if not escaped and char in '"[]{}<>=!':
                out = []
                break
            out.append(char)
        else:
            out = []
        name, rest = "".join(out), self.text[self.at : self.at + 2]
        if name == "*" and rest[:1] == "*":
            return name
        drive_or_link = rest == "//" or (len(name) == 1 and rest[:1] == "\\")
        if not name or not _FIELD.fullmatch(name) or drive_or_link or self._address_here(start):
            self.at = start
            return ""
        return name

    def _address_here(self, start: int) -> bool:
        found = re.compile(r"[0-9A-Fa-f:.]+(?=[\s)]|$)").match(self.text, start)
        return found is not None and address_of(found.group()) is not None

    def _value(self, field: str) -> Query:
        start = self.at
        if self.at == len(self.text) or self.text[self.at].isspace():
            raise self._wrong(f"a value was expected after {field}:")
        if field and self._peek("("):
            return self._group(field)
        if field and (self._peek("[") or self._peek("{")):
            return self._range(field)
        if field and (self._peek(">") or self._peek("<")):
            return self._comparison(field)
        if self._peek('"'):
            return self._phrase(field)
        parts = self._parts()
        if not parts:
            raise self._wrong(f"{self.text[self.at]!r} has no meaning here; put \\ before it or quote the text")
        return self._term(field, parts, start)

    def _term(self, field: str, parts: list[_Part], start: int) -> Query:
        plain = "".join(parts_text) if (parts_text := [p for p in parts if p]) and len(parts_text) == len(parts) else ""
        if field == "*" and parts == [None]:
            return Everything()
        if field == "_exists_":
            if not plain:
                raise self._wrong("the name of a field was expected after _exists_:", start)
            return Exists(plain)
        if parts == [None]:
            return Exists(field) if field else Everything()
        if plain:
            return self._plain(field, plain, start)
        if not field or is_text_field(field):
            return self._text_pattern(field, parts)
        return Wild(field, tuple(keyword(p) if p else p for p in parts))

    def _text_pattern(self, field: str, parts: list[_Part]) -> Query:
        if len(parts) == 2 and parts[0] and parts[1] is None and parts[0][-1].isalnum():
            found = tuple(words(parts[0]))
            if found:
                return Words(field, found, prefix=True)
        return Wild(field, tuple(fold(p) if p else p for p in parts))

    def _plain(self, field: str, text: str, start: int) -> Query:
        if not field or is_text_field(field):
            found = tuple(words(text))
            return Words(field, found) if found else Everything()
        if "/" in text and address_of(text.partition("/")[0]) is not None:
            try:
                return Network(field, ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise self._wrong(f"{text!r} is no network", start) from None
        same = Equals(field, comparable(field, text), number_of(text))
        if (moment := time_of(text, self.zone)) is not None:
            begin, span = moment
            return Or((same, Range(field, "time", rfc3339(begin), _later(begin, span), True, False)))
        return same

    def _phrase(self, field: str) -> Query:
        text = self._quoted()
        if field == "_exists_":
            return Exists(text)
        if not field or is_text_field(field):
            found = tuple(words(text))
            return Words(field, found) if found else Everything()
        return Equals(field, comparable(field, text), number_of(text))

    # -- ranges

    def _comparison(self, field: str) -> Query:
        start, sign = self.at, self.text[self.at]
        self.at += 1
        inclusive = self._peek("=")
        self.at += inclusive
        bound = self._quoted() if self._peek('"') else self._literal()
        if not bound:
            raise self._wrong(f"a value was expected after {sign}{'=' * inclusive}", start)
        if sign == ">":
            return self._between(field, bound, None, inclusive, True)
        return self._between(field, None, bound, True, inclusive)

    def _range(self, field: str) -> Query:
        opening = self.at
        with_low = self._peek("[")
        self.at += 1
        low = self._bound()
        self._blanks()
        if not re.compile(r"TO(?=\s)").match(self.text, self.at):
            raise self._wrong("TO was expected in this range", opening)
        self.at += 2
        high = self._bound()
        self._blanks()
        if not (self._peek("]") or self._peek("}")):
            raise self._wrong("this range is not closed", opening)
        with_high = self._peek("]")
        self.at += 1
        return self._between(field, low, high, with_low, with_high)

    def _bound(self) -> str | None:
        self._blanks()
        start = self.at
        text = self._quoted() if self._peek('"') else self._literal()
        if not text:
            raise self._wrong("a bound was expected in this range", start)
        return None if self.text[start : self.at] == "*" else text

    def _between(self, field: str, low: str | None, high: str | None, with_low: bool, with_high: bool) -> Query:
        given = [bound for bound in (low, high) if bound is not None]
        if not given:
            return Exists(field)
        times = [time_of(bound, self.zone) for bound in given]
        if all(times):
            first = times[0] if low is not None else None
            last = times[-1] if high is not None else None
            return Range(
                field,
                "time",
                first and (rfc3339(first[0]) if with_low else _later(*first)),
                last and (_later(*last) if with_high else rfc3339(last[0])),
                True,
                False,
            )
        for kind, read in _KINDS:
            values = {bound: read(bound) for bound in given}
            if all(value is not None for value in values.values()):
                return Range(field, kind, low and values[low], high and values[high], with_low, with_high)
        raise AssertionError("every text is a text")

    # -- characters

    def _blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _peek(self, char: str) -> bool:
        return self.text.startswith(char, self.at)

    def _characters(self) -> Iterator[tuple[str, bool]]:
        """Characters of a term with whether each was escaped, up to a blank or bracket that ends it."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char.isspace() or char in "()":
                return
            if char == "\\":
                after = self.text[self.at + 1 : self.at + 2]
                if not after:
                    raise self._wrong("\\ needs a character after it")
                self.at += 1 if after.isalnum() else 2
                yield (char, True) if after.isalnum() else (after, True)
                continue
            self.at += 1
            yield char, False

    def _parts(self) -> list[_Part]:
        """A term as literals and wildcards."""
        parts: list[_Part] = []
        literal: list[str] = []
        for char, escaped in self._characters():
            if escaped or char not in '*?"':
                literal.append(char)
                continue
            if char == '"':
                raise self._wrong("a quote within a word; put \\ before it or quote the whole", self.at - 1)
            if literal:
                parts.append("".join(literal))
                literal.clear()
            if char == "?" or not parts or parts[-1] is not None:
                parts.append(None if char == "*" else "")
        if literal:
            parts.append("".join(literal))
        return parts

    def _literal(self) -> str:
        """A term of a range: ends at a closing bracket, too; a wildcard has no meaning in it."""
        out: list[str] = []
        for char, escaped in self._characters():
            if char in "]}" and not escaped:
                self.at -= 1
                break
            out.append(char)
        return "".join(out)

    def _quoted(self) -> str:
        opening = self.at
        self.at += 1
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            if char == "\\" and self.text[self.at : self.at + 1] in ('"', "\\"):
                char = self.text[self.at]
                self.at += 1
            out.append(char)
        raise self._wrong("this quote is not closed", opening)

    def _wrong(self, why: str, position: int | None = None) -> QueryError:
        return QueryError(why, self.text, self.at if position is None else position)


def _joined(kind: type[And] | type[Or], parts: list[Query]) -> Query:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _later(begin: datetime, span: timedelta) -> str:
    """Where a span ends; the last day of the calendar ends with it."""
    try:
        return rfc3339(begin + span)
    except OverflowError:
        return rfc3339(datetime.max.replace(tzinfo=UTC))


def _address_text(text: str) -> str | None:
    address = address_of(text)
    return None if address is None else address_key(address)


_Kind = Literal["number", "address", "text"]
_KINDS: Final[tuple[tuple[_Kind, Callable[[str], int | float | str | None]], ...]] = (
    ("number", number_of),
    ("address", _address_text),
    ("text", keyword),
)
