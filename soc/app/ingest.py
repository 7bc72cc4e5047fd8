"""Files sent through the whole pipeline once: paths in, the fate of every record of theirs out.

The workers are those of the running instance on this data directory, else our own for as long as it takes.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

import yaml

from soc.alert.policy import Policy
from soc.app import alerting, detecting
from soc.app.backends import open_bus, open_store
from soc.app.books import node
from soc.app.config import Config
from soc.app.credentials import as_role
from soc.app.locks import is_running
from soc.app.paths import existing
from soc.app.reading import framing_of
from soc.app.runner import Stopped
from soc.app.supervisor import Role, Supervisor
from soc.bus.base import DETECTIONS, RAW, REJECTED, Bus
from soc.collect.ingest import ingest as collect_ingest
from soc.event import ContentError, ContentErrors, TransportError, rfc3339
from soc.normalize import load_sources
from soc.store.base import Store
from soc.store.query import parse_query
from soc.watch.counts import Reporter

log = logging.getLogger("soc.ingest")

_LOOK_S: Final = 0.1
_CHUNK: Final = 5_000


@dataclass(frozen=True, slots=True)
class Job:
    """Files that belong to one registered unit and source."""

    paths: list[Path]
    source: str = "auto"
    unit: str = ""
    host: str = ""  # the machine that wrote them, for formats that do not say


#: What a person is told meanwhile: phase ("read", or the topic that is being worked off), done, total.
Tell = Callable[[str, int, int], None]


def _silent(phase: str, done: int, total: int) -> None:
    pass


def ingest(
    config: Config,
    jobs: Sequence[Job],
    stop: threading.Event,
    tell: Tell = _silent,
) -> dict[str, Any]:
    """Counts of `soc ingest --json`. Raises Stopped when told to stop, ContentErrors when the workers cannot run."""
    began = time.monotonic()
    Policy.load(existing(config.rules, "rules"))  # what is cheap to know is known before anything is sent
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TransportError(f"data_dir {config.data_dir} cannot be made: {error.strerror}") from error
    with (
        closing(open_bus(as_role(config, "ingest"))) as bus,
        closing(open_store(as_role(config, "ingest"))) as store,
        tempfile.TemporaryFile("w+", encoding="ascii", dir=config.data_dir) as ids,  # memory must not grow with records
    ):
        created_from = datetime.now(UTC)
        before = sum(bus.end_offsets(DETECTIONS).values())
        with workers(config) as supervisor:
            received = _send(config, bus, jobs, ids, stop, tell)
            if config.bus.type != "sqlite":
                Reporter(bus, node(config), config.data_dir / "collect").report(datetime.now(UTC))
            drain(bus, stop, supervisor, tell)
        counts = fates(store, ids, received)
        alerts, _ = store.search_alerts(parse_query(f'event.created:>="{rfc3339(created_from)}"'), limit=1)
        wall_s = time.monotonic() - began
        return {
            "received": received,
            **counts,
            "detections": sum(bus.end_offsets(DETECTIONS).values()) - before,
            "alerts": alerts,
            "wall_s": round(wall_s, 3),
            "events_per_s": round(counts["stored"] / wall_s, 1),
        }


def _send(config: Config, bus: Bus, jobs: Sequence[Job], ids: IO[str], stop: threading.Event, tell: Tell) -> int:
    """How many records the collectors sent; their ids, a line each, go into the file."""
    sources = load_sources(existing(config.sources, "sources"))
    total = sum(size_of(path) for job in jobs for path in job.paths)
    done = 0
    received = 0
    for job in jobs:
        sent = collect_ingest(
            job.paths,
            bus=bus,
            folder=config.data_dir / "collect",
            source=job.source,
            unit=job.unit,
            host=job.host,
            framing_of=framing_of(sources, job.source),
            progress=partial(_tell_read, tell, done, total),
            sent=lambda some: ids.writelines(f"{record_id}\n" for record_id in some),
            stop=stop,
        )
        for name in sent.unreadable:
            log.warning("%s cannot be read and was left out", name)
        received += sent.received
        done += sum(size_of(path) for path in job.paths)
        if stop.is_set():
            raise Stopped
    return received


def _tell_read(tell: Tell, before: int, total: int, done: int, _: int) -> None:
    tell("read", before + done, total)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)


def fates(store: Store, ids: IO[str], received: int) -> dict[str, int]:
    """What became of the records. Those of files are never late (they are read when they are read) and never shed."""
    counts = {"stored": 0, "filtered": 0, "rejected": 0}
    ids.seek(0)
    while chunk := [line.rstrip("\n") for line in islice(ids, _CHUNK)]:
        for fate in store.fates(chunk).values():
            counts[fate] += 1
    deficit = received - counts["stored"] - counts["filtered"] - counts["rejected"]
    return {**counts, "late": 0, "shed": 0, "deficit": deficit}


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
    supervisor = Supervisor(config.data_dir, roles, log_level="warning")
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
    tell: Tell = _silent,
) -> None:
    """Returns once everything published so far, and what came of it, is committed by every worker."""
    _reached(bus, RAW, detecting.GROUP, bus.end_offsets(RAW), stop, supervisor, tell)
    _reached(bus, REJECTED, detecting.ASIDE_GROUP, bus.end_offsets(REJECTED), stop, supervisor, tell)
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
    tell: Tell,
) -> None:
    total = sum(ends.values())
    while True:
        committed = bus.committed(topic, group)
        tell(topic, sum(min(committed.get(p, 0), end) for p, end in ends.items()), total)
        if all(committed.get(p, 0) >= end for p, end in ends.items()):
            return
        if supervisor is not None and supervisor.ended:
            raise ContentErrors([ContentError("workers", 0, "cannot run: see the sentences above")])
        if stop.wait(_LOOK_S):
            raise Stopped
