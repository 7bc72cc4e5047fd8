"""The embedded bus, killed at any SQL statement of publish, poll and commit: nothing is lost, nothing doubled but
what was read and not committed."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.bus.base import Message
from soc.bus.sqlite import SqliteBus

TOPIC = "soc.property"
GROUP = "workers"
BATCH = 7
BATCHES_PER_LIFE = 6

Say = Callable[[str], object]


def open_bus(folder: Path) -> SqliteBus:
    return SqliteBus(folder, partitions=3, session_timeout_s=60, max_backlog_bytes={})


def killed_at(statement: int) -> None:
    """From now on this process kills itself when it begins its n-th SQL statement."""
    left, connect = [statement], sqlite3.connect

    def step(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        connection.set_trace_callback(step)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]  # in a process of its own


def life(work: Callable[[Say], None], statement: int) -> list[str]:
    """Lines that the work said in a process that is killed at that statement, unless it was done before."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            killed_at(statement)
            work(lambda line: os.write(writer, f"{line}\n".encode()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="ascii") as lines:
        said = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return said


def publishing(folder: Path, start: int) -> Callable[[Say], None]:
    """Publishes numbered messages, and says how many are flushed."""

    def work(say: Say) -> None:
        bus = open_bus(folder)
        for at in range(start, start + BATCH * BATCHES_PER_LIFE, BATCH):
            bus.publish(TOPIC, [Message(b"%d" % (i % 5), b"%d" % i) for i in range(at, at + BATCH)])
            bus.flush()
            say(f"flushed {at + BATCH}")

    return work


def reading(folder: Path, batch: int) -> Callable[[Say], None]:
    """Says what it has read, then commits, and says that."""

    def work(say: Say) -> None:
        bus = open_bus(folder)
        subscription = bus.subscribe(TOPIC, GROUP, member="worker")
        while deliveries := subscription.poll(batch, 0):
            for d in deliveries:
                say(f"read {d.partition} {d.offset} {d.value.decode()}")
            subscription.commit()
            for d in deliveries:
                say(f"done {d.partition} {d.offset} {d.value.decode()}")

    return work


def stored(folder: Path) -> int:
    bus = open_bus(folder)
    try:
        return sum(bus.end_offsets(TOPIC).values())
    finally:
        bus.close()


statements = st.integers(1, 120)


@given(st.lists(statements, max_size=3), st.lists(statements, max_size=4), st.integers(1, 40))
@settings(max_examples=12)
def test_kills_lose_nothing_and_double_only_what_was_not_committed(
    publisher_deaths: list[int], reader_deaths: list[int], batch: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, total = Path(name), 0
        for statement in publisher_deaths:
            said = life(publishing(folder, total), statement)
            flushed = int(said[-1].split()[1]) if said else total
            total = stored(folder)
            assert total in (flushed, flushed + BATCH)  # a batch is there whole or not at all
        life(publishing(folder, total), 0)
        total = stored(folder)

        position: dict[str, int] = {}  # partition → where the next life may start at the latest: the first gap
        committed: dict[str, int] = {}
        values: dict[int, int] = {}
        for statement in [*reader_deaths, 0]:
            started: set[str] = set()
            for line in life(reading(folder, batch), statement):
                kind, partition, offset, value = line.split()
                at = int(offset)
                if kind == "done":
                    committed[partition] = at + 1
                    continue
                if partition not in started:
                    started.add(partition)
                    assert committed.get(partition, 0) <= at <= position.get(partition, 0)
                else:
                    assert at == position[partition]
                position[partition] = at + 1
                values[int(value)] = values.get(int(value), 0) + 1
        assert sorted(values) == list(range(total))
        assert position == committed


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40))
@settings(max_examples=12)
def test_members_that_come_and_go_never_hold_a_partition_together(steps: list[tuple[int, int]]) -> None:
    """Steps are (member, action): 0 leaves or joins, others poll, commit."""
    with tempfile.TemporaryDirectory() as name:
        bus = open_bus(Path(name))
        members: dict[int, Any] = {}
        held: dict[int, set[int]] = {}
        read: dict[tuple[int, int], int] = {}
        sent = 0
        for member, action in steps:
            if member in members and action == 0:
                members.pop(member).close()
                held.pop(member)
            elif member not in members:
                mine = held[member] = set()
                members[member] = bus.subscribe(
                    TOPIC, GROUP, on_assigned=mine.update, on_revoked=mine.difference_update
                )
            else:
                bus.publish(TOPIC, [Message(b"%d" % i, b"%d" % i) for i in range(sent, sent + 6)])
                bus.flush()
                sent += 6
                for d in members[member].poll(100, 0):
                    read[d.partition, d.offset] = read.get((d.partition, d.offset), 0) + 1
                    assert d.partition in held[member]
                members[member].commit()
            everybody = [p for mine in held.values() for p in mine]
            assert len(everybody) == len(set(everybody))
            assert all(subscription.assigned() == held[m] for m, subscription in members.items())
        assert all(times == 1 for times in read.values())  # each was committed before its partition moved
        last = bus.subscribe(TOPIC, GROUP)
        for subscription in members.values():
            subscription.close()
        while deliveries := last.poll(100, 0):
            read.update({(d.partition, d.offset): 1 for d in deliveries})
        assert len(read) == sent
        bus.close()
