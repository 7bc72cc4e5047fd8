"""Days of events and records → the ledger's rows, and when each source was heard.

Requests are the same each time and without hits, so that the server answers for days that no longer change out of its
request cache.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

from soc.store.base import LedgerRow
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.moments import microseconds, moment_of
from soc.store.elasticsearch.names import Names, date_of

_HOUR: Final = 3_600_000_000  # µs
_PAGE: Final = 1_000
_PLACE: Final = [
    {"unit": {"terms": {"field": "soc.record.unit"}}},
    {"source": {"terms": {"field": "soc.record.registered"}}},
    {"hour": {"histogram": {"field": "soc.record.received_us", "interval": _HOUR}}},
]
_FATES: Final = {fate: {"filter": {"term": {"soc.record.fate": fate}}} for fate in ("filtered", "rejected")}
_LATE: Final = {"late": {"filter": {"term": {"soc.record.late": True}}}}
_SEEN: Final = [
    {"unit": {"terms": {"field": "soc.record.unit"}}},
    {"source": {"terms": {"field": "soc.record.source"}}},
]
_RECEIPT: Final = {
    "first": {"min": {"field": "soc.record.received_us"}},
    "last": {"max": {"field": "soc.record.received_us"}},
}


class Ledger:
    """Raises TransportError."""

    def __init__(self, server: Server, indices: Indices, names: Names) -> None:
        self._server, self._indices, self._names = server, indices, names

    def rows(self, since: datetime | None) -> list[LedgerRow]:
        """Of the hours that begin at or after `since`'s own hour, by hour, unit and source."""
        first = None if since is None else microseconds(since) // _HOUR * _HOUR
        day = None if since is None else since.date()
        sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for bucket in self._buckets(self._days(self._names.events, day), _PLACE, _LATE):
            row = sums[_place(bucket)]
            row[0] += bucket["doc_count"]
            row[3] += bucket["late"]["doc_count"]
        for bucket in self._buckets(self._days([self._names.records], day), _PLACE, _FATES):
            row = sums[_place(bucket)]
            row[1] += bucket["filtered"]["doc_count"]
            row[2] += bucket["rejected"]["doc_count"]
        return [
            LedgerRow(unit, source, moment_of(hour), *counts)
            for (hour, unit, source), counts in sorted(sums.items())
            if any(counts) and (first is None or hour >= first)
        ]

    def seen(self) -> list[tuple[str, str, datetime, datetime, int]]:
        """(unit, source, first received, last received, events), by unit and source."""
        return sorted(
            (
                str(bucket["key"]["unit"]),
                str(bucket["key"]["source"]),
                moment_of(int(bucket["first"]["value"])),
                moment_of(int(bucket["last"]["value"])),
                int(bucket["doc_count"]),
            )
            for bucket in self._buckets(self._days(self._names.events, None), _SEEN, _RECEIPT)
        )

    def _days(self, patterns: Sequence[str], first: date | None) -> list[str]:
        """The indices of the days from this one on."""
        there = self._indices.existing(patterns)
        return there if first is None else [index for index in there if (date_of(index) or first) >= first]

    def _buckets(
        self, indices: Sequence[str], sources: Sequence[Any], inner: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """All buckets, page by page."""
        after: dict[str, Any] = {}
        while indices:
            pages = {"size": _PAGE, "sources": sources, **after}
            body = {"size": 0, "track_total_hits": False, "aggs": {"all": {"composite": pages, "aggs": inner}}}
            found = self._server.read("POST", path(indices, "_search"), body, params=LENIENT)
            if "aggregations" not in found:
                return
            yield from found["aggregations"]["all"]["buckets"]
            if "after_key" not in found["aggregations"]["all"]:
                return
            after = {"after": found["aggregations"]["all"]["after_key"]}


def _place(bucket: dict[str, Any]) -> tuple[int, str, str]:
    key = bucket["key"]
    return int(key["hour"]), str(key["unit"]), str(key["source"])
