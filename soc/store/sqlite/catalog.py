"""Which file holds which day of receipt; and the state of workers. The file that every process opens first.

A day's file is found through its row alone, and each gets a name of its own: a reader sees a day whole or not at
all, and a day that was deleted and begins anew shares no file with the old one that others may still have open.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from soc.sqlite import connect, failures, prepare, transaction
from soc.store.sqlite.pragmas import PRAGMAS

_SCHEMA: Final = """
CREATE TABLE day (day TEXT PRIMARY KEY, file TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, bytes BLOB NOT NULL)
"""


class Catalog:
    """Raises TransportError. Threads may not use one at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, "FULL", PRAGMAS)
        self._days: dict[str, str] = {}
        self._seen = -1
        prepare(self._connection, path, _SCHEMA, 1)

    def days(self) -> dict[str, str]:
        """Day → name of its file."""
        with failures(self._path):
            changes = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if changes != self._seen:
                self._days = dict(self._connection.execute("SELECT day, file FROM day ORDER BY day").fetchall())
                self._seen = changes
        return self._days

    def file_of(self, day: str) -> str:
        """Name of the day's file, which is given one now if it has none."""
        if (found := self.days().get(day)) is not None:
            return found
        with failures(self._path), transaction(self._connection):
            name = f"events-{day}-{secrets.token_hex(4)}.sqlite"
            self._connection.execute("INSERT OR IGNORE INTO day VALUES (?, ?)", (day, name))
        self._seen = -1
        return self.days()[day]

    def remove(self, day: str) -> None:
        with failures(self._path), transaction(self._connection):
            self._connection.execute("DELETE FROM day WHERE day = ?", (day,))
        self._seen = -1

    def save_state(self, name: str, state: bytes) -> None:
        with failures(self._path), transaction(self._connection):
            self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, state))

    def load_state(self, name: str) -> bytes | None:
        with failures(self._path):
            row = self._connection.execute("SELECT bytes FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def close(self) -> None:
        with failures(self._path):
            self._connection.close()
