"""Kill the workers at any call to bus or store, start them again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.alert.policy import Policy
from soc.app.alerting import GROUP as ALERT
from soc.app.alerting import AlertWorker
from soc.app.detecting import GROUP as DETECT
from soc.app.detecting import Content, detect
from soc.bus.base import DETECTIONS, RAW
from soc.bus.sqlite import SqliteBus
from soc.collect.wire import to_message
from soc.detect import load_rules
from soc.detect.correlate import Correlator
from soc.enrich import Enricher
from soc.event import RawRecord, TransportError, record_id
from soc.normalize import load_sources
from soc.org import load_org
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

RECEIVED = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
#: A file system in memory where there is one: a killed process loses nothing that was written, synced or not.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
RUNS = int(os.environ.get("SOC_KILL_RUNS", "40"))

RULES = """
title: Failed password
id: 6f6f4d4a-0b0b-4c1d-9a52-000000000001
name: failed
status: test
level: low
logsource: {product: linux, service: sshd}
detection:
  failed: ['Failed password']
  condition: failed
---
title: Root logs in
id: 6f6f4d4a-0b0b-4c1d-9a52-000000000002
status: test
level: medium
logsource: {product: linux, service: sshd}
detection:
  login: ['Accepted password for root']
  condition: login
---
title: Guessing
id: 6f6f4d4a-0b0b-4c1d-9a52-000000000003
name: guessing
status: test
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [host.name]
  timespan: 5m
  condition: {gte: 5}
"""


class Killed(BaseException):
    """The process is gone, in the middle of a call."""


class Fragile:
    """Passes every call on to the real thing; the call with the fatal number kills, before or after its effect."""

    def __init__(self, real: Any, fuse: Fuse) -> None:
        self._real = real
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._real, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn("before")
            result = attribute(*args, **kwargs)
            self._fuse.burn("after")
            return Fragile(result, self._fuse) if name == "subscribe" else result

        return call


class Fuse:
    """Burns at the n-th call: the process dies before or after it, or is told to stop while the transport is broken."""

    def __init__(self, calls: int = -1, how: str = "before") -> None:
        self.left = calls
        self.how = how
        self.stop = threading.Event()

    def burn(self, when: str) -> None:
        if when == ("after" if self.how == "after" else "before"):
            self.left -= 1
            if self.left == 0 and self.how == "stop":
                self.stop.set()
                raise TransportError("broken while stopping")
            if self.left == 0:
                raise Killed


@pytest.fixture(scope="module")
def content(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Content:
    rules_file = tmp_path_factory.mktemp("rules") / "rules.yml"
    rules_file.write_text(RULES)
    rules = load_rules([rules_file], sorted((root / "pipelines/sigma").glob("*.yml")))
    assert rules.refused == []
    sources = load_sources([root / "pipelines/sources"])
    org = load_org(root / "deploy/sample/org")
    correlator = Correlator(rules.correlations, fields=rules.names)
    return Content(sources, Enricher(org), rules, Policy.load([]), correlator, org)


def records() -> list[RawRecord]:
    """Failed passwords on three hosts, root logins, a line that no parser takes, over a quarter of an hour."""
    lines = []
    for n in range(60):
        at = RECEIVED + timedelta(seconds=15 * n)
        host = f"web0{n % 3}"
        text = (
            f"Accepted password for root from 203.0.113.5 port {n} ssh2"
            if n % 10 == 9
            else (f"Failed password for invalid user u{n} from 203.0.113.{n % 7} port 4{n} ssh2")
        )
        lines.append(f"{at:%b} {at.day:2d} {at:%H:%M:%S} {host} sshd[{n}]: {text}".encode())
    lines[30] = b"\x00\xff not syslog at all"
    return [
        RawRecord(
            id=record_id(RECEIVED, n),
            data=line,
            received=RECEIVED + timedelta(minutes=20),
            source="linux_auth" if n != 30 else "nginx_access",
            sender="h",
            stream=f"f{n % 3}",
            facts={"file": "auth.log"},
        )
        for n, line in enumerate(lines)
    ]


@contextmanager
def world(folder: Path, fuse: Fuse) -> Iterator[tuple[Any, Any]]:
    bus, store = SqliteBus(folder / "bus", partitions=2), SqliteStore(folder / "store")
    try:
        yield Fragile(bus, fuse), Fragile(store, fuse)
    except Killed:
        bus._unflushed.clear()  # a dead process flushes nothing
        raise
    finally:
        bus.close()
        store.close()


def drained(bus: Any, topic: str, group: str, stop: threading.Event) -> Callable[[], None]:
    def beat() -> None:
        ends, committed = bus._real.end_offsets(topic), bus._real.committed(topic, group)
        if all(committed.get(p, 0) >= end for p, end in ends.items()):
            stop.set()

    return beat


def work(folder: Path, content: Content, fuse: Fuse, batch: int) -> None:
    """Both workers, one after the other, until everything is done or the fuse has burnt."""
    with world(folder, fuse) as (bus, store):
        stop = fuse.stop = threading.Event()
        detect(
            bus, store, content, stop, member="d", max_records=batch, poll_s=0.01, beat=drained(bus, RAW, DETECT, stop)
        )
        stop = fuse.stop = threading.Event()
        worker = AlertWorker(bus, store, content, lambda: RECEIVED)
        worker.run(stop, member="a", max_records=batch, poll_s=0.01, beat=drained(bus, DETECTIONS, ALERT, stop))


def outcome(folder: Path) -> tuple[Any, Any, Any]:
    """Events, alerts and ledger as an analyst would find them."""
    store = SqliteStore(folder / "store")
    page = store.search(parse_query("*"), limit=1000, oldest_first=True)
    _, alerts = store.search_alerts(parse_query("*"), limit=1000)
    facts = sorted(
        (
            a.document["rule.id"],
            str(a.document["soc.group"]),
            a.document["soc.evidence.count"],
            a.document["soc.evidence.first"],
            a.document["soc.evidence.last"],
            tuple(a.document["soc.evidence.ids"]),
        )
        for a in alerts
    )
    ledger = store.ledger()
    events = sorted((hit["@timestamp"], hit["event.original"], str(hit.get("soc.rules"))) for hit in page.hits)
    store.close()
    return events, facts, ledger


@pytest.fixture(scope="module")
def undisturbed(content: Content, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    folder = tmp_path_factory.mktemp("undisturbed")
    publish(folder)
    work(folder, content, Fuse(), 20)
    events, alerts, ledger = outcome(folder)
    assert len(events) == 59  # of 60 records one is set aside
    assert len(alerts) == 6  # guessing and root's login on three hosts
    return events, alerts, ledger


def publish(folder: Path) -> None:
    bus = SqliteBus(folder / "bus", partitions=2)
    bus.publish(RAW, [to_message(r) for r in records()])
    bus.flush()
    bus.close()


kills = st.lists(st.tuples(st.integers(1, 60), st.sampled_from(["before", "after", "stop"])), max_size=6)


@pytest.mark.timeout(600)
@settings(max_examples=RUNS, deadline=None)
@given(kills, st.sampled_from([7, 20]))
def test_killed_anywhere_and_restarted_the_result_is_the_undisturbed_one(
    content: Content, undisturbed: tuple[Any, Any, Any], killed: list[tuple[int, str]], batch: int
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="soc-kill-", dir=MEMORY))
    try:
        publish(folder)
        for calls, how in killed:
            with suppress(Killed, TransportError):  # a worker that cannot start or leave dies, too
                work(folder, content, Fuse(calls, how), batch)
        work(folder, content, Fuse(), batch)
        assert outcome(folder) == undisturbed
    finally:
        shutil.rmtree(folder)
