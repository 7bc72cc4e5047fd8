"""Query → plan: what FTS5 is to match, what SQL is to hold, and whether that is the answer or its candidates.

A plan never leaves out a document that meets the query. Where it is not exact, `soc.store.evaluate` decides on each
candidate. So the plan is about speed, and evaluate about meaning; a property test compares the two.
"""

from __future__ import annotations

import ipaddress
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from soc.event import parse_rfc3339, text_of
from soc.store.evaluate import matches, value_matches
from soc.store.fold import words
from soc.store.sqlite import terms
from soc.store.sqlite.narrow import phrases, run
from soc.store.tree import UNSPOKEN, And, Equals, Everything, Exists, Network, Not, Or, Query, Range, Wild, Words
from soc.store.values import address_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMN: Final = {"event.original": "original", "message": "message"}

#: With more values than this to look for, looking at the documents is no slower.
_MAX_TERMS: Final = 2_000

_SAFE_WHOLE: Final = 10**15  # whole numbers up to here have one text, as int and as float


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment_of(us: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows of `item` for which FTS5 matches `match` ("" = all) and SQL holds `where` ("" = all).

    `exact`: these rows are the answer. Otherwise they are candidates, and `evaluate.matches` decides.
    """

    match: str = ""
    where: str = ""
    exact: bool = True

    def condition(self) -> str:
        """Both as one SQL condition on item.n."""
        held = []
        if self.match:
            held.append(f"item.n IN (SELECT rowid FROM words WHERE words MATCH {_literal(self.match)})")
        if self.where:
            held.append(f"({self.where})")
        return " AND ".join(held)


def fields_of(query: Query) -> frozenset[str]:
    """The fields that a query asks for; "" for words anywhere."""
    if isinstance(query, And | Or):
        return frozenset().union(*(fields_of(part) for part in query.parts))
    if isinstance(query, Not):
        return fields_of(query.part)
    return frozenset() if isinstance(query, Everything) else frozenset({query.field})


class Planner:
    """Plans for one file. `combos` gives the rolled-up fields and each combination of their values with its number."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        rolled: frozenset[str],
        combos: Callable[[], Mapping[int, Mapping[str, Any]]],
    ) -> None:
        self._connection = connection
        self._rolled = rolled
        self._combos = combos

    def plan(self, query: Query) -> Plan:
        """Raises sqlite3.Error."""
        asked = fields_of(query)
        if asked and asked <= self._rolled:
            numbers = [n for n, fields in self._combos().items() if matches(query, fields)]
            return Plan(where=f"item.combo IN ({','.join(map(str, numbers))})")
        if isinstance(query, And):
            return self._and([self.plan(part) for part in query.parts])
        if isinstance(query, Or):
            return self._or([self.plan(part) for part in query.parts])
        if isinstance(query, Not):
            return _not(self.plan(query.part))
        if isinstance(query, Everything):
            return Plan()
        if isinstance(query, Words):
            return _words(query)
        if query.field == "event.id":
            return _event_id(query)
        if query.field in terms.LETTER:
            return self._terms(query)
        if isinstance(query, Range) and query.field == "@timestamp" and query.kind == "time":
            return _time(query)
        return self._wild(query) if isinstance(query, Wild) else _other(query)

    def _and(self, parts: Sequence[Plan]) -> Plan:
        return Plan(
            " AND ".join(f"({p.match})" for p in parts if p.match),
            " AND ".join(f"({p.where})" for p in parts if p.where),
            all(p.exact for p in parts),
        )

    def _or(self, parts: Sequence[Plan]) -> Plan:
        exact = all(p.exact for p in parts)
        if any(not p.match and not p.where for p in parts):
            return Plan(exact=any(p.exact and not p.match and not p.where for p in parts))
        if all(p.match and not p.where for p in parts):
            return Plan(match=" OR ".join(f"({p.match})" for p in parts), exact=exact)
        return Plan(where=" OR ".join(f"({p.condition()})" for p in parts), exact=exact)

    # -- fields with terms

    def _terms(self, query: Equals | Wild | Range | Network | Exists) -> Plan:
        start = f"\x80{terms.LETTER[query.field]}"
        if isinstance(query, Exists):
            return Plan(f"{terms.quoted(start)} *")
        if isinstance(query, Equals):
            return _equal_term(query, start)
        if isinstance(query, Network) and query.field.endswith("ip"):
            return _network_terms(query, start)
        if isinstance(query, Wild) and len(query.parts) == 2 and query.parts[0] and query.parts[1] is None:
            first = query.parts[0]
            if not query.field.endswith("ip") and terms.is_exact(first):
                return Plan(f"{terms.quoted(start + 't' + terms.encoded(first))} *")
        return self._searched_terms(query, start)

    def _searched_terms(self, query: Wild | Range | Network, start: str) -> Plan:
        """Go through the different values of the field, and match those that meet the condition."""
        found: list[str] = []
        exact = True
        rows = self._connection.execute(
            "SELECT term FROM vocabulary WHERE term >= ? AND term < ?", (start, start + "\U0010ffff")
        )
        for (token,) in rows:
            kind, rest = token[2:3], token[3:]
            if kind == "n":
                continue  # its text stands beside it
            value = terms.decoded(rest) if kind == "t" else str(ipaddress.ip_address(bytes.fromhex(rest)))
            exact = exact and value is not None
            if value is None or value_matches(query, value):
                found.append(terms.quoted(token))
                if len(found) > _MAX_TERMS:
                    return Plan(f"{terms.quoted(start)} *", exact=False)
        return Plan(" OR ".join(found), exact=exact) if found else Plan(where="0")

    # -- fields without

    def _wild(self, query: Wild) -> Plan:
        """Go by whole words in the pattern; if it has none, by the words of the file that hold a part of it."""
        if whole := phrases(query):
            return Plan(" AND ".join(f"({_phrase(found, prefix)})" for found, prefix in whole), exact=False)
        if not (part := run(query)):
            return Plan(exact=False)
        select = "SELECT term FROM vocabulary WHERE instr(term, ?) AND substr(term, 1, 1) <> ? LIMIT ?"
        rows = self._connection.execute(select, (part, terms.BREAK, _MAX_TERMS + 1)).fetchall()
        if len(rows) > _MAX_TERMS:
            return Plan(exact=False)
        return Plan(" OR ".join(terms.quoted(term) for (term,) in rows), exact=False) if rows else Plan(where="0")


def _literal(text: str) -> str:
    """A text in SQL. What we put in comes from terms and words, which hold no NUL."""
    return "'" + text.replace("'", "''") + "'"


def _not(plan: Plan) -> Plan:
    if not plan.exact:
        return Plan(exact=False)
    return Plan(where=f"NOT ({plan.condition()})" if plan.match or plan.where else "0")


def _time(query: Range) -> Plan:
    low, high = (None if b is None else microseconds(parse_rfc3339(str(b))) for b in (query.low, query.high))
    held = [] if low is None else [f"item.ts >= {low}"]
    held += [] if high is None else [f"item.ts < {high}"]
    return Plan(where=" AND ".join(held))


def _phrase(found: Sequence[str], prefix: bool = False) -> str:
    return terms.quoted(" ".join(found)) + (" *" if prefix else "")


def _words(query: Words) -> Plan:
    phrase = _phrase(query.words, query.prefix)
    if not query.field:
        return Plan(phrase)
    column = _COLUMN.get(query.field)
    return Plan(f"{column} : {phrase}") if column else Plan(phrase, exact=False)


def _equal_term(query: Equals, start: str) -> Plan:
    if query.field.endswith("ip") and (address := address_of(query.text)) is not None:
        return Plan(terms.quoted(f"{start}{address.version}{address.packed.hex()}"))
    texts = {query.text}
    numbers = ""
    if query.number is not None:
        whole = _whole(query.number)
        if abs(query.number) >= _SAFE_WHOLE:
            return Plan(exact=False)
        texts.add(text_of(whole))
        numbers = f" OR {terms.quoted(start + 'n' + terms.encoded(text_of(whole)))}"
    match = " OR ".join(terms.quoted(f"{start}t{terms.encoded(text)}") for text in sorted(texts)) + numbers
    return Plan(match, exact=len(texts) == 1 and terms.is_exact(query.text))


def _whole(number: int | float) -> int | float:
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _network_terms(query: Network, start: str) -> Plan:
    """Addresses are in hexadecimal digits, so a network is up to eight prefixes."""
    network = query.network
    digits, bits = divmod(network.prefixlen, 4)
    packed = network.network_address.packed.hex()
    first = f"{start}{network.version}{packed[:digits]}"
    if not bits:
        return Plan(f"{terms.quoted(first)} *" if digits < len(packed) else terms.quoted(first))
    low = int(packed[digits], 16)
    return Plan(" OR ".join(f"{terms.quoted(f'{first}{low + i:x}')} *" for i in range(1 << (4 - bits))))


def _other(query: Equals | Wild | Range | Network | Exists) -> Plan:
    """Fields without terms: the words of the value narrow it down, the document decides."""
    if not isinstance(query, Equals):
        return Plan(exact=False)
    if query.field in UNSPOKEN:
        return Plan(exact=False)
    options = [words(query.text)]
    if query.number is not None:
        if abs(query.number) >= _SAFE_WHOLE:
            return Plan(exact=False)
        options.append(words(text_of(_whole(query.number))))
    if query.field.endswith("ip") and address_of(query.text) is not None:
        return Plan(exact=False)  # the same address may be written in other words
    if not all(options):
        return Plan(exact=False)
    return Plan(" OR ".join(sorted({_phrase(found) for found in options})), exact=False)


_HEX: Final = re.compile(r"[0-9a-f]{24}(-[0-9]+)?")


def packed_id(event_id: str) -> bytes | str:
    """How ids stand in a day's file: without the day; 24 hexadecimal digits as 12 bytes, then what follows them."""
    rest = event_id[9:]
    if _HEX.fullmatch(rest):
        return bytes.fromhex(rest[:24]) + rest[24:].encode()
    return rest


def unpacked_id(day: str, packed: bytes | str) -> str:
    """The id again."""
    if isinstance(packed, bytes):
        return f"{day}-{packed[:12].hex()}{packed[12:].decode()}"
    return f"{day}-{packed}"


def _event_id(query: Equals | Wild | Range | Network | Exists) -> Plan:
    """The store's id, or the sender's own where there is one. An id kept as text (which SQLite sorts before blobs)
    may match in another case."""
    if not isinstance(query, Equals):
        return Plan(exact=False)
    own = _equal_term(query, f"\x80{terms.LETTER['event.id']}")
    packed = packed_id(query.text)
    held = ["item.id < x''", own.condition()]
    held += [f"item.id = x'{packed.hex()}'"] if isinstance(packed, bytes) else []
    return Plan(where=" OR ".join(filter(None, held)) if own.match else "", exact=False)
