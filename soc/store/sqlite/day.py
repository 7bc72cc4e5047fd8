"""One day of receipt in one file: its events, what became of its records, and the counts of both.

A record has one fate: stored, filtered or rejected. It moves only to the left (a rejected record that is replayed
becomes stored; a stored one that is delivered again and rejected this time stays stored), and the ledger moves with
it in the same transaction, so that its sums are the number of different records, whatever is redelivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from soc.event import Event, Fields, RawRecord, Rejected
from soc.sqlite import connect, failures, prepare
from soc.store.base import Written
from soc.store.evaluate import matches
from soc.store.sqlite.documents import FORMAT, ROLLED, SCHEMA, Document, Documents, Ready, chunks, packed
from soc.store.sqlite.plan import fields_of, microseconds, moment_of, packed_id, unpacked_id
from soc.store.sqlite.pragmas import PRAGMAS
from soc.store.tree import Query

_HOUR: Final = 3_600_000_000
_MINUTE: Final = 60_000_000

_SCHEMA: Final = (
    SCHEMA
    + """;
CREATE TABLE minute (minute INTEGER, combo INTEGER, events INTEGER NOT NULL, PRIMARY KEY (minute, combo)) WITHOUT ROWID;
CREATE TABLE seen (unit TEXT, source TEXT, first INTEGER NOT NULL, last INTEGER NOT NULL, events INTEGER NOT NULL,
  PRIMARY KEY (unit, source)) WITHOUT ROWID;
CREATE TABLE ledger (unit TEXT, source TEXT, hour INTEGER, stored INTEGER NOT NULL DEFAULT 0,
  filtered INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, late INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (unit, source, hour)) WITHOUT ROWID;
CREATE TABLE filtered (id BLOB PRIMARY KEY, unit TEXT, source TEXT, hour INTEGER) WITHOUT ROWID;
CREATE TABLE rejected (id BLOB PRIMARY KEY, unit TEXT, source TEXT, hour INTEGER, received INTEGER NOT NULL,
  full_id TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL, stage TEXT NOT NULL, sender TEXT NOT NULL,
  stream TEXT NOT NULL, facts BLOB NOT NULL, data BLOB NOT NULL, again INTEGER NOT NULL DEFAULT 0);
CREATE INDEX rejected_received ON rejected (received);
CREATE TABLE span (ts_first INTEGER, ts_last INTEGER);
INSERT INTO span VALUES (NULL, NULL)
"""
)

_Place = tuple[str, str, int]  # unit, source, hour of receipt in µs


class Day:
    """The file of a day. Threads may not use one at the same time. Raises TransportError."""

    def __init__(self, path: Path, day: str, create: bool = True) -> None:
        self.path = path
        self.day = day
        self.connection = connect(path, "FULL", PRAGMAS, create)
        prepare(self.connection, path, _SCHEMA, FORMAT)
        self.documents = Documents(self.connection, self._complete)

    def _complete(self, fields: Fields, packed: bytes | str) -> None:
        if "event.id" not in fields:
            fields["event.id"] = unpacked_id(self.day, packed)

    def close(self) -> None:
        with failures(self.path):
            self.connection.close()

    # -- writing, within a transaction of the caller but for `prepare`

    def prepare(self, events: Sequence[tuple[Event, bytes]]) -> list[tuple[Event, Ready]]:
        """Events with their JSON → what `write` of this same Day takes; makes the transaction short."""
        ready = self.documents.prepare(
            [
                Document(packed_id(event.id), microseconds(event.timestamp), event.source, event.fields, document)
                for event, document in events
            ]
        )
        return list(zip((event for event, _ in events), ready, strict=True))

    def write(
        self,
        events: Sequence[tuple[Event, Ready]],
        rejected: Sequence[Rejected],
        filtered: Sequence[RawRecord],
        written: Written,
    ) -> None:
        """Prepared events, and the records set aside, of this day. Counts into `written`."""
        self.connection.execute("PRAGMA cache_size = -65536")  # KiB: the tree of ids stays in memory
        ledger: Counter[tuple[str, str, int, str]] = Counter()
        self._write_events(events, ledger, written)
        self._write_filtered(filtered, ledger)
        self._write_rejected(rejected, ledger)
        for (unit, source, hour, column), change in ledger.items():
            if change:
                self.connection.execute(
                    f"INSERT INTO ledger (unit, source, hour, {column}) VALUES (?, ?, ?, ?)"
                    f" ON CONFLICT DO UPDATE SET {column} = {column} + excluded.{column}",
                    (unit, source, hour, change),
                )

    def _write_events(
        self, events: Sequence[tuple[Event, Ready]], ledger: Counter[tuple[str, str, int, str]], written: Written
    ) -> None:
        added = self.documents.add([ready for _, ready in events])
        written.created += len(added)
        written.existed += len(events) - len(added)
        if not added:
            return
        new = [events[i] for i, _ in added]
        self._roll_up(
            [event for event, _ in new], [ready.document.ts for _, ready in new], [combo for _, combo in added]
        )
        records = {ready.document.id: event for event, ready in new if event.id == event.record_id}
        self._take_back(list(records), ledger)
        stored = Counter(
            (event.unit, event.registered or event.source, event.received, event.fields.get("soc.late") is True)
            for event in records.values()
        )
        for (unit, source, received, late), count in stored.items():
            place = (unit, source, microseconds(received) // _HOUR * _HOUR)
            ledger[(*place, "stored")] += count
            ledger[(*place, "late")] += count if late else 0

    def _roll_up(self, events: Sequence[Event], times: Sequence[int], combos: Sequence[int]) -> None:
        minutes = Counter(zip((ts // _MINUTE for ts in times), combos, strict=True))
        self.connection.executemany(
            "INSERT INTO minute VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events",
            [(minute, combo, count) for (minute, combo), count in minutes.items()],
        )
        seen: dict[tuple[str, str], list[datetime]] = {}
        for event in events:
            seen.setdefault((event.unit, event.source), []).append(event.received)
        self.connection.executemany(
            "INSERT INTO seen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET first = min(first, excluded.first),"
            " last = max(last, excluded.last), events = events + excluded.events",
            [(*key, microseconds(min(at)), microseconds(max(at)), len(at)) for key, at in seen.items()],
        )
        self.connection.execute(
            "UPDATE span SET ts_first = min(coalesce(ts_first, ?1), ?1), ts_last = max(coalesce(ts_last, ?2), ?2)",
            (min(times), max(times)),
        )

    def _take_back(self, ids: Sequence[bytes | str], ledger: Counter[tuple[str, str, int, str]]) -> None:
        """These records are stored now: they are filtered or rejected no more."""
        for table in ("filtered", "rejected"):
            if not self.connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]:
                continue
            for some in chunks(ids):
                condition = f"FROM {table} WHERE id IN ({','.join('?' * len(some))})"
                found = self.connection.execute(f"SELECT unit, source, hour {condition}", some).fetchall()
                for place in found:
                    ledger[(*place, table)] -= 1
                if found:
                    self.connection.execute(f"DELETE {condition}", some)

    def _write_filtered(self, records: Sequence[RawRecord], ledger: Counter[tuple[str, str, int, str]]) -> None:
        for record in records:
            key = packed_id(record.id)
            if self.documents.number(key) is not None:
                continue
            place = _place(record)
            insert = "INSERT OR IGNORE INTO filtered VALUES (?, ?, ?, ?)"
            if self.connection.execute(insert, (key, *place)).rowcount:
                ledger[(*place, "filtered")] += 1
                self._drop_rejected(key, ledger)

    def _drop_rejected(self, key: bytes | str, ledger: Counter[tuple[str, str, int, str]]) -> None:
        query = "DELETE FROM rejected WHERE id = ? RETURNING unit, source, hour"
        for place in self.connection.execute(query, (key,)).fetchall():
            ledger[(*place, "rejected")] -= 1

    def _write_rejected(self, items: Sequence[Rejected], ledger: Counter[tuple[str, str, int, str]]) -> None:
        for item in items:
            record, key = item.record, packed_id(item.record.id)
            if self.documents.number(key) is not None:
                continue
            if self.connection.execute("SELECT 1 FROM filtered WHERE id = ?", (key,)).fetchone():
                continue
            again = "UPDATE rejected SET again = 1, code = ?, detail = ?, stage = ? WHERE id = ?"
            if self.connection.execute(again, (item.code, item.detail, item.stage, key)).rowcount:
                continue
            place, facts = _place(record), orjson.dumps(dict(record.facts))
            ledger[(*place, "rejected")] += 1
            why = (item.code, item.detail, item.stage)
            what = (record.sender, record.stream, facts, record.data)
            self.connection.execute(
                "INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                (key, *place, microseconds(record.received), record.id, *why, *what),
            )

    def fates(self, record_ids: Iterable[str]) -> dict[str, str]:
        """Record id → "stored", "filtered" or "rejected"; without those that are not of this day."""
        ids = {packed_id(record_id): record_id for record_id in record_ids}
        marks = ",".join("?" * len(ids))
        found = {ids[key]: "stored" for key in self.documents.existing(list(ids))}
        for table in ("filtered", "rejected"):
            rows = self.connection.execute(f"SELECT id FROM {table} WHERE id IN ({marks})", list(ids))
            found |= {ids[row[0]]: table for row in rows}
        return found

    def forget_rejected(self, record_ids: Iterable[str]) -> None:
        """Take them out, unless they were rejected anew since the last time: then that is the replay's fate."""
        for record_id in record_ids:
            key = packed_id(record_id)
            update = "UPDATE rejected SET again = 0 WHERE id = ? AND again = 1"
            if not self.connection.execute(update, (key,)).rowcount:
                ledger: Counter[tuple[str, str, int, str]] = Counter()
                self._drop_rejected(key, ledger)
                for (unit, source, hour, _), change in ledger.items():
                    self.connection.execute(
                        "UPDATE ledger SET rejected = rejected + ? WHERE unit = ? AND source = ? AND hour = ?",
                        (change, unit, source, hour),
                    )

    # -- reading; raises sqlite3.Error

    def covers(self, span: tuple[int | None, int | None]) -> tuple[bool, bool]:
        """(some events may lie in the span, all of them do)."""
        first, last = self.connection.execute("SELECT ts_first, ts_last FROM span").fetchone()
        if first is None:
            return False, True
        since, until = span
        some = (since is None or last >= since) and (until is None or first < until)
        every = (since is None or first >= since) and (until is None or last < until)
        return some, every

    def rolled(self, query: Query, span: tuple[int | None, int | None]) -> dict[int, int] | None:
        """Combination → events of the query, from the roll-up; None where it cannot tell."""
        if not fields_of(query) <= frozenset(ROLLED) or any(t is not None and t % _MINUTE for t in span):
            return None
        since, until = (None if t is None else t // _MINUTE for t in span)
        rows = self.connection.execute(
            "SELECT combo, sum(events) FROM minute WHERE (?1 IS NULL OR minute >= ?1) AND (?2 IS NULL OR minute < ?2)"
            " GROUP BY combo",
            (since, until),
        )
        combos = self.documents.combos()
        return {combo: count for combo, count in rows.fetchall() if matches(query, combos[combo])}

    def rolled_by_time(self, query: Query, span: tuple[int, int], step: int) -> Counter[int] | None:
        """Index of the step → events of the query, from the roll-up; None where it cannot tell."""
        if not fields_of(query) <= frozenset(ROLLED) or span[0] % _MINUTE or span[1] % _MINUTE or step % _MINUTE:
            return None
        numbers = [n for n, fields in self.documents.combos().items() if matches(query, fields)]
        rows = self.connection.execute(
            "SELECT (minute - ?1) / ?3, sum(events) FROM minute WHERE minute >= ?1 AND minute < ?2"
            f" AND combo IN ({','.join(map(str, numbers))}) GROUP BY 1",
            (span[0] // _MINUTE, span[1] // _MINUTE, step // _MINUTE),
        )
        return Counter(dict(rows.fetchall()))

    def rejected(self, since: int | None, limit: int) -> list[Rejected]:
        """Newest first."""
        rows = self.connection.execute(
            "SELECT full_id, data, received, source, unit, sender, stream, facts, code, detail, stage FROM rejected"
            " WHERE (?1 IS NULL OR received >= ?1) ORDER BY received DESC, full_id DESC LIMIT ?2",
            (since, limit),
        )
        return [_rejected(*row) for row in rows]

    def count(self) -> tuple[int, int]:
        """(events, rejected records) in the file."""
        events = self.connection.execute("SELECT coalesce(sum(events), 0) FROM seen").fetchone()[0]
        return events, self.connection.execute("SELECT count(*) FROM rejected").fetchone()[0]


def _place(record: RawRecord) -> _Place:
    return record.unit, record.source, microseconds(record.received) // _HOUR * _HOUR


def _rejected(
    full_id: str, data: bytes, received: int, source: str, unit: str, sender: str, stream: str, facts: bytes, *why: Any
) -> Rejected:
    record = RawRecord(full_id, data, moment_of(received), source, unit, sender, stream, orjson.loads(facts))
    return Rejected(record, *why)


def encoded(events: Sequence[Event], written: Written) -> list[tuple[Event, bytes]]:
    """Events with their JSON. A record one of whose events JSON cannot say is refused with all its events."""
    out: list[tuple[Event, bytes]] = []
    why: dict[str, str] = {}
    for event in events:
        try:
            out.append((event, packed(event.fields)))
        except TypeError as e:
            why[event.record_id] = f"event {event.id} is no JSON document: {e}"
    if why:
        written.refused.update({e.id: why[e.record_id] for e in events if e.record_id in why})
        out = [(event, document) for event, document in out if event.record_id not in why]
    return out
