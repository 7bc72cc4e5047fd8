"""The store on Elasticsearch: see `soc.store.base` for what it promises, docs/elasticsearch.md for how."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from soc.event import Alert, Event, Fields, RawRecord, Rejected
from soc.store.base import LedgerRow, Page, Written
from soc.store.elasticsearch.access import ElasticAccess, Server
from soc.store.elasticsearch.alerts import Alerts
from soc.store.elasticsearch.bulk import Bulk
from soc.store.elasticsearch.events import Events
from soc.store.elasticsearch.expire import Retention
from soc.store.elasticsearch.indices import Indices
from soc.store.elasticsearch.ledger import Ledger
from soc.store.elasticsearch.moments import microseconds, moment_of
from soc.store.elasticsearch.names import Names, Namespace, day_of
from soc.store.elasticsearch.records import Records
from soc.store.elasticsearch.search import Search, Span
from soc.store.elasticsearch.state import State
from soc.store.tree import Query

_IDS: Final = 4_000  # of one look-up


class ElasticsearchStore:
    """A store that many processes open, on one cluster.

    What was written can be read by id at once, and is found by searches after the index's refresh (events 5 s, alerts
    1 s; `soc store apply` sets it). Hits carry their id as `event.id`, unless the sender gave that field a value.
    Nothing is sent before the first call. Every call may raise TransportError, and of that AnswerError where the server
    answered with a refusal. Calls may come from several threads.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        access: ElasticAccess = ElasticAccess(),  # noqa: B008 - frozen
        namespace: str = "tinh",
        namespaces: Sequence[Namespace] = (),
        retention_days: int = 90,
        patience_s: float = 30.0,
    ) -> None:
        """`retention_days`: of namespaces without days of their own; `expire` is asked by it.

        `patience_s`: how long a write waits for a server that says it is overloaded, before it raises.
        Raises ContentError for a CA file that cannot be read.
        """
        self._server = Server(hosts, access)
        self._names = Names(namespace, namespaces)
        self._indices = Indices(self._server)
        bulk = Bulk(self._server, patience_s)
        self._events = Events(self._server, bulk, self._indices, self._names)
        self._records = Records(self._server, bulk, self._indices, self._names, self._events.stored)
        self._found = Search(self._server, self._indices, self._names.events, _with_id)
        self._ledger = Ledger(self._server, self._indices, self._names)
        self._alerts = Alerts(self._server, self._indices, self._names)
        self._state = State(self._server, self._indices, self._names.state)
        self._retention = Retention(self._server, self._indices, self._names, retention_days)

    # -- events and records

    def write(
        self,
        events: Sequence[Event],
        rejected: Sequence[Rejected] = (),
        filtered: Sequence[RawRecord] = (),
        *,
        again: bool = False,
    ) -> Written:
        """1. events 2. take back what was noted of their records 3. filtered and rejected records."""
        written = Written()
        for day, ids in self._events.write(events, again, written).items():
            self._records.take_back(day, ids)
        if rejected or filtered:
            self._records.write(rejected, filtered)
        return written

    def event(self, event_id: str) -> Fields | None:
        return self._events.get(event_id)

    def fates(self, record_ids: Sequence[str]) -> dict[str, str]:
        days: dict[str, list[str]] = defaultdict(list)
        for record_id in record_ids:
            if (day := day_of(record_id)) is not None:
                days[day].append(record_id)
        found: dict[str, str] = {}
        for day, ids in days.items():
            for start in range(0, len(ids), _IDS):
                some = ids[start : start + _IDS]
                found |= self._records.fates(day, some)
                found |= dict.fromkeys(self._events.stored(day, some), "stored")
        return found

    def search(
        self,
        query: Query,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        total, hits = self._found.search(query, _span(since, until), limit, offset, oldest_first)
        return Page(total, [hit.fields for hit in hits])

    def count_by(
        self, query: Query, name: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 10
    ) -> list[tuple[str, int]]:
        return self._found.count_by(query, name, _span(since, until), limit)

    def count_by_time(
        self, query: Query, step: timedelta, *, since: datetime, until: datetime
    ) -> list[tuple[datetime, int]]:
        if step <= timedelta():
            raise ValueError("a step of time is longer than nothing")
        begin, end, width = microseconds(since), microseconds(until), step // timedelta(microseconds=1)
        counts = self._found.count_by_time(query, (begin, end), width)
        return [(moment_of(begin + i * width), counts[i]) for i in range(-((begin - end) // width))]

    def sources_seen(self) -> list[tuple[str, str, datetime, datetime, int]]:
        return self._ledger.seen()

    def ledger(self, since: datetime | None = None) -> list[LedgerRow]:
        return self._ledger.rows(since)

    def rejected(self, *, since: datetime | None = None, limit: int = 100) -> list[Rejected]:
        return self._records.rejected(since, limit)

    def forget_rejected(self, record_ids: Iterable[str]) -> None:
        self._records.forget(record_ids)

    def expire(self, before: date) -> dict[str, int]:
        """Days are deleted whole, by their own days where a namespace has some: see `Retention`."""
        return self._retention.expire(before)

    # -- alerts

    def create_alert(self, alert: Alert) -> bool:
        return self._alerts.create(alert)

    def alert(self, alert_id: str) -> Alert | None:
        return self._alerts.get(alert_id)

    def update_alert(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        return self._alerts.update(alert_id, changes, version)

    def search_alerts(
        self,
        query: Query,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[int, list[Alert]]:
        return self._alerts.search(query, _span(since, until), limit, offset)

    # -- state

    def save_state(self, name: str, state: bytes) -> None:
        self._state.save(name, state)

    def load_state(self, name: str) -> bytes | None:
        return self._state.load(name)

    # -- the store itself

    def refresh(self) -> None:
        """Searches see everything that was written so far."""
        self._indices.refresh([*self._names.events, self._names.records, *self._names.alerts])

    def close(self) -> None:
        self._server.close()


def _span(since: datetime | None, until: datetime | None) -> Span:
    return None if since is None else microseconds(since), None if until is None else microseconds(until)


def _with_id(fields: Fields, event_id: str) -> None:
    fields.setdefault("event.id", event_id)
