"""The embedded store: one SQLite file per day of receipt, one for alerts, one for state and the list of days."""

from soc.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
