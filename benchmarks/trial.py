"""One fault under load, and what became of every record: load in, a verdict out.

The same load goes through the embedded program undisturbed; its alerts are what the disturbed one must have, too.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.cluster import ROOT, Installation, Servers, documents, resident_mb, until
from benchmarks.load import Load, lines
from benchmarks.proxy import Proxy
from soc.app.backends import open_bus, open_store
from soc.app.books import balanced
from soc.app.config import load_config
from soc.bus.base import DETECTIONS, RAW, REJECTED
from soc.event import TransportError

Alerts = Counter[tuple[str, ...]]
LOOK_S = 0.25


@dataclass
class Scene:
    """What a fault can lay its hands on."""

    servers: Servers
    soc: Installation
    proxy: Proxy
    load: Load
    folder: Path
    data: dict[str, Any] = field(default_factory=dict)  # what `before` prepared


@dataclass(frozen=True)
class Fault:
    """`strike` does the harm and returns when it is over; `before` prepares the installation's settings."""

    name: str
    strike: Callable[[Scene], None]
    before: Callable[[Scene], None] = lambda scene: None
    after: Callable[[Scene], None] = lambda scene: None
    settings: Mapping[str, Any] = field(default_factory=dict)
    refuses: bool = False  # the store is made to refuse some records
    brokers: int = 1  # that it needs


@dataclass
class Verdict:
    """What one trial found. `duplicates`: documents beyond the first of an id, or of a line."""

    fault: str
    sent: int
    received: int = 0
    stored: int = 0
    rejected: int = 0
    deficit: int = 0
    duplicates: int = 0
    missing: int = 0
    alerts_equal: bool = False
    alerts: int = 0
    longest_stall_s: float = 0.0
    longest_request_s: float = 0.0
    drained_s: float = 0.0
    peak_mb: dict[str, float] = field(default_factory=dict)
    difference: str = ""

    @property
    def good(self) -> bool:
        exact = self.sent == self.received == self.stored + self.rejected
        return exact and not (self.deficit or self.duplicates or self.missing) and self.alerts_equal


def trial(
    fault: Fault, servers: Servers, proxy: Proxy, folder: Path, *, seconds: float, rate: float, workers: int = 2
) -> Verdict:
    """Start the program, load it, strike in the middle, wait until everything is done, and judge."""
    namespace = f"t{uuid.uuid4().hex[:8]}"
    soc = Installation(
        folder / namespace, servers.kafka, proxy.url, namespace, workers=workers, settings=dict(fault.settings)
    )
    load = Load(soc.http, rate, int(seconds * rate))
    scene = Scene(servers, soc, proxy, load, folder / namespace)
    verdict = Verdict(fault.name, load.total)
    if servers.brokers > 1:
        soc.replicate(servers.brokers)
    soc.apply()
    fault.before(scene)
    soc.start()
    watching = Watching(soc)
    watching.begin()
    try:
        load.start = datetime.now(UTC)
        load.begin()
        time.sleep(seconds / 3)
        fault.strike(scene)
        load.join()
        ended = time.monotonic()
        try:
            until(lambda: drained(soc, load.total), "everything to be done")
        except TimeoutError as never:
            verdict.difference = f"{never}. "
        verdict.drained_s = round(time.monotonic() - ended, 1)
        watching.end()
        soc.stop()
        judge(verdict, scene, servers.search)
    finally:
        watching.end()
        soc.stop()
        fault.after(scene)
    verdict.longest_stall_s = round(watching.longest_s, 1)
    verdict.longest_request_s = round(load.longest_s, 1)
    verdict.peak_mb = {name: round(mb) for name, mb in sorted(watching.peak_mb.items())}
    return verdict


def drained(soc: Installation, sent: int) -> bool:
    """Whether nothing is on its way any more: the spool is empty, the ledger agrees, no worker has anything to read."""
    config = load_config(soc.config, {})
    now = datetime.now(UTC)
    try:
        with closing(open_bus(config)) as bus, closing(open_store(config)) as store:
            rows = balanced(config, store, now - timedelta(hours=2), now)
            done = sum(row.received for row in rows) == sent and not any(row.deficit for row in rows)
            return done and not bus.lag(RAW, "detect") + bus.lag(REJECTED, "aside") + bus.lag(DETECTIONS, "alert")
    except TransportError:
        return False


class Watching:
    """Looks at the workers meanwhile: memory, and how long none of them got anything done."""

    def __init__(self, soc: Installation) -> None:
        self._soc = soc
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.longest_s = 0.0
        self.peak_mb: dict[str, float] = {}

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        seen, since = -1, time.monotonic()
        while not self._stop.wait(LOOK_S):
            for name, pid in self._soc.pids().items():
                self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), resident_mb(pid))
            stored = self._stored()
            now = time.monotonic()
            if stored != seen:
                seen, since = stored, now
            elif stored < self._expected():
                self.longest_s = max(self.longest_s, now - since)

    def _stored(self) -> int:
        """Documents so far, as the server says; what it said before while it does not answer."""
        import urllib.request

        url = f"{self._soc.search}/logs-soc.*-{self._soc.namespace}-*/_count"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                self._last: int = json.load(answer)["count"]
        except (OSError, ValueError):
            pass
        return getattr(self, "_last", 0)

    def _expected(self) -> int:
        """Records that the collector has taken."""
        from soc.collect.counts import counts

        return sum(row.received for row in counts(self._soc.data_dir / "collect"))


def judge(verdict: Verdict, scene: Scene, search: str) -> None:
    """Fill in what became of the records, asked of the server itself beside our own ledger."""
    soc, load = scene.soc, scene.load
    rows = soc.document("ledger")["rows"]
    for name in ("received", "stored", "rejected", "deficit"):
        setattr(verdict, name, sum(row[name] for row in rows))
    found = list(documents(search, f"logs-soc.*-{soc.namespace}-*", ("event.original",)))
    ids = Counter(hit["_id"] for hit in found)
    originals = Counter(hit["_source"]["event"]["original"] for hit in found)
    wanted = set(lines(range(load.total), load.start, load.rate))
    verdict.duplicates = len(found) - min(len(ids), len(originals))
    verdict.missing = len(wanted - originals.keys()) - verdict.rejected
    mine = episodes(soc.document("alerts", "list", "--limit", "10000")["alerts"])
    theirs = undisturbed(load.total, load.start, load.rate)
    verdict.alerts = sum(mine.values())
    verdict.alerts_equal = mine == theirs
    if (soc.folder / "log.txt").exists() and verdict.difference:
        print((soc.folder / "log.txt").read_text()[-3000:], file=sys.stderr)
    if mine != theirs:
        verdict.difference += (
            f"lacking {list((theirs - mine).items())[:3]}, too many {list((mine - theirs).items())[:3]}"
        )


def episodes(alerts: list[dict[str, Any]]) -> Alerts:
    """What an alert says happened, without what differs from run to run (ids, times of writing)."""
    return Counter(
        (
            alert["rule"]["id"],
            str(alert.get("host", {}).get("name")),
            str(alert.get("source", {}).get("ip")),
            str(alert["soc"]["evidence"]["count"]),
            alert["soc"]["evidence"]["first"],
            alert["soc"]["evidence"]["last"],
        )
        for alert in alerts
    )


@cache
def undisturbed(total: int, start: datetime, rate: float) -> Alerts:
    """Alerts of the same load through the embedded program."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "load.log").write_text("\n".join(lines(range(total), start, rate)) + "\n")
        config = here / "soc.yaml"
        content = {
            "data_dir": str(here / "data"),
            "org": str(ROOT / "deploy/sample/org"),
            "rules": [str(ROOT / "rules")],
            "sources": [str(ROOT / "pipelines/sources")],
            "sigma_pipelines": [str(ROOT / "pipelines/sigma")],
            "detect": {"workers": 1},
        }
        config.write_text(yaml.safe_dump(content), "utf-8")
        soc = Installation(here / "unused", "127.0.0.1:1", "http://127.0.0.1:1", "unused")
        soc.config = config
        soc.document("ingest", str(here / "load.log"))
        return episodes(soc.document("alerts", "list", "--limit", "10000")["alerts"])
