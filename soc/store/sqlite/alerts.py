"""Alerts in one file: created once, updated if unchanged, searched like events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from soc.event import Alert, Fields, parse_rfc3339
from soc.sqlite import connect, failures, prepare, snapshot, transaction
from soc.store.base import VersionConflictError
from soc.store.sqlite.documents import FORMAT, SCHEMA, Document, Documents, packed
from soc.store.sqlite.plan import microseconds
from soc.store.sqlite.pragmas import PRAGMAS
from soc.store.tree import Query

_SCHEMA: Final = (
    SCHEMA + ";\nCREATE TABLE version (id TEXT PRIMARY KEY, n INTEGER NOT NULL UNIQUE, version INTEGER NOT NULL)"
)
_SHORTEST_PREFIX: Final = 8


class Alerts:
    """The file of alerts. Threads may not use one at the same time. Raises TransportError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = connect(path, "FULL", PRAGMAS)
        prepare(self._connection, path, _SCHEMA, FORMAT)
        self._documents = Documents(self._connection, lambda fields, packed_id: None)

    def create(self, alert: Alert) -> bool:
        document = _document(alert.id, alert.document)
        with failures(self._path):
            try:
                with transaction(self._connection):
                    if self._connection.execute("SELECT 1 FROM version WHERE id = ?", (alert.id,)).fetchone():
                        return False
                    self._documents.add(self._documents.prepare([document]))
                    n = self._documents.number(alert.id)
                    self._connection.execute("INSERT INTO version VALUES (?, ?, 1)", (alert.id, n))
            except BaseException:
                self._documents.forget_unwritten()
                raise
        return True

    def get(self, alert_id: str) -> Alert | None:
        """By id, or by a prefix of 8 characters or more that only one id has."""
        with failures(self._path), snapshot(self._connection):
            query = "SELECT id, n, version FROM version WHERE id = ?"
            row = self._connection.execute(query, (alert_id,)).fetchone()
            if row is None and len(alert_id) >= _SHORTEST_PREFIX:
                query = "SELECT id, n, version FROM version WHERE id >= ? AND id < ? LIMIT 2"
                rows = self._connection.execute(query, (alert_id, alert_id + "\U0010ffff")).fetchall()
                row = rows[0] if len(rows) == 1 else None
            return None if row is None else Alert(row[0], self._documents.read(row[1]), str(row[2]))

    def update(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        with failures(self._path):
            try:
                with transaction(self._connection):
                    query = "SELECT n, version FROM version WHERE id = ?"
                    row = self._connection.execute(query, (alert_id,)).fetchone()
                    if row is None or str(row[1]) != version:
                        now = "is not there" if row is None else f"is at version {row[1]}"
                        raise VersionConflictError(f"alert {alert_id} {now}, not at version {version}")
                    n, current = row
                    self._documents.replace(n, _document(alert_id, {**self._documents.read(n), **changes}))
                    self._connection.execute("UPDATE version SET version = version + 1 WHERE id = ?", (alert_id,))
                    return str(current + 1)
            except BaseException:
                self._documents.forget_unwritten()
                raise

    def search(
        self, query: Query, span: tuple[int | None, int | None], limit: int, offset: int
    ) -> tuple[int, list[Alert]]:
        with failures(self._path), snapshot(self._connection):
            total, hits = self._documents.search(query, self._documents.plan(query), span, offset + limit)
            page = []
            for hit in hits[offset:]:
                select = "SELECT id, version FROM version WHERE n = ?"
                alert_id, version = self._connection.execute(select, (hit.n,)).fetchone()
                page.append(Alert(alert_id, self._documents.read(hit.n), str(version)))
            return total, page

    def close(self) -> None:
        with failures(self._path):
            self._connection.close()


def _document(alert_id: str, fields: Fields) -> Document:
    """Raises ValueError for a document without a readable @timestamp, TypeError for what JSON cannot say."""
    moment = parse_rfc3339(str(fields.get("@timestamp")))
    return Document(alert_id, microseconds(moment), "alert", fields, packed(fields))
