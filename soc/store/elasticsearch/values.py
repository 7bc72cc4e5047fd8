"""Conditions on a field's values → queries by the field's type: (documents that surely meet it, documents that may).

Documents that `plan.looked_at` holds are never judged by these. A number, say, in a keyword field is compared as a
number all the same, for a condition means what `soc.store.query` says and not what a mapping makes of it.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import orjson

from soc.event import parse_rfc3339, rfc3339
from soc.store.elasticsearch import scripts
from soc.store.elasticsearch.addresses import ip_ranges
from soc.store.elasticsearch.dsl import ALL, NONE, Dsl, all_of, any_of, none_of
from soc.store.elasticsearch.moments import microseconds
from soc.store.elasticsearch.odd import cases
from soc.store.evaluate import value_matches
from soc.store.tree import Equals, Exists, Network, Range, Wild
from soc.store.values import address_of

Found = tuple[Dsl, Dsl]
Condition = Equals | Wild | Range | Network | Exists

_NOTHING: Final[Found] = (NONE, NONE)
_LONG: Final = 2**63


def _both(query: Dsl) -> Found:
    return query, query


def _exists(name: str) -> Dsl:
    return {"exists": {"field": name}}


# ---------------------------------------------------------------- texts: keywords, and keys of the flattened field


def keyword(query: Condition, name: str) -> Found:
    """A keyword field, which holds each value as it was written."""
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        return _texts(query, lambda text: _equal(name, text), lambda: {"wildcard": {name: {"value": "*:*"}}})
    if isinstance(query, Wild):
        return _spelled(query, name, _fitting(name, query.parts), {"wildcard": {name: {"value": "*:*"}}})
    return _compared(query, name, _exists(name), {"wildcard": {name: {"value": "*:*"}}})


def folded(query: Condition, name: str) -> Found:
    """A keyword field in small letters, with the values as they were written in a column beside it."""
    colon = {"wildcard": {name: {"value": "*:*"}}}
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        return _texts(query, lambda text: {"term": {name: {"value": text}}}, lambda: colon)
    if isinstance(query, Wild):
        return _spelled(query, name, {"wildcard": {name: {"value": _pattern(query.parts)}}}, colon)
    if isinstance(query, Range) and query.kind == "text":
        bounds = {("gte" if query.with_low else "gt"): query.low, ("lte" if query.with_high else "lt"): query.high}
        return _both({"range": {name: {word: bound for word, bound in bounds.items() if bound is not None}}})
    return _compared(query, f"{name}.exact", _exists(name), colon)


def keyed(query: Condition, name: str) -> Found:
    """A key of the flattened field, which holds each value's text. Its own queries take a key's case lightly."""
    there = _exists(name)
    if isinstance(query, Exists):
        return _both(there)
    colon = all_of(there, scripts.wild(name, (None, ":", None)))
    if isinstance(query, Equals):
        return _texts(query, lambda text: all_of(there, _equal_key(name, text)), lambda: colon)
    if isinstance(query, Wild):
        return _spelled(query, name, all_of(there, scripts.wild(name, query.parts)), colon)
    return _compared(query, name, there, colon)


def _equal(name: str, text: str) -> Dsl:
    if text.isascii():
        return {"term": {name: {"value": text, "case_insensitive": True}}}
    return _regexp(name, (text,))


def _equal_key(name: str, text: str) -> Dsl:
    if text.isascii():
        return {"term": {name: {"value": text, "case_insensitive": True}}}
    return scripts.wild(name, (text,))


def _fitting(name: str, parts: tuple[str | None, ...]) -> Dsl:
    if all(part is None or part.isascii() for part in parts):
        return {"wildcard": {name: {"value": _pattern(parts), "case_insensitive": True}}}
    return _regexp(name, parts)


def _pattern(parts: tuple[str | None, ...]) -> str:
    return "".join("*" if part is None else _escaped(part) if part else "?" for part in parts)


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "*?\\" else char for char in text)


def _regexp(name: str, parts: tuple[str | None, ...]) -> Dsl:
    """Each letter as all that equal it; NONE if documents without a mark cannot hold it."""
    out: list[str] = []
    for part in parts:
        if not part:
            out.append("@" if part is None else ".")
        for char in part or "":
            same = cases(char)
            if not same:
                return NONE
            escaped = "".join(c if c.isalnum() or not c.isascii() else f"\\{c}" for c in same)
            out.append(f"[{escaped}]" if len(same) > 1 else escaped)
    return {"regexp": {name: {"value": "".join(out), "flags": "ANYSTRING", "max_determinized_states": 100_000}}}


def _texts(query: Equals, equal: Callable[[str], Dsl], colon: Callable[[], Dsl]) -> Found:
    """A value is the text; one written as another text of the same number may be that number."""
    sure = equal(query.text)
    maybe = [sure, *(equal(text) for text in _spellings(query) if text != query.text)]
    if query.field.endswith("ip") and address_of(query.text) is not None:
        maybe.append(colon())  # IPv6 in another spelling, or IPv4 within it
    return sure, any_of(*maybe)


def _spellings(query: Equals) -> list[str]:
    """The texts that a JSON number equal to the query's has, in the document and in the flattened field."""
    number = query.number
    if number is None:
        return []
    found = []
    if number == number // 1 and abs(number) < 2**64:
        found.append(str(int(number)))
    try:
        real = float(number)
    except OverflowError:
        return found
    if real == number:
        found += [str(real).lower(), orjson.dumps(real).decode().lower()]
    return list(dict.fromkeys(found))


def _spelled(query: Wild, name: str, fits: Dsl, colon: Dsl) -> Found:
    """A pattern on an address is held against its canonical form."""
    return (all_of(fits, none_of(colon)), any_of(fits, colon)) if name.endswith("ip") else _both(fits)


def _compared(query: Range | Network, name: str, there: Dsl, colon: Dsl) -> Found:
    """Ranges and networks on values that are texts, as they were written in the column of this name."""
    if isinstance(query, Range) and query.kind == "number":
        low, high = query.low, query.high
        assert not isinstance(low, str) and not isinstance(high, str)
        return _both(all_of(there, scripts.number(name, low, high, query.with_low, query.with_high)))
    if isinstance(query, Range) and query.kind == "text":
        low, high = query.low, query.high
        assert (low is None or isinstance(low, str)) and (high is None or isinstance(high, str))
        return _both(all_of(there, scripts.text(name, low, high, query.with_low, query.with_high)))
    if isinstance(query, Range) and query.kind == "time":
        return NONE, all_of(there, _days(query, name))
    sure = NONE
    for first, last in ip_ranges(query):
        if isinstance(first, ipaddress.IPv4Address):
            sure = all_of(there, scripts.ipv4(name, int(first), int(last)))
    return sure, any_of(sure, colon)


def _days(query: Range, name: str) -> Dsl:
    """Texts that begin with a day that may be within: zones move a time by a day at most."""
    low = "0000" if query.low is None else _day(str(query.low), -2)
    high = "9999-99" if query.high is None else _day(str(query.high), 2)
    return {"range": {name: {"gte": low, "lte": high}}}


def _day(text: str, days: int) -> str:
    try:
        return (parse_rfc3339(text) + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return "0000" if days < 0 else "9999-99"


# ---------------------------------------------------------------- other types


def long(query: Condition, name: str) -> Found:
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        number = query.number
        if number is None or number != number // 1 or not -_LONG <= number < _LONG:
            return _NOTHING
        return _both({"term": {name: int(number)}})
    if isinstance(query, Wild):
        return _both(all_of(_exists(name), scripts.wild(name, query.parts)))
    if isinstance(query, Network) or query.kind in ("time", "address"):
        return _NOTHING
    if query.kind == "text":
        return _compared(query, name, _exists(name), NONE)
    return _both(_whole_range(query, name))


def _whole_range(query: Range, name: str) -> Dsl:
    """The whole numbers between two numbers, which may be far outside of what the field holds."""
    low, high = -_LONG, _LONG - 1
    if query.low is not None:
        assert not isinstance(query.low, str)
        low = max(low, math.ceil(query.low) if query.with_low else math.floor(query.low) + 1)
    if query.high is not None:
        assert not isinstance(query.high, str)
        high = min(high, math.floor(query.high) if query.with_high else math.ceil(query.high) - 1)
    return {"range": {name: {"gte": low, "lte": high}}} if low <= high else NONE


def double(query: Condition, name: str) -> Found:
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        if query.number is None or abs(query.number) > 2**53:
            return (NONE, NONE) if query.number is None else (NONE, _exists(name))
        return _both({"term": {name: float(query.number)}})
    if isinstance(query, Range) and query.kind == "number":
        bounds = {
            ("gte" if query.with_low else "gt"): query.low,
            ("lte" if query.with_high else "lt"): query.high,
        }
        return _both({"range": {name: {word: bound for word, bound in bounds.items() if bound is not None}}})
    if isinstance(query, Network) or (isinstance(query, Range) and query.kind != "text"):
        return _NOTHING
    return NONE, _exists(name)


def boolean(query: Condition, name: str) -> Found:
    if isinstance(query, Exists):
        return _both(_exists(name))
    met = [value for value in (True, False) if value_matches(query, value)]
    return _both({"terms": {name: met}} if met else NONE)


def ip(query: Condition, name: str) -> Found:
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        address = address_of(query.text)
        return _NOTHING if address is None else _both({"term": {name: str(address)}})
    if isinstance(query, Wild):
        return _both(all_of(_exists(name), scripts.wild(name, query.parts)))
    if isinstance(query, Range) and query.kind in ("number", "time"):
        return _NOTHING
    if isinstance(query, Range) and query.kind == "text":
        return _compared(query, name, _exists(name), NONE)
    ranges = [{"range": {name: {"gte": str(first), "lte": str(last)}}} for first, last in ip_ranges(query)]
    return _both(any_of(*ranges))


def date(query: Condition, name: str) -> Found:
    """A date field knows milliseconds; documents of the same millisecond are looked at."""
    if isinstance(query, Exists):
        return _both(_exists(name))
    if isinstance(query, Equals):
        moment = _moment(query.text)
        return _NOTHING if moment is None else (NONE, _within(name, moment, moment))
    if isinstance(query, Range) and query.kind == "time":
        low, high = (
            None if bound is None else microseconds(parse_rfc3339(str(bound))) for bound in (query.low, query.high)
        )
        first, last = (None if low is None else low // 1000), (None if high is None else -(-high // 1000) - 1)
        wide = _milliseconds(name, first, last)
        first, last = (None if low is None else -(-low // 1000)), (None if high is None else high // 1000 - 1)
        return _milliseconds(name, first, last), wide
    if isinstance(query, Network) or (isinstance(query, Range) and query.kind != "text"):
        return _NOTHING
    return NONE, _exists(name)


def _bounds(query: Range) -> tuple[int | None, int | None]:
    """Of a range of times, in µs; the upper one lies outside."""
    low, high = (
        None if bound is None else microseconds(parse_rfc3339(str(bound))) for bound in (query.low, query.high)
    )
    return low, high


def _within(name: str, first: datetime, last: datetime) -> Dsl:
    return _milliseconds(name, microseconds(first) // 1000, microseconds(last) // 1000)


def _milliseconds(name: str, first: int | None, last: int | None) -> Dsl:
    if first is not None and last is not None and first > last:
        return NONE
    bounds = {"gte": first, "lte": last}
    return {"range": {name: {"format": "epoch_millis", **{w: b for w, b in bounds.items() if b is not None}}}}


def _moment(text: str) -> datetime | None:
    """The time whose canonical text, in small letters, this is."""
    try:
        moment = parse_rfc3339(text.upper())
    except (ValueError, OverflowError):
        return None
    return moment if rfc3339(moment).lower() == text else None


def other(query: Condition, name: str) -> Found:
    """A type that only an operator's own template brings: the documents tell."""
    return NONE, _exists(name)


BY_KIND: Final[dict[str, Callable[[Condition, str], Found]]] = {
    "folded": folded,
    "keyword": keyword,
    "text": other,
    "long": long,
    "double": double,
    "boolean": boolean,
    "ip": ip,
    "date": date,
    "other": other,
}


# ---------------------------------------------------------------- fields of ours


def span(low: int | None, high: int | None) -> Dsl:
    """Event times in µs, low <= ts < high. The date finds them, to the millisecond; soc.index.ts tells exactly."""
    if low is None and high is None:
        return ALL
    first, last = (None if low is None else low // 1000), (None if high is None else -(-high // 1000) - 1)
    found = _milliseconds("@timestamp", first, last)
    if (low or 0) % 1000 == 0 and (high or 0) % 1000 == 0:
        return found
    bounds = {"gte": low, "lt": high}
    exact = {word: bound for word, bound in bounds.items() if bound is not None}
    return all_of(found, {"range": {"soc.index.ts": exact}})


def timestamp(query: Condition) -> Found:
    """The time of the event, which every document has."""
    if isinstance(query, Exists):
        return _both(ALL)
    if isinstance(query, Range) and query.kind == "time":
        low, high = (
            None if bound is None else microseconds(parse_rfc3339(str(bound))) for bound in (query.low, query.high)
        )
        return _both(span(low, high))
    if isinstance(query, Equals):
        moment = _moment(query.text)
        return _NOTHING if moment is None else _both(span(microseconds(moment), microseconds(moment) + 1))
    if isinstance(query, Network) or (isinstance(query, Range) and query.kind != "text"):
        return _NOTHING
    return NONE, ALL


def own_id(query: Condition) -> Found:
    """event.id where the sender gave none: the document's own id, which the server finds as a whole only."""
    if isinstance(query, Equals):
        mine = {"ids": {"values": list(dict.fromkeys([query.text, query.text.upper()]))}}
        return all_of(mine, {"bool": {"must_not": [_exists("event.id")]}}), mine
    return NONE, ALL
