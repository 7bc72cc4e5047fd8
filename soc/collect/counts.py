"""What the collectors received, shed and set aside, per registered unit, source and hour of receipt: rows out.

Each database of the collectors' folder (`files.db`, a spool) holds such a table and adds to it in the transaction that
stores the position or the record itself, so that a crash neither doubles nor loses a count. Whoever balances the books
reads them all with `counts`, also from another process while collectors run.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from soc.event import RawRecord, Rejected

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS counts (
    unit TEXT NOT NULL, source TEXT NOT NULL, hour INTEGER NOT NULL,  -- seconds since 1970
    received INTEGER NOT NULL DEFAULT 0, shed INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (unit, source, hour)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class CountRow:
    """Records of one registered unit and source received in one hour (UTC): all, and of those shed and set aside here.

    `received` includes `shed` and `rejected`. `source` is what the collector's configuration says, so "auto" stays.
    """

    unit: str
    source: str
    hour: datetime
    received: int
    shed: int
    rejected: int


class Tally:
    """Counts of one transaction."""

    def __init__(self) -> None:
        self._received: Counter[tuple[str, str, int]] = Counter()
        self._shed: Counter[tuple[str, str, int]] = Counter()
        self._rejected: Counter[tuple[str, str, int]] = Counter()

    def received(self, items: Iterable[RawRecord | Rejected]) -> None:
        """Records that arrived, and those set aside on arrival."""
        key = ("", "", 0)
        before: RawRecord | None = None
        for item in items:
            record = item.record if isinstance(item, Rejected) else item
            if (
                before is None
                or record.received != before.received
                or record.unit != before.unit
                or record.source != before.source
            ):
                key = self._key(record.unit, record.source, record.received)
            before = record
            self._received[key] += 1
            if record is not item:
                self._rejected[key] += 1

    def shed(self, unit: str, source: str, received: datetime, number: int = 1, *, counted: bool = False) -> None:
        """Records given up; `counted` = they are in `received` already."""
        key = self._key(unit, source, received)
        self._shed[key] += number
        if not counted:
            self._received[key] += number

    @staticmethod
    def _key(unit: str, source: str, received: datetime) -> tuple[str, str, int]:
        moment = int(received.timestamp())
        return unit, source, moment - moment % 3600

    def add_to(self, connection: sqlite3.Connection) -> None:
        """Add to the table `counts`, within the caller's transaction."""
        keys = self._received.keys() | self._shed.keys() | self._rejected.keys()
        connection.executemany(
            "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (unit, source, hour) DO UPDATE SET"
            " received = received + excluded.received, shed = shed + excluded.shed,"
            " rejected = rejected + excluded.rejected",
            [(*key, self._received[key], self._shed[key], self._rejected[key]) for key in sorted(keys)],
        )


def counts(folder: Path, since: datetime | None = None) -> list[CountRow]:
    """The sums over all databases in the collectors' folder, from the hour that holds `since` on, in order.

    Raises sqlite3.Error if a database is broken.
    """
    sums: Counter[tuple[str, str, int, str]] = Counter()
    start = int(since.timestamp()) // 3600 * 3600 if since else 0
    for file in sorted(folder.glob("*.db")):
        with closing(connect(file)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'counts'").fetchone()
            rows = connection.execute("SELECT * FROM counts WHERE hour >= ?", (start,)) if found else ()
            for unit, source, hour, received, shed, rejected in rows:
                sums[unit, source, hour, "received"] += received
                sums[unit, source, hour, "shed"] += shed
                sums[unit, source, hour, "rejected"] += rejected
    keys = sorted({key[:3] for key in sums}, key=lambda k: (k[2], k[0], k[1]))
    return [
        CountRow(
            unit,
            source,
            datetime.fromtimestamp(hour, UTC),
            *(sums[unit, source, hour, what] for what in ("received", "shed", "rejected")),
        )
        for unit, source, hour in keys
    ]


def connect(file: Path) -> sqlite3.Connection:
    """A database of the collectors: WAL, every commit durable before it returns, transactions begun explicitly."""
    connection = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
