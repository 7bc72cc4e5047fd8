"""Query → plan: which documents the server's indices say meet it, which may, and which must be looked at.

`soc.store.evaluate` is the meaning. An index cannot always tell it: a value too long for it, an object, an address
spelled otherwise, a letter whose case Lucene and Unicode see apart. So every condition has three answers, and they
combine as in three-valued logic:

    sure    documents that meet the query
    maybe   documents that may meet it; no other does
    doubts  where the two differ: only documents that one of these holds can be in `maybe` and not in `sure`

A search takes what is sure from the server and asks `evaluate` about the rest of `maybe`, which is mostly nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from soc.store.elasticsearch import values
from soc.store.elasticsearch.dsl import ALL, NONE, Dsl, all_of, any_of, none_of
from soc.store.elasticsearch.known import Known
from soc.store.elasticsearch.odd import VALUES, WORDS
from soc.store.elasticsearch.shapes import RESERVED, ancestors
from soc.store.elasticsearch.spoken import text_wild, words
from soc.store.tree import And, Equals, Everything, Exists, Network, Not, Or, Query, Range, Wild, Words

_VENDOR: Final = "soc.index.vendor."


@dataclass(frozen=True, slots=True)
class Plan:
    """Three parts of the query language; `doubts` empty = `sure` is the answer."""

    sure: Dsl
    maybe: Dsl
    doubts: tuple[Dsl, ...] = ()

    def unsure(self) -> Dsl:
        """The documents that must be looked at."""
        return all_of(any_of(*self.doubts), self.maybe, none_of(self.sure)) if self.doubts else NONE


def doubted(found: Plan, doubt: Dsl) -> Plan:
    """The plan, without certainty about the documents of `doubt`."""
    return Plan(all_of(found.sure, none_of(doubt)), any_of(found.maybe, doubt), (*found.doubts, doubt))


def either(*plans: Plan) -> Plan:
    return Plan(any_of(*(p.sure for p in plans)), any_of(*(p.maybe for p in plans)), _doubts(plans))


def _doubts(plans: Sequence[Plan]) -> tuple[Dsl, ...]:
    return tuple(doubt for plan in plans for doubt in plan.doubts)


def looked_at(name: str, mapped: bool) -> Dsl:
    """Documents of which no index tells exactly what the field holds."""
    paths = [name, *(f"{above}.*" for above in ancestors(name))]
    return any_of(
        {"terms": {"soc.index.look": paths}},
        {"term": {"_ignored": name}} if mapped else NONE,
    )


class Planner:
    """Plans for indices with these fields."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def plan(self, query: Query) -> Plan:
        """Never leaves out a document that meets the query."""
        if isinstance(query, Everything):
            return Plan(ALL, ALL)
        if isinstance(query, And):
            plans = [self.plan(part) for part in query.parts]
            return Plan(all_of(*(p.sure for p in plans)), all_of(*(p.maybe for p in plans)), _doubts(plans))
        if isinstance(query, Or):
            return either(*(self.plan(part) for part in query.parts))
        if isinstance(query, Not):
            inner = self.plan(query.part)
            return Plan(none_of(inner.maybe), none_of(inner.sure), inner.doubts)
        if any(query.field == name or query.field.startswith(f"{name}.") for name in RESERVED):
            return Plan(NONE, NONE)
        if isinstance(query, Words) or (isinstance(query, Wild) and self._by_words(query.field)):
            return self._spoken(query)
        return self._field(query)

    def _by_words(self, name: str) -> bool:
        return not name or name in self.known.words

    def _spoken(self, query: Words | Wild) -> Plan:
        """Words and wildcards on texts: in one field, or in any."""
        if query.field and not self._by_words(query.field):
            return Plan(NONE, ALL, (ALL,))  # nothing in the language of queries asks this
        texts = self.known.words
        fields = (texts[query.field],) if query.field else ("soc.index.text", *sorted(texts.values()))
        sure, maybe = words(query, fields) if isinstance(query, Words) else text_wild(query, fields)
        found = Plan(sure, maybe, () if sure == maybe else (maybe,))
        odd = {"term": {"soc.index.odd": WORDS}}
        return doubted(found, any_of(odd, looked_at(query.field, True)) if query.field else odd)

    def _field(self, query: Equals | Wild | Range | Network | Exists) -> Plan:
        name, kind = query.field, self.known.kinds.get(query.field)
        if name == "@timestamp":
            return _plan(values.timestamp(query))
        doubts = [looked_at(name, kind is not None)]
        if not isinstance(query, Exists):
            doubts.append({"term": {"soc.index.odd": VALUES}})
        plans = [_plan(values.keyed(query, f"{_VENDOR}{name}"))]
        if kind is not None:
            plans.append(_plan(values.BY_KIND[kind](query, name)))
        if name == "event.id":
            plans.append(_plan(values.own_id(query)))
        return doubted(either(*plans), any_of(*doubts))


def _plan(found: tuple[Dsl, Dsl]) -> Plan:
    """Of (sure, maybe)."""
    sure, maybe = found
    return Plan(sure, maybe, () if sure == maybe else (maybe,))


def documents(query: Dsl, span: Sequence[Dsl] = ()) -> dict[str, Any]:
    """The query of a request: without scores, within a span of time."""
    return {"bool": {"filter": [query, *span]}}
