"""What the file collectors know of files, in one database: positions, intents, counts and states, durable together.

A file is known by what it holds, not by its name: `head` (how it begins) finds candidates, `tail` (what stands before
the position) confirms one. So a renamed, copied or compressed file is the same file, and one that was truncated and
written anew is another one. The order of one turn, which makes a crash anywhere harmless:

    0. write the intent: the range that is read, and its time of receipt
    1. publish its records   2. flush
    3. commit position and counts, and remove the intent

After a crash between 0 and 3 the intended range is read again with the same time of receipt: same ids, counted once.
`soc ingest` and the running collectors share the database; `turn` lets one of them at a time through steps 0 to 3.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from soc.collect.counts import SCHEMA, Tally, connect
from soc.event import TransportError, digest, rfc3339

#: How much of a file's beginning is its `head`, and of what stands before a position its `tail`, in bytes.
HEAD_BYTES: Final = 1_024
TAIL_BYTES: Final = 256

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS files (
    fingerprint TEXT PRIMARY KEY, kind TEXT NOT NULL,          -- text, evtx or lost
    head_size INTEGER NOT NULL, head BLOB NOT NULL,            -- its first bytes
    position INTEGER NOT NULL, number INTEGER NOT NULL,        -- bytes (EVTX: records) done; number of the last one
    tail BLOB NOT NULL, damages INTEGER NOT NULL,              -- before the position; damages told of at it
    records INTEGER NOT NULL, name TEXT NOT NULL, seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_head ON files (kind, head);
CREATE INDEX IF NOT EXISTS files_by_size ON files (kind, head_size);
CREATE TABLE IF NOT EXISTS intents (
    fingerprint TEXT PRIMARY KEY, position INTEGER NOT NULL, number INTEGER NOT NULL,  -- where the range ends
    damages INTEGER NOT NULL, flushed INTEGER NOT NULL, received TEXT NOT NULL,
    source TEXT NOT NULL, unit TEXT NOT NULL, framing TEXT NOT NULL, multiline TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS packed (identity TEXT PRIMARY KEY, seen TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watched (
    path TEXT PRIMARY KEY, state TEXT NOT NULL, detail TEXT NOT NULL, since TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a stream has been read: bytes, or for EVTX records; see the table `files`."""

    at: int = 0
    number: int = 0
    tail: bytes = b""
    damages: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """How a stream begins: of text up to HEAD_BYTES bytes; of EVTX a digest of its first record."""

    kind: str  # "text", "evtx", "lost"
    data: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """A file that was met before."""

    fingerprint: str
    position: Position
    records: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A range that is being published: from the file's position to this one."""

    fingerprint: str
    position: int
    number: int
    damages: int
    flushed: bool  # its last record was taken although its end was not there
    received: datetime
    source: str
    unit: str
    framing: str
    multiline: str


@dataclass(frozen=True, slots=True)
class Done:
    """A range that has been published."""

    fingerprint: str
    head: Head
    position: Position
    records: int  # of the range
    name: str


class FileState:
    """The database `files.db` in the collectors' folder. Every call may raise TransportError."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        with _told("cannot open"):
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "files.lock").open("wb")
            self._db = connect(folder / "files.db")
            self._db.executescript(SCHEMA + _TABLES)

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One process at a time: who waits here goes on with what the other one has committed."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    # ------------------------------------------------------------ finding

    def candidates(self, head: Head) -> list[Known]:
        """Files that begin like this one, as far as the shorter of the two goes."""
        select = "SELECT fingerprint, position, number, tail, damages, records FROM files WHERE kind = ? AND "
        data = head.data
        with _told("cannot read"):
            rows: list[Any] = []
            sizes = self._db.execute(
                "SELECT DISTINCT head_size FROM files WHERE kind = ? AND head_size <= ?", (head.kind, len(data))
            ).fetchall()
            for (size,) in sizes:
                rows += self._db.execute(select + "head = ?", (head.kind, data[:size]))
            if len(data) < HEAD_BYTES:
                above = data + b"\xff" * (HEAD_BYTES + 1 - len(data))
                rows += self._db.execute(select + "head > ? AND head < ?", (head.kind, data, above))
            return [Known(fp, Position(at, number, tail, bad), n) for fp, at, number, tail, bad, n in rows]

    def known(self, fingerprint: str) -> Known | None:
        """The file as it is committed now."""
        with _told("cannot read"):
            row = self._db.execute(
                "SELECT position, number, tail, damages, records FROM files WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
        return Known(fingerprint, Position(*row[:4]), row[4]) if row else None

    def new_fingerprint(self, head: Head) -> str:
        """A fingerprint that no file has: of the head, and how many began like it."""
        with _told("cannot read"):
            for generation in range(1 << 62):
                fingerprint = digest(head.kind, head.data, generation)
                row = self._db.execute("SELECT 1 FROM files WHERE fingerprint = ?", (fingerprint,)).fetchone()
                if row is None:
                    return fingerprint
        raise AssertionError("unreachable")

    # ------------------------------------------------------------ steps 0 and 3

    def intended(self, fingerprint: str) -> Intent | None:
        """The range that was being published when the program ended."""
        with _told("cannot read"):
            row = self._db.execute(
                "SELECT position, number, damages, flushed, received, source, unit, framing, multiline FROM intents"
                " WHERE fingerprint = ?",
                (fingerprint,),
            ).fetchone()
        if row is None:
            return None
        at, number, damages, flushed, received, *rest = row
        return Intent(fingerprint, at, number, damages, bool(flushed), datetime.fromisoformat(received), *rest)

    def intend(self, intents: Sequence[tuple[Intent, Head, str]]) -> None:
        """Step 0: the ranges that are about to be published, with head and name of their files."""
        with self._transaction():
            seen = rfc3339(self._now())
            for intent, head, name in intents:
                self._db.execute(
                    "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, 0, 0, x'', 0, 0, ?, ?)",
                    (intent.fingerprint, head.kind, len(head.data), head.data, name, seen),
                )
                self._db.execute(
                    "INSERT OR REPLACE INTO intents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        intent.fingerprint,
                        intent.position,
                        intent.number,
                        intent.damages,
                        intent.flushed,
                        rfc3339(intent.received),
                        intent.source,
                        intent.unit,
                        intent.framing,
                        intent.multiline,
                    ),
                )

    def commit(self, done: Iterable[Done], tally: Tally) -> None:
        """Step 3."""
        with self._transaction():
            seen = rfc3339(self._now())
            for d in done:
                p = d.position
                self._db.execute(
                    "UPDATE files SET head_size = ?, head = ?, position = ?, number = ?, tail = ?, damages = ?,"
                    " records = records + ?, name = ?, seen = ? WHERE fingerprint = ?",
                    (
                        *(len(d.head.data), d.head.data, p.at, p.number, p.tail, p.damages),
                        *(d.records, d.name, seen, d.fingerprint),
                    ),
                )
                self._db.execute("DELETE FROM intents WHERE fingerprint = ?", (d.fingerprint,))
            tally.add_to(self._db)

    # ------------------------------------------------------------ packed files, states, retention

    def packed_is_done(self, identity: str) -> bool:
        """Whether a compressed file was read to its end before."""
        with _told("cannot read"):
            row = self._db.execute("SELECT 1 FROM packed WHERE identity = ?", (identity,)).fetchone()
        return row is not None

    def packed_done(self, identity: str) -> None:
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO packed VALUES (?, ?)", (identity, rfc3339(self._now())))

    def watch(self, path: str, state: str, detail: str = "") -> None:
        """Tell what a watched file is doing, for `watched`."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO watched VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
                " state = excluded.state, detail = excluded.detail, since = excluded.since"
                " WHERE state <> excluded.state OR detail <> excluded.detail",
                (path, state, detail, rfc3339(self._now())),
            )

    def forget(self, before: datetime) -> int:
        """Forget files last read before the moment; how many. One of them that comes again is read as new."""
        with self._transaction():
            text = rfc3339(before)
            self._db.execute("DELETE FROM packed WHERE seen < ?", (text,))
            self._db.execute("DELETE FROM watched WHERE since < ? AND state = 'gone'", (text,))
            cursor = self._db.execute(
                "DELETE FROM files WHERE seen < ? AND fingerprint NOT IN (SELECT fingerprint FROM intents)", (text,)
            )
            return cursor.rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told("cannot write"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise TransportError(f"{what} the collectors' state: {e}") from e


@dataclass(frozen=True, slots=True)
class Watched:
    """What the file collector says of a path, since when (UTC)."""

    path: str
    state: str  # reading, unreadable, copy (of a file already known), packed (waiting for its end), gone
    detail: str
    since: datetime


def watched(folder: Path) -> list[Watched]:
    """States of the watched files, by path; from any process."""
    file = folder / "files.db"
    if not file.exists():
        return []
    db = connect(file)
    try:
        rows = db.execute("SELECT path, state, detail, since FROM watched ORDER BY path").fetchall()
    except sqlite3.OperationalError:  # not set up yet
        return []
    finally:
        db.close()
    return [Watched(path, state, detail, datetime.fromisoformat(since)) for path, state, detail, since in rows]
