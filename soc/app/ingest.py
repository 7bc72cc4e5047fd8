"""Files sent through the whole pipeline once: paths in, the fate of every record of theirs out.

The workers are those of the running instance on this data directory, else our own for as long as it takes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from soc.alert.words import VIETNAM
from soc.app import alerting, detecting
from soc.app.backends import open_bus, open_store
from soc.app.config import Config
from soc.app.locks import is_running
from soc.app.runner import Stopped
from soc.app.supervisor import Role, Supervisor
from soc.bus.base import DETECTIONS, RAW, REJECTED, Bus
from soc.event import SocError, rfc3339
from soc.store.base import Store
from soc.store.query import parse_query

_LOOK_S: Final = 0.1
_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True)
class Job:
    """Files that belong to one registered unit and source."""

    paths: list[Path]
    source: str = "auto"
    unit: str = ""


@dataclass(slots=True)
class Progress:
    """What a person is told meanwhile: phase, done, total."""

    tell: Callable[[str, int, int], None] = field(default=lambda phase, done, total: None)


def ingest(
    config: Config,
    jobs: Sequence[Job],
    stop: threading.Event,
    tell: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> dict[str, Any]:
    """Counts of `soc ingest --json`. Raises Stopped when told to stop, SocError when the workers cannot run."""
    began = time.monotonic()
    bus, store = open_bus(config), open_store(config)
    try:
        created_from = datetime.now(UTC)
        before = sum(bus.end_offsets(DETECTIONS).values())
        with workers(config) as supervisor:
            ids: list[str] = []
            for job in jobs:
                ids += _send(config, bus, job, stop, tell)
            drain(bus, stop, supervisor, tell)
        counts = fates(store, ids)
        alerts, _ = store.search_alerts(parse_query(f'event.created:>="{rfc3339(created_from)}"'), limit=1)
        wall_s = time.monotonic() - began
        return {
            "received": len(ids),
            **counts,
            "detections": sum(bus.end_offsets(DETECTIONS).values()) - before,
            "alerts": alerts,
            "wall_s": round(wall_s, 3),
            "events_per_s": round(counts["stored"] / wall_s, 1),
        }
    finally:
        bus.close()
        store.close()


def fates(store: Store, ids: Sequence[str]) -> dict[str, int]:
    """What became of the records: stored, filtered, rejected, late (stored, but late), shed, deficit."""
    counts = {"stored": 0, "filtered": 0, "rejected": 0, "late": 0}
    for start in range(0, len(ids), _CHUNK):
        for fate in store.fates(ids[start : start + _CHUNK]).values():
            counts[fate] += 1
    counts["stored"] += counts["late"]
    deficit = len(ids) - counts["stored"] - counts["filtered"] - counts["rejected"]
    return {**counts, "shed": 0, "deficit": deficit}


@contextmanager
def workers(config: Config) -> Iterator[Supervisor | None]:
    """Detect and alert workers of our own, unless an instance runs on this data directory."""
    if is_running(config.data_dir, "detect-0") and is_running(config.data_dir, "alert-0"):
        yield None
        return
    written = config.data_dir / "run" / "ingest.yaml"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    named = ["--config", str(written)]
    roles = [Role(f"detect-{n}", ["run", "detect", "--number", str(n), *named]) for n in range(config.detect.workers)]
    roles.append(Role("alert-0", ["run", "alert", *named]))
    supervisor = Supervisor(config.data_dir, roles)
    ended = threading.Event()
    thread = threading.Thread(target=supervisor.run, args=(ended,), name="supervisor")
    thread.start()
    try:
        yield supervisor
    finally:
        ended.set()
        thread.join()


def drain(
    bus: Bus,
    stop: threading.Event,
    supervisor: Supervisor | None = None,
    tell: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> None:
    """Returns once everything published so far, and what came of it, is committed by every worker."""
    _reached(bus, RAW, detecting.GROUP, bus.end_offsets(RAW), stop, supervisor, tell)
    _reached(bus, REJECTED, detecting.GROUP, bus.end_offsets(REJECTED), stop, supervisor, tell)
    seen: dict[int, int] = {}
    while (ends := bus.end_offsets(DETECTIONS)) != seen:  # correlations put more on the topic
        _reached(bus, DETECTIONS, alerting.GROUP, ends, stop, supervisor, tell)
        seen = ends


def _reached(
    bus: Bus,
    topic: str,
    group: str,
    ends: dict[int, int],
    stop: threading.Event,
    supervisor: Supervisor | None,
    tell: Callable[[str, int, int], None],
) -> None:
    total = sum(ends.values())
    while True:
        committed = bus.committed(topic, group)
        tell(topic, sum(min(committed.get(p, 0), end) for p, end in ends.items()), total)
        if all(committed.get(p, 0) >= end for p, end in ends.items()):
            return
        if supervisor is not None and supervisor.ended:
            raise SocError("the workers cannot run: see the sentence above")
        if stop.wait(_LOOK_S):
            raise Stopped
