"""The embedded store, killed at any SQL statement: what is written again afterwards is counted once."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.event import Event, RawRecord, Rejected, digest, rfc3339
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
Batch = tuple[list[Event], list[Rejected], list[RawRecord]]


def received(n: int) -> datetime:
    """Records lie on both sides of midnight, so that batches span two files."""
    return MIDNIGHT + (n - 8) * timedelta(minutes=20)


def record(n: int) -> RawRecord:
    return RawRecord(f"{received(n):%Y%m%d}-{digest(n)}", b"x", received(n), "s", "u")


def events(n: int) -> list[Event]:
    """Record n holds n % 3 + 1 events."""
    of, at = record(n), received(n)
    fields = {"@timestamp": rfc3339(at), "event.outcome": f"o{n % 4}"} | ({"soc.late": True} if n % 5 == 0 else {})
    names = [of.id, f"{of.id}-1", f"{of.id}-2"][: n % 3 + 1]
    return [Event(name, of.id, at, at, "s", (), dict(fields), "u") for name in names]


def batches(rng: Random) -> list[Batch]:
    """Records may come several times, with another fate each time."""
    out: list[Batch] = []
    for _ in range(rng.randint(1, 4)):
        batch: Batch = ([], [], [])
        for n in rng.sample(range(16), rng.randint(1, 8)):
            kind = rng.randrange(3)
            if kind == 0:
                batch[0].extend(events(n))
            elif kind == 1:
                batch[1].append(Rejected(record(n), "bad_format", "", "parse"))
            else:
                batch[2].append(record(n))
        out.append(batch)
    return out


def written_until_killed(folder: Path, work: list[Batch], statement: int) -> None:
    """Write the batches in a process that kills itself at its n-th SQL statement."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
        return
    status, left, connect = 1, [statement], sqlite3.connect

    def step(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        connection.set_trace_callback(step)
        return connection

    try:
        sqlite3.connect = traced  # type: ignore[assignment]  # in a process of its own
        store = SqliteStore(folder)
        for batch in work:
            store.write(*batch)
        status = 0
    finally:
        os._exit(status)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 400), max_size=3))
@settings(max_examples=20)
def test_a_kill_at_any_statement_changes_neither_events_nor_ledger(seed: int, deaths: list[int]) -> None:
    work = batches(Random(seed))
    stored = {event.record_id for batch in work for event in batch[0]}
    filtered = {item.id for batch in work for item in batch[2]} - stored
    rejected = {item.record.id for batch in work for item in batch[1]} - stored - filtered
    numbers = {record(n).id: n for n in range(16)}
    with tempfile.TemporaryDirectory() as name:
        for statement in deaths:
            written_until_killed(Path(name), work, statement)
        store = SqliteStore(Path(name))
        for batch in work:
            store.write(*batch)
        rows = store.ledger()
        assert sum(row.stored for row in rows) == len(stored)
        assert sum(row.filtered for row in rows) == len(filtered)
        assert sum(row.rejected for row in rows) == len(rejected)
        assert sum(row.late for row in rows) == sum(numbers[i] % 5 == 0 for i in stored)
        assert {item.record.id for item in store.rejected()} == rejected
        wanted = {event.id for i in stored for event in events(numbers[i])}
        page = store.search(parse_query("*:* -absent:?"), limit=100)
        assert ({hit["event.id"] for hit in page.hits}, page.total) == (wanted, len(wanted))
        outcomes = Counter(f"o{numbers[i] % 4}" for i in stored for _ in events(numbers[i]))
        assert dict(store.count_by(parse_query(""), "event.outcome")) == outcomes
        assert sum(count for *_, count in store.sources_seen()) == len(wanted)
        store.close()
