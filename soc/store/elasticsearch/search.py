"""Query → hits and counts over some indices: what is sure comes from the server, what is not is looked at here."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from soc.event import Fields, text_of
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.decode import EXCLUDED, decode
from soc.store.elasticsearch.dsl import NONE, Dsl, all_of, any_of, none_of
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.known import known
from soc.store.elasticsearch.plan import Plan, Planner, looked_at
from soc.store.elasticsearch.values import span
from soc.store.evaluate import matches, members
from soc.store.tree import Query

_PAGE: Final = 1_000
_WINDOW: Final = 10_000  # hits that a search without a point in time reaches (index.max_result_window)
_KEEP: Final = "2m"
_PLANNER_S: Final = 10.0  # for so long the fields of the indices are taken as known
_COUNTED: Final = 10_000
_STEPS: Final = 10_000  # of time in one request; the server makes 65,536 buckets at most
_VENDOR: Final = "soc.index.vendor."
_SOURCE: Final = {"excludes": EXCLUDED}
_NO_BUCKETS: Final = {"buckets": (), "doc_count_error_upper_bound": 0, "sum_other_doc_count": 0}  # of no indices

Span = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A document: time in µs, its fields, and how the server calls it."""

    ts: int
    fields: Fields
    meta: Mapping[str, Any]


class Search:
    """Over the indices of some patterns. `complete(fields, id)` adds what a document holds besides what was written.

    Raises TransportError.
    """

    def __init__(
        self,
        server: Server,
        indices: Indices,
        patterns: Sequence[str],
        complete: Callable[[Fields, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server, self._indices, self._complete, self._clock = server, indices, complete, clock
        self._patterns = tuple(patterns)
        self._planner: tuple[Planner, float, int] | None = None

    def planner(self) -> Planner:
        """By the fields that the indices have now."""
        held, now = self._planner, self._clock()
        if held is not None and now < held[1] and held[2] == self._indices.generation:
            return held[0]
        generation = self._indices.generation
        params = {"fields": "*", "filters": "-metadata", **LENIENT}
        answer = self._server.read("GET", path(self._patterns, "_field_caps"), params=params)
        found = Planner(known(answer["fields"]))
        if answer["indices"]:
            self._planner = (found, now + _PLANNER_S, generation)
        return found

    # -- what users ask

    def search(self, query: Query, bounds: Span, limit: int, offset: int, oldest_first: bool) -> tuple[int, list[Hit]]:
        """(how many meet the query, one page of them by time)."""
        plan, within = self.planner().plan(query), span(*bounds)
        direction = "asc" if oldest_first else "desc"
        sure, unsure = all_of(plan.sure, within), all_of(plan.unsure(), within)
        total, doubtful, page = self._page(sure, unsure, direction, limit, offset)
        if not doubtful:
            return total, page
        # the first `offset + limit` of both kinds hold the page
        first, count = offset + limit, 0

        def met() -> Iterator[Hit]:
            nonlocal count
            for hit in self._looked_at(query, unsure):
                count += 1
                yield hit

        found = heapq.nsmallest(first, met(), key=_age) if oldest_first else heapq.nlargest(first, met(), key=_age)
        total, _, page = self._page(sure, NONE, direction, first, 0)
        mixed = sorted([*page, *found], key=_age, reverse=not oldest_first)
        return total + count, mixed[offset:first]

    def _page(self, sure: Dsl, unsure: Dsl, direction: str, limit: int, offset: int) -> tuple[int, int, list[Hit]]:
        """(documents of `sure`, documents of `unsure`, a page of the former)."""
        short = offset + limit <= _WINDOW and limit <= _PAGE
        bodies = [_body(sure, direction, limit if short else 0, offset if short else 0)]
        if unsure != NONE:
            bodies.append(_body(unsure, direction, 0, 0))
        answers = self._ask_all(bodies)
        total, *others = (int(answer["hits"]["total"]["value"]) for answer in answers)
        page = [self._hit(found) for found in answers[0]["hits"]["hits"]]
        if not short and offset < total:
            page = list(islice(self._stream(sure, direction, offset + limit), offset, None))
        return total, sum(others), page

    def count_by(self, query: Query, name: str, bounds: Span, limit: int) -> list[tuple[str, int]]:
        """The most frequent values of a field, as they were written."""
        planner = self.planner()
        plan, within = planner.plan(query), span(*bounds)
        column, mapped = planner.known.columns.get(name), name in planner.known.kinds
        counts = Counter[str]()
        if (mapped and column is None) or name in ("@timestamp", "event.id"):
            for hit in self._every(query, plan, within):
                counts.update({text_of(value) for value in members(hit.fields, name)})
            return _ranked(counts, limit)
        doubt = looked_at(name, mapped)
        clean = all_of(plan.sure, none_of(doubt), within)
        unsure = all_of(plan.maybe, any_of(doubt, all_of(any_of(*plan.doubts), none_of(plan.sure))), within)
        columns = [f"{_VENDOR}{name}", *([] if column is None else [column])]
        doubtful, *there = self._counts(unsure, *(all_of(clean, {"exists": {"field": found}}) for found in columns))
        used = [found for found, count in zip(columns, there, strict=True) if count]
        if not doubtful and len(used) <= 1 and (top := self._top(clean, used[0], limit) if used else []) is not None:
            return top
        for found in used:
            counts.update(self._all_keyed(clean, found) if found.startswith(_VENDOR) else self._all(clean, found))
        for hit in self._looked_at(query, unsure) if doubtful else ():
            counts.update({text_of(value) for value in members(hit.fields, name)})
        return _ranked(counts, limit)

    def count_by_time(self, query: Query, bounds: tuple[int, int], width: int) -> Counter[int]:
        """Index of the step of `width` µs from the span's start → documents."""
        plan = self.planner().plan(query)
        counts = Counter[int]()
        for low in range(*bounds, width * _STEPS):
            high = min(low + width * _STEPS, bounds[1])
            for start, count in self._steps(all_of(plan.sure, span(low, high)), low, width):
                counts[(start - bounds[0]) // width] += count
        for hit in self._looked_at(query, all_of(plan.unsure(), span(*bounds))):
            counts[(hit.ts - bounds[0]) // width] += 1
        return counts

    # -- documents one by one

    def _every(self, query: Query, plan: Plan, within: Dsl) -> Iterator[Hit]:
        yield from self._stream(all_of(plan.sure, within), "asc")
        yield from self._looked_at(query, all_of(plan.unsure(), within))

    def _looked_at(self, query: Query, unsure: Dsl) -> Iterator[Hit]:
        """The documents of `unsure` that do meet the query, oldest first."""
        if unsure != NONE and self._counts(unsure)[0]:
            yield from (hit for hit in self._stream(unsure, "asc") if matches(query, hit.fields))

    def _stream(self, query: Dsl, direction: str, size: int | None = None) -> Iterator[Hit]:
        """All hits of a query (or the first `size`) by time, read page by page at one point in time."""
        params = {"keep_alive": _KEEP, "ignore_unavailable": "true"}
        pit = self._server.read("POST", path(self._patterns, "_pit"), params=params)["id"]
        after, left = None, size
        try:
            while left is None or left > 0:
                page = _PAGE if left is None else min(_PAGE, left)
                body = _body(query, direction, page, 0)
                body |= {"pit": {"id": pit, "keep_alive": _KEEP}, "track_total_hits": False}
                body["sort"] = [*body["sort"], {"_shard_doc": "asc"}]
                if after is not None:
                    body["search_after"] = after
                answer = self._server.read("POST", "/_search", body)
                pit, hits = answer["pit_id"], answer["hits"]["hits"]
                yield from map(self._hit, hits)
                if len(hits) < page:
                    return
                after, left = hits[-1]["sort"], None if left is None else left - page
        finally:
            self._server.call("DELETE", "/_pit", {"id": pit}, absent=True)

    def _hit(self, found: dict[str, Any]) -> Hit:
        fields = decode(found.pop("_source"))
        self._complete(fields, found["_id"])
        return Hit(int(found["sort"][0]), fields, found)

    # -- counts

    def _counts(self, *queries: Dsl) -> list[int]:
        """How many documents each query has."""
        asked = [query for query in queries if query != NONE]
        found = iter(self._ask_all([_body(query, "asc", 0, 0) for query in asked]))
        return [0 if query == NONE else int(next(found)["hits"]["total"]["value"]) for query in queries]

    def _top(self, query: Dsl, column: str, limit: int) -> list[tuple[str, int]] | None:
        """The most frequent values, if the answers of the shards prove them; each shard knows its own top alone."""
        if limit > _COUNTED:
            return None
        terms = {
            "field": column,
            "size": limit,
            "shard_size": max(10 * limit, 2_000),
            "order": [{"_count": "desc"}, {"_key": "asc"}],
            "show_term_doc_count_error": True,
        }
        found = self._buckets(query, {"terms": terms})
        buckets, missed = found["buckets"], found["doc_count_error_upper_bound"]
        if any(bucket["doc_count_error_upper_bound"] for bucket in buckets):
            return None
        if missed and (len(buckets) < limit or missed >= buckets[-1]["doc_count"]):
            return None
        return _ranked(Counter({_text(bucket): bucket["doc_count"] for bucket in buckets}), limit)

    def _all(self, query: Dsl, column: str) -> Counter[str]:
        """Every value with its count, page by page."""
        counts = Counter[str]()
        after: dict[str, Any] = {}
        while True:
            pages = {"size": _COUNTED, "sources": [{"value": {"terms": {"field": column}}}], **after}
            found = self._buckets(query, {"composite": pages})
            for bucket in found["buckets"]:
                counts[text_of(bucket["key"]["value"])] += bucket["doc_count"]
            if "after_key" not in found:
                return counts
            after = {"after": found["after_key"]}

    def _all_keyed(self, query: Dsl, column: str) -> Counter[str]:
        """Keys of the flattened field cannot be counted page by page: all at once, else by their documents."""
        found = self._buckets(query, {"terms": {"field": column, "size": _COUNTED, "shard_size": _COUNTED}})
        if not found["sum_other_doc_count"] and not found["doc_count_error_upper_bound"]:
            return Counter({_text(bucket): bucket["doc_count"] for bucket in found["buckets"]})
        counts = Counter[str]()
        for hit in self._stream(all_of(query, {"exists": {"field": column}}), "asc"):
            counts.update({text_of(value) for value in members(hit.fields, column.removeprefix(_VENDOR))})
        return counts

    def _steps(self, query: Dsl, low: int, width: int) -> Iterator[tuple[int, int]]:
        """(a moment of the step in µs, documents) of steps that hold any; the date knows milliseconds only."""
        if low % 1000 == 0 and width % 1000 == 0:
            every, offset, since = width // 1000, low // 1000 % (width // 1000), 0
            kind, unit = "date_histogram", 1000
            steps: dict[str, Any] = {"field": "@timestamp", "fixed_interval": f"{every}ms", "offset": f"{offset}ms"}
        else:
            kind, unit, since = "histogram", 1, low
            source = "(double) (doc['soc.index.ts'].value - params.since)"
            steps = {"script": {"source": source, "params": {"since": low}}, "interval": width}
        for bucket in self._buckets(query, {kind: {**steps, "min_doc_count": 1}})["buckets"]:
            yield int(bucket["key"]) * unit + since, int(bucket["doc_count"])

    # -- requests

    def _buckets(self, query: Dsl, aggregation: Mapping[str, Any]) -> Any:
        """One aggregation over the documents of a query."""
        body = {**_body(query, "asc", 0, 0), "aggs": {"all": aggregation}}
        answer = self._server.read("POST", path(self._patterns, "_search"), body, params=LENIENT)
        return answer.get("aggregations", {"all": _NO_BUCKETS})["all"]

    def _ask_all(self, bodies: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The answers of several searches in one request."""
        if not bodies:
            return []
        lines = b"".join(b'{"allow_partial_search_results":false}\n%b\n' % orjson.dumps(body) for body in bodies)
        return list(self._server.read("POST", path(self._patterns, "_msearch"), lines, params=LENIENT)["responses"])


def _body(query: Dsl, direction: str, size: int, offset: int) -> dict[str, Any]:
    """A search by time, without scores, that counts every hit."""
    return {
        "query": {"bool": {"filter": [query]}},
        "sort": [{"soc.index.ts": {"order": direction, "unmapped_type": "long"}}],
        "size": size,
        "from": offset,
        "_source": _SOURCE,
        "track_total_hits": True,
        "seq_no_primary_term": True,
    }


def _age(hit: Hit) -> int:
    return hit.ts


def _text(bucket: Mapping[str, Any]) -> str:
    return text_of(bucket.get("key_as_string", bucket["key"]))


def _ranked(counts: Mapping[str, int], limit: int) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
