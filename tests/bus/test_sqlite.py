"""The embedded bus beyond the contract: full disks, damaged files, clocks, stopped and busy members, the backlog."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.bus.base import RAW, Message
from soc.bus.sqlite import SqliteBus
from soc.event import TransportError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[SqliteBus]:
    opened = SqliteBus(tmp_path, session_timeout_s=0.5)
    yield opened
    opened.close()


def until(condition: Callable[[], bool], deadline_s: float = 20) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
    return True


def limited(monkeypatch: pytest.MonkeyPatch, pages: int) -> list[sqlite3.Connection]:
    """Files opened from now on are full at that many pages; the connections, to lift the limit."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def small(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        opened.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    return opened


def test_a_full_disk_is_said_and_what_was_published_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = limited(monkeypatch, 40)
    bus = SqliteBus(tmp_path)
    bus.publish(RAW, [Message(b"k", b"small")])
    bus.flush()
    bus.publish(RAW, [Message(b"k", os.urandom(300_000))])
    with pytest.raises(TransportError, match=r"soc\.raw\.sqlite is full: free space"):
        bus.flush()
    assert sum(bus.end_offsets(RAW).values()) == 1
    for connection in opened:
        connection.execute("PRAGMA max_page_count = 100000")
    bus.flush()
    assert sum(bus.end_offsets(RAW).values()) == 2
    bus.close()


def test_a_publish_that_raises_has_taken_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = limited(monkeypatch, 40)
    bus = SqliteBus(tmp_path, max_unflushed_bytes=1_000)
    bus.publish(RAW, [Message(b"first", os.urandom(300_000))])
    with pytest.raises(TransportError, match="full"):
        bus.publish(RAW, [Message(b"second", b"")])
    for connection in opened:
        connection.execute("PRAGMA max_page_count = 100000")
    bus.flush()
    assert [d.key for d in bus.subscribe(RAW, "g").poll(10, 1)] == [b"first"]
    bus.close()


@pytest.mark.parametrize("name", ["soc.raw.sqlite", "groups.sqlite"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is not a database, but long enough to be looked at as one" * 20)

    def use() -> None:
        SqliteBus(tmp_path).end_offsets(RAW)

    with pytest.raises(TransportError, match=rf"{name} is damaged"):
        use()


def test_a_folder_that_cannot_be_made_is_a_transport_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TransportError, match="file"):
        SqliteBus(tmp_path / "file" / "bus")


def test_a_topic_keeps_the_partitions_that_it_was_created_with(tmp_path: Path) -> None:
    first = SqliteBus(tmp_path, partitions=2)
    assert set(first.end_offsets("soc.x")) == {0, 1}
    first.close()
    later = SqliteBus(tmp_path, partitions=8)
    assert set(later.end_offsets("soc.x")) == {0, 1}
    later.close()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "groups", "a b", ".hidden"])
def test_a_topic_name_is_a_file_name(bus: SqliteBus, name: str) -> None:
    with pytest.raises(ValueError, match="topic's name"):
        bus.publish(name, [])


def test_published_never_goes_back_when_the_clock_does(tmp_path: Path) -> None:
    clock = [NOON, NOON + timedelta(minutes=1), NOON - timedelta(hours=1), NOON + timedelta(minutes=2)]
    ticks = iter(clock)
    bus = SqliteBus(tmp_path, partitions=1, now=lambda: next(ticks))
    for i in range(4):
        bus.publish(RAW, [Message(b"k", b"%d" % i)])
        bus.flush()
    subscription = bus.subscribe(RAW, "g")
    assert [d.published for d in subscription.poll(10, 1)] == [clock[0], clock[1], clock[1], clock[3]]
    subscription.seek_time(NOON + timedelta(minutes=1))
    assert [d.value for d in subscription.poll(10, 1)] == [b"1", b"2", b"3"]
    bus.close()


def test_a_backlog_beyond_the_bound_refuses_to_publish_until_it_is_read(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path, max_backlog_bytes={RAW: 200_000})
    refused = 0
    for _ in range(200):
        try:
            bus.publish(RAW, [Message(b"k", b"x" * 5_000)])
            bus.flush()
        except TransportError as e:
            assert "nobody has read" in str(e)
            refused += 1
    assert refused or until(lambda: raises(lambda: bus.publish(RAW, [Message(b"k", b"")])))
    bus.publish("soc.detections", [Message(b"k", b"others are not bounded")])
    subscription = bus.subscribe(RAW, "g")
    while subscription.poll(1_000, 0.05):
        subscription.commit()
    assert until(lambda: not raises(lambda: bus.publish(RAW, [Message(b"k", b"again")])))
    bus.close()


def raises(action: Callable[[], object]) -> bool:
    try:
        action()
    except TransportError:
        return True
    return False


def test_a_member_that_is_busy_keeps_its_partitions(bus: SqliteBus, tmp_path: Path) -> None:
    busy = bus.subscribe(RAW, "g", member="busy")
    busy.poll(1, 0)
    held = busy.assigned()
    other_bus = SqliteBus(tmp_path, session_timeout_s=0.5)
    other = other_bus.subscribe(RAW, "g", member="other")
    begin = time.monotonic()  # `busy` does not poll for three session timeouts
    assert until(lambda: other.poll(1, 0.01) is not None and time.monotonic() - begin > 1.5)
    assert (other.assigned(), busy.assigned()) == (frozenset(), held)
    other_bus.close()


def test_a_member_that_polls_no_more_loses_its_partitions(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path, session_timeout_s=0.4, max_poll_interval_s=0.2)
    stuck, other = bus.subscribe(RAW, "g", member="stuck"), bus.subscribe(RAW, "g", member="other")
    stuck.poll(1, 0)
    assert until(lambda: other.poll(1, 0.01) == [] and len(other.assigned()) == 4)
    bus.close()


def test_a_process_that_stood_still_learns_that_it_lost_its_partitions(bus: SqliteBus, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline()) == ["assigned", [0, 1, 2, 3]]
            child.send_signal(signal.SIGSTOP)
            other = bus.subscribe(RAW, "g", member="other")
            assert until(lambda: other.poll(1, 0.01) == [] and len(other.assigned()) == 4)
            child.send_signal(signal.SIGCONT)
            assert json.loads(child.stdout.readline()) == ["revoked", [0, 1, 2, 3]]
            assert until(lambda: other.poll(1, 0.01) == [] and len(other.assigned()) == 2)
        finally:
            child.kill()


def member(folder: Path) -> None:
    """Polls for ever and prints its changes."""

    def tell(kind: str) -> Callable[[frozenset[int]], None]:
        return lambda partitions: print(json.dumps([kind, sorted(partitions)]), flush=True)

    bus = SqliteBus(folder, session_timeout_s=0.5)
    subscription = bus.subscribe(RAW, "g", member="sleeper", on_assigned=tell("assigned"), on_revoked=tell("revoked"))
    while True:
        subscription.poll(1, 0.05)


if __name__ == "__main__":
    member(Path(sys.argv[1]))
