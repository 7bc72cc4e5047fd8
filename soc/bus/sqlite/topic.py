"""One topic's file: messages in, deliveries by partition and offset out.

    record     n = partition << 40 | offset (so a partition is one run of the tree and an append is at its end)
    partition  next offset, first offset kept, newest time of publishing

`published` never goes back within a partition, whatever the clock does, so that a time is found by bisection.
Synchronous FULL: `append` is what a collector acknowledges to its sender, so it must outlive a power cut; with a
thousand records a commit the price is a few per cent.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from soc.bus.base import Delivery, Message
from soc.bus.sqlite.pragmas import PRAGMAS
from soc.sqlite import connect, failures, transaction

_SHIFT: Final = 40  # a million million records a partition
_EXPIRE_CHUNK: Final = 5_000  # records deleted per transaction, so that publishers wait milliseconds only
_VACUUM_PAGES: Final = 2_000  # given back to the disk at each expiry; the rest is used again
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS record (
  n INTEGER PRIMARY KEY, published INTEGER NOT NULL, key BLOB NOT NULL, headers BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS partition (
  id INTEGER PRIMARY KEY, next INTEGER NOT NULL, first INTEGER NOT NULL, newest INTEGER NOT NULL);
"""


def microseconds(moment: datetime) -> int:
    """Whole microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Topic:
    """A topic's file. Threads of a process may not share one; processes do, through SQLite's locks."""

    def __init__(self, path: Path, name: str, partitions: int, now: Callable[[], datetime]) -> None:
        self.path = path
        self.name = name
        self._now = now
        self._connection = connect(path, "FULL", PRAGMAS)
        with failures(path):
            if self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] < 2:
                with transaction(self._connection):
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)
                    if not self._connection.execute("SELECT count(*) FROM partition").fetchone()[0]:
                        rows = [(p,) for p in range(partitions)]
                        self._connection.executemany("INSERT INTO partition VALUES (?, 0, 0, 0)", rows)
            found: int = self._connection.execute("SELECT count(*) FROM partition").fetchone()[0]
        #: As the topic was created: a key keeps its partition for ever, so a later setting does not change it.
        self.partitions: Final = found

    def append(self, messages: Iterable[Message]) -> None:
        """All or none, in order; on disk when it returns."""
        with failures(self.path), transaction(self._connection):
            now = microseconds(self._now())
            heads = {p: (nxt, max(now, newest)) for p, nxt, newest in self._heads()}
            offsets = {p: nxt for p, (nxt, _) in heads.items()}
            rows = []
            for message in messages:
                p = zlib.crc32(message.key) % self.partitions
                offset = offsets[p]
                offsets[p] = offset + 1
                headers = _packed(message.headers)
                rows.append((p << _SHIFT | offset, heads[p][1], message.key, headers, message.value))
            self._connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.executemany(
                "UPDATE partition SET next = ?, newest = ? WHERE id = ?",
                [(offset, heads[p][1], p) for p, offset in offsets.items() if offset != heads[p][0]],
            )

    def _heads(self) -> list[tuple[int, int, int]]:
        return self._connection.execute("SELECT id, next, newest FROM partition").fetchall()

    def read(self, partition: int, offset: int, limit: int) -> list[Delivery]:
        """Up to `limit` records from the offset on, in order."""
        with failures(self.path):
            rows = self._connection.execute(
                "SELECT n, published, key, headers, value FROM record WHERE n >= ? AND n < ? ORDER BY n LIMIT ?",
                (partition << _SHIFT | offset, (partition + 1) << _SHIFT, limit),
            ).fetchall()
        times: dict[int, datetime] = {}
        out = []
        mask = (1 << _SHIFT) - 1
        for n, published, key, headers, value in rows:
            moment = times.get(published)
            if moment is None:
                moment = times[published] = _EPOCH + timedelta(microseconds=published)
            out.append(Delivery(self.name, partition, n & mask, key, value, _unpacked(headers), moment))
        return out

    def changes(self) -> int:
        """A number that differs once anything else has written to the file; costs microseconds."""
        with failures(self.path):
            number: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return number

    def ends(self) -> dict[int, int]:
        """Partition → next offset."""
        with failures(self.path):
            return dict(self._connection.execute("SELECT id, next FROM partition").fetchall())

    def firsts(self) -> dict[int, int]:
        """Partition → oldest offset that is kept (or the next one, when nothing is)."""
        with failures(self.path):
            return dict(self._connection.execute("SELECT id, first FROM partition").fetchall())

    def find(self, partition: int, moment: datetime) -> int:
        """Offset of the first record published at or after the moment; the next offset if there is none."""
        with failures(self.path), closing(self._connection.cursor()) as cursor:
            return self._find(cursor, partition, microseconds(moment))

    def _find(self, cursor: sqlite3.Cursor, partition: int, published: int) -> int:
        low, high = cursor.execute("SELECT first, next FROM partition WHERE id = ?", (partition,)).fetchone()
        while low < high:
            middle = (low + high) // 2
            row = cursor.execute("SELECT published FROM record WHERE n = ?", (partition << _SHIFT | middle,)).fetchone()
            low, high = (middle + 1, high) if row is None or row[0] < published else (low, middle)
        return int(low)

    def expire(self, before: datetime, committed: Mapping[int, int] | None) -> int:
        """Remove what was published before the moment and lies below the committed offsets (None = no group)."""
        removed = 0
        for partition in range(self.partitions):
            bound = self.find(partition, before)
            if committed is not None:
                bound = min(bound, committed.get(partition, 0))
            while (step := self._remove(partition, bound)) > 0:
                removed += step
        if removed:
            with failures(self.path):
                self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        return removed

    def _remove(self, partition: int, bound: int) -> int:
        with failures(self.path), transaction(self._connection):
            first = self._connection.execute("SELECT first FROM partition WHERE id = ?", (partition,)).fetchone()[0]
            last = min(bound, first + _EXPIRE_CHUNK)
            if last <= first:
                return 0
            base = partition << _SHIFT
            self._connection.execute("DELETE FROM record WHERE n >= ? AND n < ?", (base | first, base | last))
            self._connection.execute("UPDATE partition SET first = ? WHERE id = ?", (last, partition))
            return int(last - first)

    def size(self) -> tuple[int, int]:
        """(records kept, bytes they take up in the file)."""
        with failures(self.path):
            pages, free, page = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            kept = self._connection.execute("SELECT sum(next - first) FROM partition").fetchone()[0]
        return kept, (pages - free) * page

    def close(self) -> None:
        with failures(self.path):
            self._connection.close()


def _packed(headers: Mapping[str, bytes]) -> bytes:
    """Headers as a JSON object; their bytes as the characters of the same numbers (Latin-1), which is reversible."""
    return orjson.dumps({name: value.decode("latin-1") for name, value in headers.items()}) if headers else b""


def _unpacked(packed: bytes) -> dict[str, bytes]:
    return {name: value.encode("latin-1") for name, value in orjson.loads(packed).items()} if packed else {}
