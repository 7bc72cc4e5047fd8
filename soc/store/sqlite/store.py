"""The embedded store: see `soc.store.base` for what it promises, `docs` of the rooms beside for how."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from soc.event import Alert, Event, Fields, RawRecord, Rejected, TransportError
from soc.sqlite import failures, snapshot, transaction
from soc.store.base import LedgerRow, Page, Written
from soc.store.sqlite.alerts import Alerts
from soc.store.sqlite.catalog import Catalog
from soc.store.sqlite.day import Day, encoded
from soc.store.sqlite.documents import ROLLED, Ready
from soc.store.sqlite.plan import microseconds, moment_of, packed_id
from soc.store.tree import Query

_Span = tuple[int | None, int | None]

#: Ids of one look-up; SQLite takes 32,766 parameters.
_MAX_IDS: Final = 10_000


class SqliteStore:
    """The store in a folder that several processes open; readers never wait for writers, writers for each other.

    Its calls may come from several threads, and then take turns. Every call may raise TransportError.
    Hits carry their id as `event.id`, unless the sender gave that field a value of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._catalog = Catalog(folder / "store.sqlite")
        self._alerts = Alerts(folder / "alerts.sqlite")
        self._open: dict[str, Day] = {}  # file name → day

    # -- events

    def write(
        self,
        events: Sequence[Event],
        rejected: Sequence[Rejected] = (),
        filtered: Sequence[RawRecord] = (),
        *,
        again: bool = False,  # a day's file is found by the id alone
    ) -> Written:
        """Each day of the batch is written in one transaction; a batch over midnight in two."""
        written = Written()
        parts: dict[str, tuple[list[tuple[Event, bytes]], list[Rejected], list[RawRecord]]]
        parts = defaultdict(lambda: ([], [], []))
        for pair in encoded(events, written):
            if (day := _day(pair[0].id)) is None:
                written.refused[pair[0].id] = "its id does not begin with the day of receipt"
            else:
                parts[day][0].append(pair)
        for item in rejected:
            parts[_day(item.record.id) or f"{item.record.received:%Y%m%d}"][1].append(item)
        for record in filtered:
            parts[_day(record.id) or f"{record.received:%Y%m%d}"][2].append(record)
        with self._lock:
            for day, part in sorted(parts.items()):
                counted = self._write_day(day, *part)
                written.created += counted.created
                written.existed += counted.existed
        return written

    def _write_day(
        self,
        day: str,
        events: Sequence[tuple[Event, bytes]],
        rejected: Sequence[Rejected],
        filtered: Sequence[RawRecord],
    ) -> Written:
        ready: list[tuple[Event, Ready]] = []

        def prepare(file: Day) -> None:
            ready[:] = file.prepare(events)

        written = Written()
        with self._writing(day, prepare) as file:
            file.write(ready, rejected, filtered, written)
        return written

    @contextmanager
    def _writing(self, day: str, prepare: Callable[[Day], None] = lambda file: None) -> Iterator[Day]:
        """1. prepare for the day's file 2. lock it 3. see that it is still the day's file, which retention changes
        under that lock."""
        while True:
            file = self._file(self._catalog.file_of(day), day)
            prepare(file)
            with failures(file.path):
                try:
                    with transaction(file.connection):
                        if self._catalog.file_of(day) == file.path.name:
                            yield file
                            return
                except BaseException:
                    file.documents.forget_unwritten()
                    raise
            self._discard(file)

    def _file(self, name: str, day: str, create: bool = True) -> Day:
        if name not in self._open:
            self._open[name] = Day(self._folder / name, day, create)
        return self._open[name]

    def _known(self, name: str, day: str) -> Day | None:
        """The day's file; None while another process is about to create it or has just deleted it."""
        try:
            return self._file(name, day, create=False)
        except TransportError:
            if (self._folder / name).exists():
                raise
            return None

    def _days(self) -> list[Day]:
        """The files of all days, oldest first. Files that retention has removed meanwhile are let go."""
        days = self._catalog.days()
        for name in self._open.keys() - set(days.values()):
            self._open.pop(name).close()
        return [file for day, name in days.items() if (file := self._known(name, day)) is not None]

    def _discard(self, file: Day) -> None:
        """Close and delete the file of a day that the catalog has no more."""
        self._open.pop(file.path.name).close()
        self._delete(file.path)

    def _delete(self, path: Path) -> None:
        for suffix in ("", "-wal", "-shm"):
            with failures(path):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def event(self, event_id: str) -> Fields | None:
        with self._lock:
            day = _day(event_id)
            name = None if day is None else self._catalog.days().get(day)
            file = None if day is None or name is None else self._known(name, day)
            if file is None:
                return None
            with failures(file.path), snapshot(file.connection):
                n = file.documents.number(packed_id(event_id))
                return None if n is None else file.documents.read(n)

    def fates(self, record_ids: Sequence[str]) -> dict[str, str]:
        by_day: dict[str, list[str]] = defaultdict(list)
        for record_id in record_ids:
            by_day[_day(record_id) or ""].append(record_id)
        found: dict[str, str] = {}
        with self._lock:
            days = self._catalog.days()
            for day in by_day.keys() & days.keys():
                file = self._known(days[day], day)
                if file is None:
                    continue
                with failures(file.path), snapshot(file.connection):
                    for start in range(0, len(by_day[day]), _MAX_IDS):
                        found |= file.fates(by_day[day][start : start + _MAX_IDS])
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
        total, found = 0, []
        with self._lock:
            for i, file, part in self._parts(since, until):
                plan = file.documents.plan(query)
                rolled = file.rolled(query, part)
                known = None if rolled is None else sum(rolled.values())
                count, hits = file.documents.search(query, plan, part, offset + limit, oldest_first, known)
                total += count
                found += [(hit.ts, i, hit.n, file) for hit in hits]
            found.sort(key=lambda hit: hit[:3], reverse=not oldest_first)
            page = []
            for _, _, n, file in found[offset : offset + limit]:
                with failures(file.path):
                    page.append(file.documents.read(n))
        return Page(total, page)

    def _parts(self, since: datetime | None, until: datetime | None) -> Iterator[tuple[int, Day, _Span]]:
        """Each day with events in the span of event time, within one snapshot of it; a bound that bounds nothing
        there is None."""
        span = _span(since, until)
        for i, file in enumerate(self._days()):
            with failures(file.path), snapshot(file.connection):
                some, every = file.covers(span)
                if some:
                    yield i, file, (None, None) if every else span

    def count_by(
        self, query: Query, name: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 10
    ) -> list[tuple[str, int]]:
        counts: Counter[str] = Counter()
        with self._lock:
            for _, file, part in self._parts(since, until):
                rolled = file.rolled(query, part) if name in ROLLED else None
                if rolled is None:
                    counts.update(file.documents.count_by(query, file.documents.plan(query), name, part))
                else:
                    counts.update(file.documents.texts_of_combos(rolled, name))
        return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def count_by_time(
        self, query: Query, step: timedelta, *, since: datetime, until: datetime
    ) -> list[tuple[datetime, int]]:
        if step <= timedelta():
            raise ValueError("a step of time is longer than nothing")
        begin, end, width = microseconds(since), microseconds(until), step // timedelta(microseconds=1)
        counts: Counter[int] = Counter()
        with self._lock:
            for _, file, _ in self._parts(since, until):
                rolled = file.rolled_by_time(query, (begin, end), width)
                if rolled is None:
                    plan = file.documents.plan(query)
                    rolled = file.documents.count_by_time(query, plan, (begin, end), width)
                counts.update(rolled)
        steps = -((begin - end) // width)
        return [(moment_of(begin + i * width), counts[i]) for i in range(steps)]

    # -- records

    def sources_seen(self) -> list[tuple[str, str, datetime, datetime, int]]:
        seen: dict[tuple[str, str], tuple[int, int, int]] = {}
        for unit, source, first, last, events in self._rows("SELECT unit, source, first, last, events FROM seen"):
            at = seen.get((unit, source), (first, last, 0))
            seen[unit, source] = min(at[0], first), max(at[1], last), at[2] + events
        return [(*key, moment_of(first), moment_of(last), n) for key, (first, last, n) in sorted(seen.items())]

    def ledger(self, since: datetime | None = None) -> list[LedgerRow]:
        """Rows of the hours that begin at or after `since`'s own hour, by hour, unit and source."""
        hour = timedelta(hours=1)
        first = None if since is None else microseconds(since) // (hour // timedelta(microseconds=1))
        sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        rows = self._rows("SELECT unit, source, hour, stored, filtered, rejected, late FROM ledger")
        for unit, source, at, *counts in rows:
            if first is None or at >= first * (hour // timedelta(microseconds=1)):
                sums[at, unit, source] = [a + b for a, b in zip(sums[at, unit, source], counts, strict=True)]
        return [
            LedgerRow(unit, source, moment_of(at), *counts)
            for (at, unit, source), counts in sorted(sums.items())
            if any(counts)
        ]

    def _rows(self, query: str) -> list[tuple[str, str, int, int, int]]:
        out: list[tuple[str, str, int, int, int]] = []
        with self._lock:
            for file in self._days():
                with failures(file.path):
                    out += file.connection.execute(query).fetchall()
        return out

    def rejected(self, *, since: datetime | None = None, limit: int = 100) -> list[Rejected]:
        """Newest first by time of receipt."""
        out: list[Rejected] = []
        with self._lock:
            for file in self._days():
                with failures(file.path):
                    out += file.rejected(None if since is None else microseconds(since), limit)
        out.sort(key=lambda item: (item.record.received, item.record.id), reverse=True)
        return out[:limit]

    def forget_rejected(self, record_ids: Iterable[str]) -> None:
        """Call it when the replay is on the bus: whichever of the two the store learns first, the fate is right."""
        days: dict[str, list[str]] = defaultdict(list)
        for record_id in record_ids:
            days[_day(record_id) or ""].append(record_id)
        with self._lock:
            for day, ids in days.items():
                for known in [day] if day else list(self._catalog.days()):
                    if known in self._catalog.days():
                        with self._writing(known) as file:
                            file.forget_rejected(ids)

    def expire(self, before: date) -> dict[str, int]:
        """{"events": …, "rejected": …}. A day is gone for readers in one step, and its file right after."""
        removed: Counter[str] = Counter()
        bound = f"{before:%Y%m%d}"
        with self._lock:
            for day in [day for day in self._catalog.days() if day < bound]:
                with self._writing(day) as file:
                    events, rejected = file.count()
                    self._catalog.remove(day)
                removed.update(events=events, rejected=rejected)
                self._discard(file)
            # what a crash left between the two steps: 1. list the files 2. ask the catalog, which knows them first
            files = list(self._folder.glob("events-*.sqlite"))
            for path in files:
                if path.name not in self._catalog.days().values():
                    self._delete(path)
        return dict(removed)

    # -- alerts

    def create_alert(self, alert: Alert) -> bool:
        with self._lock:
            return self._alerts.create(alert)

    def alert(self, alert_id: str) -> Alert | None:
        with self._lock:
            return self._alerts.get(alert_id)

    def update_alert(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        with self._lock:
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
        with self._lock:
            return self._alerts.search(query, _span(since, until), limit, offset)

    # -- state

    def save_state(self, name: str, state: bytes) -> None:
        with self._lock:
            self._catalog.save_state(name, state)

    def load_state(self, name: str) -> bytes | None:
        with self._lock:
            return self._catalog.load_state(name)

    def close(self) -> None:
        with self._lock:
            for file in self._open.values():
                file.close()
            self._open.clear()
            self._alerts.close()
            self._catalog.close()


def _day(some_id: str) -> str | None:
    """The day of receipt that an id begins with."""
    day = some_id[:8]
    return day if len(day) == 8 and day.isascii() and day.isdigit() and some_id[8:9] == "-" else None


def _span(since: datetime | None, until: datetime | None) -> _Span:
    return None if since is None else microseconds(since), None if until is None else microseconds(until)
