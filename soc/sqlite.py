"""SQLite for bus and store: a path → an open connection; its failures → TransportError with a sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from soc.event import TransportError

#: How long a statement waits for another process's write to end, in seconds. A group commit takes milliseconds.
BUSY_TIMEOUT_S: Final = 10.0


def connect(
    path: Path, synchronous: Literal["FULL", "NORMAL"], pragmas: Iterable[str] = (), create: bool = True
) -> sqlite3.Connection:
    """Open the file (or create it) in WAL mode, transactions begun by hand. Raises TransportError.

    `pragmas`, such as "page_size = 8192", come first: some only work on a file that is being made.

    FULL: a commit has reached the disk when it returns, so it survives a power cut. NORMAL: it survives the death
    of the process; a power cut may take the last commits back, whole and in order (sqlite.org/pragma.html).
    """
    with failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        address = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
        connection = sqlite3.connect(
            address, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("PRAGMA journal_size_limit = 67108864")
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
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Several reads of one state of the file, whatever is written meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("COMMIT")


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


def prepare(connection: sqlite3.Connection, path: Path, schema: str, version: int) -> None:
    """Create the tables of a new file; refuse a file of another format. Raises TransportError."""
    with failures(path):
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if not found:
            with transaction(connection):
                found = connection.execute("PRAGMA user_version").fetchone()[0]
                if not found:
                    for statement in schema.split(";"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {version}")
                    return
    if found != version:
        raise TransportError(
            f"{path} is of format {found}, this program reads {version}: read it with the version that wrote it, "
            "or move it away"
        )
