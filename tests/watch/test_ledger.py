"""The loss ledger: every record that is lost on the way is missed, in its unit, source and hour."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.app.config import Config
from soc.app.content import load_content
from soc.app.detecting import Content, turn
from soc.bus.base import RAW
from soc.bus.sqlite import SqliteBus
from soc.collect.counts import Tally
from soc.collect.ingest import ingest
from soc.collect.state import FileState
from soc.store.sqlite import SqliteStore
from soc.watch.ledger import Balance, balance
from tests.app.conftest import Soc, soc

__all__ = ["soc"]  # the fixture that runs the command

NOW = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
COMMUNE, WARD = "vn:xa:02473@2025-07-01", "vn:xa:02215@2025-07-01"
LINE = '203.0.113.9 - - [02/Mar/2026:05:00:{n:02d} +0700] "GET /{name}{n} HTTP/1.1" 200 5 "-" "x"\n'


@pytest.fixture(scope="module")
def content(root: Path) -> Content:
    return load_content(
        Config(
            org=root / "deploy/sample/org",
            rules=[root / "rules"],
            sources=[root / "pipelines/sources"],
            sigma_pipelines=[root / "pipelines/sigma"],
        )
    )


def received(folder: Path, bus: SqliteBus, name: str, unit: str, lines: int, junk: int = 0) -> None:
    """A file of access-log lines, of which the last ones are none, through the collector."""
    log = folder / f"{name}.log"
    log.write_text("".join(LINE.format(n=n, name=name) for n in range(lines - junk)) + "junk\n" * junk)
    ingest([log], bus=bus, folder=folder / "collect", source="nginx_access", unit=unit, now=lambda: NOW)


def test_each_lost_record_is_missed_where_it_was_lost(content: Content, tmp_path: Path) -> None:
    bus, store = SqliteBus(tmp_path / "bus", partitions=1), SqliteStore(tmp_path / "store")
    received(tmp_path, bus, "a", COMMUNE, lines=12)
    received(tmp_path, bus, "b", WARD, lines=10, junk=2)
    deliveries = bus.subscribe(RAW, "g").poll(100, 1.0)
    lost = [deliveries[3], deliveries[7], deliveries[-3]]  # two of the commune's, one of the ward's
    turn(bus, store, content, [d for d in deliveries if d not in lost], threading.Event())
    assert balance(store, tmp_path / "collect") == [
        Balance(WARD, "nginx_access", HOUR, received=10, stored=7, filtered=0, rejected=2, late=0, shed=0),
        Balance(COMMUNE, "nginx_access", HOUR, received=12, stored=10, filtered=0, rejected=0, late=0, shed=0),
    ]
    assert [row.deficit for row in balance(store, tmp_path / "collect")] == [1, 2]
    turn(bus, store, content, lost, threading.Event())  # they turn up after all
    assert [row.deficit for row in balance(store, tmp_path / "collect")] == [0, 0]
    bus.close()
    store.close()


def test_a_shed_record_is_named_and_no_deficit(tmp_path: Path) -> None:
    state, store = FileState(tmp_path / "collect", lambda: NOW), SqliteStore(tmp_path / "store")
    state.close()
    tally = Tally()
    tally.shed(COMMUNE, "syslog", NOW, 5)
    from soc.collect.counts import connect

    connection = connect(tmp_path / "collect" / "files.db")
    tally.add_to(connection)
    connection.close()
    (row,) = balance(store, tmp_path / "collect")
    assert (row.received, row.shed, row.deficit) == (5, 5, 0)
    store.close()


def test_the_command_names_a_deficit_and_exits_with_1(tmp_path: Path, soc: Soc) -> None:
    bus = SqliteBus(tmp_path / "data" / "bus")
    received(tmp_path / "data", bus, "a", COMMUNE, lines=4)
    bus.close()
    SqliteStore(tmp_path / "data" / "store").close()
    ran = soc("ledger", "--since", (NOW - timedelta(hours=1)).isoformat(), "--json")
    assert ran.code == 1
    (row,) = json.loads(ran.out)["rows"]
    assert (row["unit"], row["received"], row["deficit"]) == (COMMUNE, 4, 4)
