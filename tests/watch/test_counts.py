"""Counts of collectors on other machines reach the ledger, however often they are told or read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.bus.base import COUNTS, Bus, Message
from soc.bus.sqlite import SqliteBus
from soc.collect.counts import CountRow, Tally, connect
from soc.collect.state import FileState
from soc.event import FOREIGN, RawRecord, record_id
from soc.store.base import Store
from soc.store.sqlite import SqliteStore
from soc.watch.counts import Reporter, keep, kept
from soc.watch.ledger import balance

HOUR = datetime(2026, 11, 24, 23, tzinfo=UTC)
NOW = HOUR + timedelta(minutes=30)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    opened = SqliteBus(tmp_path / "bus")
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "store")
    yield opened
    opened.close()


def received(folder: Path, number: int, at: datetime = NOW, source: str = "syslog") -> None:
    """Records that a collector counts in its folder."""
    FileState(folder, lambda: at).close()
    tally = Tally()
    tally.received([RawRecord(record_id(at, n), b"x", at, source, "vn:xa:1") for n in range(number)])
    connection = connect(folder / "files.db")
    tally.add_to(connection)
    connection.close()


def gather(bus: Bus, store: Store) -> int:
    """What the watch role does; how many messages."""
    subscription = bus.subscribe(COUNTS, "watch", member="watch")
    deliveries = subscription.poll(100, 0.5)
    keep(store, deliveries)
    keep(store, deliveries)  # read again after a crash
    subscription.commit()
    subscription.close()
    return len(deliveries)


def row(number: int, hour: datetime = HOUR) -> CountRow:
    return CountRow("vn:xa:1", "syslog", hour, number, 0, 0)


def test_what_two_machines_received_is_one_row_of_the_ledger(bus: Bus, store: Store, tmp_path: Path) -> None:
    reporters = [Reporter(bus, name, tmp_path / name) for name in ("a", "b")]
    for reporter, number in zip(reporters, (3, 4), strict=True):
        received(reporter.folder, number)
        assert reporter.report(NOW) == 1
    received(reporters[0].folder, 5)
    reporters[0].report(NOW)
    gather(bus, store)
    assert sorted(r.received for r in kept(store, HOUR, NOW)) == [4, 8]
    (one,) = balance(store, tmp_path / "nowhere", HOUR, kept(store, HOUR, NOW))
    assert (one.received, one.deficit) == (12, 12)
    (one,) = balance(store, tmp_path / "a", HOUR, kept(store, HOUR, NOW, without="a"))
    assert one.received == 12  # its own folder knows what it has not told yet


def test_only_what_changed_is_told_and_after_a_start_everything_of_the_last_days(bus: Bus, tmp_path: Path) -> None:
    received(tmp_path / "a", 1, NOW - timedelta(days=3))
    received(tmp_path / "a", 2)
    reporter = Reporter(bus, "a", tmp_path / "a")
    assert [reporter.report(NOW), reporter.report(NOW)] == [2, 0]
    received(tmp_path / "a", 1)
    assert reporter.report(NOW) == 1
    assert Reporter(bus, "a", tmp_path / "a").report(NOW) == 2


def test_rows_over_midnight_come_back_from_the_hour_that_is_asked_for(bus: Bus, store: Store, tmp_path: Path) -> None:
    for at in (NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)):
        received(tmp_path / "a", 1, at)
    later = NOW + timedelta(hours=1)
    Reporter(bus, "a", tmp_path / "a").report(later)
    gather(bus, store)
    hours = [r.hour for r in kept(store, NOW, later)]
    assert hours == [HOUR, HOUR + timedelta(hours=1)]


def test_what_no_collector_wrote_to_the_topic_is_left_out(bus: Bus, store: Store, tmp_path: Path) -> None:
    bus.publish(COUNTS, [Message(b"x", value) for value in (b"", b"[]", b'{"rows": [1]}', b'{"rows": [["a", 1]]}')])
    bus.flush()
    received(tmp_path / "a", 2)
    Reporter(bus, "a", tmp_path / "a").report(NOW)
    assert gather(bus, store) == 5
    assert kept(store, HOUR, NOW) == [row(2)]


def test_records_of_other_shippers_are_counted_when_they_are_read(store: Store, tmp_path: Path) -> None:
    record = RawRecord("20261124-soc.raw-0-1", b"x", NOW, FOREIGN)
    store.write([], [], [record])
    (one,) = balance(store, tmp_path / "nowhere")
    assert (one.source, one.received, one.filtered, one.deficit) == (FOREIGN, 1, 1, 0)
