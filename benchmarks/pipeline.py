"""Figures of the whole embedded pipeline: `python -m benchmarks.pipeline [--events N] [--rules DIR …]`.

Writes enough days of the sample province for N raw lines, then
1. times each stage by itself, in one process, on the first 20,000 lines: µs of CPU per record,
2. sends all of them through `soc ingest` with a data directory of its own: events per second, memory, disk,
3. asks the store what an analyst would ask: milliseconds per question.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import yaml

from benchmarks.circumstances import circumstances
from soc.app.config import Config
from soc.app.content import load_content
from soc.app.demo import Demo
from soc.app.detecting import Content, parsed, published
from soc.app.reading import records
from soc.app.sample import write_province
from soc.bus.base import RAW
from soc.bus.sqlite import SqliteBus
from soc.collect.wire import to_message
from soc.event import RawRecord
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

LINES_A_DAY = 16_500
BATCH = 2_000
STAGE_RECORDS = 20_000
QUESTIONS = (
    "*",
    "host.name:ys-motcua",
    "source.ip:203.0.113.0/24",
    "user.name:root AND event.outcome:failure",
    '"failed password"',
    "dang nhap",
    "process.command_line:*vssadmin*",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rules", type=Path, action="append", help="rule packs [default: rules]")
    arguments.add_argument("--workers", type=int, default=1, help="detect workers")
    arguments.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    given = arguments.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="soc-bench-"))
    print(circumstances())
    try:
        config = Demo(folder).config()
        if given.rules:
            config = config.model_copy(update={"rules": given.rules})
        config = config.model_copy(update={"detect": config.detect.model_copy(update={"workers": given.workers})})
        facts = write_province(folder / "logs", days=max(3, given.events // LINES_A_DAY + 1))
        size = sum(f.path.stat().st_size for f in facts.files)
        print(f"{facts.lines} raw lines, {size / facts.lines:.0f} bytes on average, {len(facts.files)} files")
        content = load_content(config)
        print(f"{len(content.rules.rules)} rules, {len(content.rules.correlations)} correlations")
        stages(content, folder)
        whole(config, folder)
        questions(config)
    finally:
        if not given.keep:
            shutil.rmtree(folder, ignore_errors=True)


class Stopwatch:
    """Seconds of this process's CPU by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        before = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - before


def stages(content: Content, folder: Path) -> None:
    """µs per record of each step, as the workers do it, in batches of BATCH; the first batch warms up."""
    sample = _sample(content, folder)
    timed = Stopwatch()
    bus, store = SqliteBus(folder / "stage-bus"), SqliteStore(folder / "stage-store")
    subscription = bus.subscribe(RAW, "bench")
    for start in range(0, len(sample), BATCH):
        if start == BATCH:
            timed.spent.clear()
        with timed("publish"):
            bus.publish(RAW, [to_message(r) for r in sample[start : start + BATCH]])
            bus.flush()
        with timed("poll"):
            deliveries = subscription.poll(BATCH, 1.0)
        subscription.commit()
        with timed("decode + parse + normalize"):
            batch = parsed(deliveries, content.sources, content.lateness)
        with timed("enrich"):
            content.enricher.enrich(batch.events)
        with timed("match"):
            batch.detections = content.rules.match(
                [e.fields for e in batch.events], [e.logsources for e in batch.events]
            )
        with timed("encode detections"):
            published(batch, content)
        with timed("store"):
            store.write(batch.events, batch.rejected, batch.filtered)
    bus.close()
    store.close()
    counted = len(sample) - BATCH
    print(f"stage: µs of CPU per record ({counted} records, batches of {BATCH})")
    for name, seconds in timed.spent.items():
        print(f"  {name:28} {seconds / counted * 1e6:7.1f}")
    worker = sum(timed.spent[name] for name in timed.spent if name not in ("publish", "store"))
    print(f"  {'detect worker without store':28} {worker / counted * 1e6:7.1f}")


def _sample(content: Content, folder: Path) -> list[RawRecord]:
    """Records of all files in turn, so that every batch holds every source."""
    streams = [
        records([path], content.sources, "auto", datetime.now(UTC))
        for path in sorted((folder / "logs").rglob("*"))
        if path.is_file() and path.suffix != ".yml"
    ]
    found: list[RawRecord] = []
    while streams and len(found) < STAGE_RECORDS:
        for stream in list(streams):
            some = [r for r in islice(stream, 50) if isinstance(r, RawRecord)]
            found += some
            if not some:
                streams.remove(stream)
    return found


def whole(config: Config, folder: Path) -> None:
    """`soc ingest` of everything, as an operator would run it."""
    written = folder / "bench.yaml"
    written.write_text(yaml.safe_dump(config.model_dump(mode="json")), "utf-8")
    command = [sys.executable, "-m", "soc.app", "ingest", str(folder / "logs"), "--config", str(written), "--json"]
    began = time.perf_counter()
    environment = os.environ | {"SOC_QUIET": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as done:
        largest = _largest(done, config.data_dir / "run")
        out, errors = done.communicate()
    wall_s = time.perf_counter() - began
    if done.returncode:
        sys.exit(errors)
    counts = json.loads(out)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    disk = sum(p.stat().st_size for p in config.data_dir.rglob("*") if p.is_file())
    print(f"soc ingest: {counts}")
    print(f"  {counts['stored'] / wall_s:.0f} events/s with start and end, {wall_s:.1f} s wall")
    print(f"  {(used.ru_utime + used.ru_stime) / counts['stored'] * 1e6:.0f} µs of CPU per event over all processes")
    print(f"  resident memory at most, MB: {', '.join(f'{name} {mb}' for name, mb in sorted(largest.items()))}")
    print(f"  {disk / counts['stored']:.0f} bytes on disk per event, bus and store")


def _largest(ingest: subprocess.Popen[str], roles: Path) -> dict[str, int]:
    """MB of resident memory that each process reached, looked at twice a second until `soc ingest` ends."""
    largest: dict[str, int] = {}
    while ingest.poll() is None:
        pids = {"ingest": ingest.pid}
        pids |= {lock.stem: int(lock.read_text() or 0) for lock in roles.glob("*.lock")}
        for name, pid in pids.items():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            resident = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
            largest[name] = max(largest.get(name, 0), resident >> 10)
        time.sleep(0.5)
    return largest


def questions(config: Config) -> None:
    """Each question twice; the second time is told."""
    store = SqliteStore(config.data_dir / "store")
    print("events search: ms, hits")
    for text in QUESTIONS:
        for _ in range(2):
            began = time.perf_counter()
            page = store.search(parse_query(text), limit=100)
            took = time.perf_counter() - began
        print(f"  {text:45} {took * 1000:8.1f} {page.total:9}")
    for name in ("host.name", "event.category"):
        began = time.perf_counter()
        store.count_by(parse_query("*"), name)
        print(f"  count by {name:36} {(time.perf_counter() - began) * 1000:8.1f}")
    store.close()


if __name__ == "__main__":
    main()
