"""A path → an open SQLite connection; SQLite's failures → TransportError with a sentence for the operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from soc.event import TransportError

#: How long a statement waits for another process's write to end, in seconds. A group commit takes milliseconds.
BUSY_TIMEOUT_S: Final = 10.0


def connect(path: Path, synchronous: Literal["FULL", "NORMAL"]) -> sqlite3.Connection:
    """Open or create the file in WAL mode, transactions begun by hand. Raises TransportError.

    FULL: a commit has reached the disk when it returns, so it survives a power cut. NORMAL: it survives the death
    of the process; a power cut may take the last commits back, whole and in order (sqlite.org/pragma.html).
    """
    with failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")  # pages of 4 KiB
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextmanager
def failures(path: Path) -> Iterator[None]:
    """What SQLite and the disk raise within becomes a TransportError that names the file and what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as e:
        raise TransportError(_sentence(path, e)) from e


def _sentence(path: Path, error: sqlite3.Error | OSError) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return f"the disk under {path} is full: free space or set a shorter retention"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"{path} has been locked by another process for {BUSY_TIMEOUT_S:g} s: see which one holds it"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path} is damaged ({error}): move it away and restore it, or let the senders send again"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"{path} cannot be opened or written ({error}): check its folder and owner"
    return f"{path} did not answer: {error}"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A write transaction: committed at the end, rolled back on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise
