"""Batches of records from the network in, the same records in order out: a bounded store on disk before the bus.

`append` is durable when it returns and gives sequence numbers; a record's id is made of collector, epoch (of this
spool) and sequence number, so a record that is sent again after a crash carries the same. Counts are added in the same
transaction. Bounds: bytes held, of which a share is reserved for critical sources, and a floor of free disk. What does
not fit is *shed* where the sender does not wait (UDP; records of lower priority that are held go first) and *refused*
where it does (HTTP, TCP). Every shed record is counted.

    1. publish what `next` gave   2. flush the bus   3. `remove` it
"""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import orjson

from soc.collect.counts import SCHEMA, Tally, connect
from soc.collect.receipt import Ids
from soc.event import RawRecord, Rejected, TransportError, rfc3339

#: Words of the configuration, lowest first.
PRIORITIES: Final = ("low", "normal", "critical")
CRITICAL: Final = PRIORITIES.index("critical")
#: How long a request or a client's id is remembered, so that the same again is not a second record.
REMEMBERED: Final = timedelta(minutes=10)
#: What a record costs on disk beside its data, in bytes (measured: 130 to 180).
_OVERHEAD: Final = 160
#: Most records of one row: shed together, and one row of SQLite costs more than a small record.
GROUP: Final = 250
_LOOK_S: Final = 1.0  # free disk is looked at so often
#: Records that are forwarded at once, at most.
FORWARDED: Final = 2_000
_EVICT: Final = 4  # rows shed at once to make room

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spool (  -- a row holds up to GROUP records of one time of receipt, unit and source
    seq INTEGER PRIMARY KEY,        -- of the first one
    received TEXT NOT NULL, source TEXT NOT NULL, unit TEXT NOT NULL,
    records BLOB NOT NULL, number INTEGER NOT NULL, size INTEGER NOT NULL,
    priority INTEGER NOT NULL, sheddable INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS spool_shed ON spool (priority, seq) WHERE sheddable;
CREATE TABLE IF NOT EXISTS remembered (key TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(slots=True)
class Batch:
    """Records that arrived together from one collector.

    A record without id gets one from its sequence number. `key` identifies the whole batch, `keys` single records
    ("" = nothing): what is remembered from the last 10 minutes is not stored again. `waits`: the sender waits for an
    answer, so the batch is refused rather than shed.
    """

    collector: str
    items: Sequence[RawRecord | Rejected]
    priority: int = PRIORITIES.index("normal")
    waits: bool = True
    key: str = ""
    keys: Sequence[str] = ()


@dataclass(slots=True)
class Outcome:
    """What became of a batch: refused (nothing of it is stored), or which records were there already, or shed."""

    refused: str = ""  # why
    known: set[int] = field(default_factory=set)
    shed: int = 0


class Spool:
    """The database `spool.db` in the collectors' folder, used by one process. Thread-safe.

    `min_free`: floor of free bytes on its disk; below it only critical sources are taken, below half of it none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_bytes: int = 1 << 30,
        reserved: float = 0.2,
        min_free: int = 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.arrived = threading.Event()  # set by append, cleared by who forwards
        self._folder = folder
        self._max = max_bytes
        self._common = int(max_bytes * (1 - reserved))
        self._min_free = min_free
        self._now = now
        self._free = free
        self._looked = 0.0
        self._is_free = 0
        self._lock = threading.Lock()
        self._owed = Tally()  # counts that could not be written
        self._forgot = datetime.min.replace(tzinfo=UTC)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = connect(folder / "spool.db")
            self._db.executescript(SCHEMA + _TABLES)
            self._db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?), ('seq', '0')", (secrets.token_hex(8),))
            self._epoch = self._value("SELECT value FROM meta WHERE name = 'epoch'")
            self._seq = int(self._value("SELECT value FROM meta WHERE name = 'seq'"))
            self._used = self._value("SELECT sum(size) FROM spool") or 0
            # What a process before us was forwarding may be on the bus: it is not shed.
            self._given = (self._value("SELECT min(seq) FROM spool") or 1) - 1 + FORWARDED + GROUP
        except (sqlite3.Error, OSError) as e:
            raise TransportError(f"cannot open the spool in {folder}: {e}") from e

    def _value(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @property
    def used(self) -> int:
        """Bytes held, of at most `max_bytes`."""
        return self._used

    # ------------------------------------------------------------ in

    def append(self, batches: Sequence[Batch]) -> list[Outcome]:
        """Store the batches in one durable transaction; what became of each."""
        with self._lock:
            self._look()
            seq, used, tally = self._seq, self._used, Tally()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._forget()
                outcomes = [self._store(batch, tally) for batch in batches]
                self._owed.add_to(self._db)
                tally.add_to(self._db)
                self._db.execute("COMMIT")
                self._owed = Tally()
            except sqlite3.Error as e:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._seq, self._used = seq, used
                outcomes = [self._cannot(batch, str(e)) for batch in batches]
        self.arrived.set()
        return outcomes

    def lost(self, unit: str, source: str, received: datetime, number: int) -> None:
        """Count records that the kernel dropped before we could read them, as received and shed."""
        with self._lock:
            self._owed.shed(unit, source, received, number)
        self.append([])

    def _store(self, batch: Batch, tally: Tally) -> Outcome:
        outcome = Outcome()
        if batch.key and self._is_remembered(batch.key):
            outcome.known.update(range(len(batch.items)))
            return outcome
        keys = batch.keys or [""] * len(batch.items)
        met: set[str] = set()
        for n, key in enumerate(keys):
            if key and (key in met or self._is_remembered(key)):
                outcome.known.add(n)
            met.add(key)
        items = [item for n, item in enumerate(batch.items) if n not in outcome.known]
        sizes = [_size(item) for item in items]
        if batch.waits:
            why = self._make_room(sum(sizes), batch.priority, tally, alone=self._used == 0)
            if why:
                return Outcome(refused=why)
            taken = items
        else:
            taken = []
            for item, size in zip(items, sizes, strict=True):
                if self._make_room(size, batch.priority, tally):
                    record = item.record if isinstance(item, Rejected) else item
                    tally.shed(record.unit, record.source, record.received)
                    outcome.shed += 1
                else:
                    taken.append(item)
                    self._used += size
        self._used += sum(sizes) if batch.waits else 0
        self._insert(batch, taken)
        tally.received(taken)
        moment = int(self._now().timestamp())
        remembered = [(key, moment) for key in (batch.key, *keys) if key]
        self._db.executemany("INSERT OR REPLACE INTO remembered VALUES (?, ?)", remembered)
        return outcome

    def _insert(self, batch: Batch, items: Sequence[RawRecord | Rejected]) -> None:
        rows = []
        for (received, source, unit), same in groupby(items, _group):
            ids = Ids(received, batch.collector, self._epoch)
            text = rfc3339(received)
            group = list(same)
            for start in range(0, len(group), GROUP):
                part = group[start : start + GROUP]
                first = self._seq + 1
                packed = orjson.dumps([_packed(item, ids(first + n)) for n, item in enumerate(part)])
                size = sum(map(_size, part))
                self._seq += len(part)
                rows.append((first, text, source, unit, packed, len(part), size, batch.priority, not batch.waits))
        self._db.executemany("INSERT INTO spool VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'seq'", (str(self._seq),))

    def _cannot(self, batch: Batch, why: str) -> Outcome:
        """The disk does not take it: as if there were no room; counts are kept until it does."""
        if batch.waits:
            return Outcome(refused=why)
        for item in batch.items:
            record = item.record if isinstance(item, Rejected) else item
            self._owed.shed(record.unit, record.source, record.received)
        return Outcome(shed=len(batch.items))

    # ------------------------------------------------------------ room

    def _look(self) -> None:
        if self._min_free and time.monotonic() - self._looked >= _LOOK_S:
            self._looked = time.monotonic()
            self._is_free = self._free(self._folder)

    def _make_room(self, size: int, priority: int, tally: Tally, *, alone: bool = False) -> str:
        """ "" if so many bytes may be stored, after shedding what is less important; else why not."""
        floor = self._min_free / 2 if priority >= CRITICAL else self._min_free
        if self._min_free and self._is_free < floor:
            return f"only {self._is_free >> 20} MB of disk are free; the floor is {self._min_free >> 20} MB"
        limit = self._max if priority >= CRITICAL else self._common
        while self._used + size > limit and not alone:
            if not self._evict(priority, tally):
                return (
                    f"the spool holds {self._used >> 20} MB that the bus has not taken; its limit is {limit >> 20} MB"
                )
        return ""

    def _evict(self, below: int, tally: Tally) -> int:
        """Shed the oldest of the least important records below a priority, that are not being forwarded; how many."""
        rows = self._db.execute(
            "DELETE FROM spool WHERE seq IN (SELECT seq FROM spool WHERE sheddable AND priority < ? AND seq > ?"
            " ORDER BY priority, seq LIMIT ?) RETURNING unit, source, received, number, size",
            (below, self._given, _EVICT),
        ).fetchall()
        for unit, source, received, number, size in rows:
            tally.shed(unit, source, datetime.fromisoformat(received), number, counted=True)
            self._used -= size
        return len(rows)

    # ------------------------------------------------------------ what was there before

    def _is_remembered(self, key: str) -> bool:
        since = int((self._now() - REMEMBERED).timestamp())
        found = self._db.execute("SELECT 1 FROM remembered WHERE key = ? AND at >= ?", (key, since)).fetchone()
        return found is not None

    def _forget(self) -> None:
        now = self._now()
        if now - self._forgot > timedelta(minutes=1):
            self._forgot = now
            self._db.execute("DELETE FROM remembered WHERE at < ?", (int((now - REMEMBERED).timestamp()),))

    # ------------------------------------------------------------ out

    def next(self) -> tuple[list[RawRecord | Rejected], int]:
        """The oldest records, about FORWARDED, and what to give to `remove` once they are durable on the bus."""
        items: list[RawRecord | Rejected] = []
        with self._lock:
            rows = self._db.execute(
                "SELECT seq, records, received, source, unit FROM spool ORDER BY seq LIMIT ?", (FORWARDED,)
            )
            upto = 0
            for seq, records, received, source, unit in rows:
                items += _unpacked(records, datetime.fromisoformat(received), source, unit)
                upto = seq
                if len(items) >= FORWARDED:
                    break
            rows.close()
            self._given = max(self._given, upto)
        return items, upto

    def remove(self, upto: int) -> None:
        """Records up to this sequence number are on the bus. Raises TransportError; they are forwarded again then."""
        with self._lock:
            try:
                freed = self._db.execute("SELECT sum(size) FROM spool WHERE seq <= ?", (upto,)).fetchone()[0] or 0
                self._db.execute("DELETE FROM spool WHERE seq <= ?", (upto,))
            except sqlite3.Error as e:
                raise TransportError(f"cannot remove records from the spool: {e}") from e
            self._used -= freed


def _size(item: RawRecord | Rejected) -> int:
    record = item.record if isinstance(item, Rejected) else item
    return len(record.data) + _OVERHEAD


def _group(item: RawRecord | Rejected) -> tuple[datetime, str, str]:
    record = item.record if isinstance(item, Rejected) else item
    return record.received, record.source, record.unit


def _packed(item: RawRecord | Rejected, identity: str) -> tuple[Any, ...]:
    """A record as JSON: its bytes as the characters of Latin-1."""
    if isinstance(item, Rejected):
        record = item.record
        rest: tuple[str, ...] = (item.code, item.detail)
    else:
        record, rest = item, ()
    return (
        record.id or identity,
        record.data.decode("latin-1"),
        record.sender,
        record.stream,
        record.facts,
        *rest,
    )


def _unpacked(records: bytes, received: datetime, source: str, unit: str) -> list[RawRecord | Rejected]:
    items: list[RawRecord | Rejected] = []
    for identity, data, sender, stream, facts, *why in orjson.loads(records):
        record = RawRecord(identity, data.encode("latin-1"), received, source, unit, sender, stream, facts)
        items.append(Rejected(record, why[0], why[1], "collect") if why else record)
    return items
