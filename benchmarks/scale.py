"""The detect worker from Kafka to Elasticsearch: `python -m benchmarks.scale [--events N] [--rules DIR …]`.

1. what each stage costs one process: µs of CPU and of waiting per event,
2. events per second of 1 and of 2 worker processes that work off a full topic,
3. from receipt to searchable at a rate below that: median and 99th percentile, and the lag meanwhile.

Servers of its own, on the same cores as the workers unless --kafka and --search name others.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

from benchmarks.circumstances import circumstances
from benchmarks.cluster import ROOT, Installation, documents, resident_mb, servers, until
from soc.app.backends import open_bus, open_store
from soc.app.config import load_config
from soc.app.content import load_content
from soc.app.detecting import Content, parsed, published
from soc.app.reading import records
from soc.app.sample import write_province
from soc.bus.base import DETECTIONS, RAW, Bus, Message
from soc.collect.wire import to_message
from soc.event import RawRecord, record_id
from soc.store.base import Store

BATCH = 2_000
LINES_A_DAY = 16_500


@dataclass
class Stopwatch:
    """Seconds by stage: of this process's CPU, and of the clock."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.cpu[name] = self.cpu.get(name, 0.0) + time.process_time() - cpu
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rules", type=Path, action="append", help="rule packs [default: rules]")
    arguments.add_argument("--kafka", help="address of a running broker [default: one of our own]")
    arguments.add_argument("--search", help="URL of a running Elasticsearch [default: one of our own]")
    arguments.add_argument("--rate", type=float, default=1_000.0, help="records a second while latency is measured")
    given = arguments.parse_args()
    print(circumstances())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soc-scale-", dir="/var/tmp")))
        folder.chmod(0o755)
        kafka, search = given.kafka, given.search
        if not (kafka and search):
            own = stack.enter_context(servers(folder / "servers", heap="1g"))
            kafka, search = own.kafka, own.search
        packs = tuple(str(p.absolute()) for p in given.rules or [ROOT / "rules"])
        logs = folder / "logs"
        facts = write_province(logs, days=max(3, given.events // LINES_A_DAY + 1))
        print(f"{facts.lines} raw lines of the sample province")

        def fresh(workers: int = 1) -> Installation:
            name = f"s{uuid.uuid4().hex[:8]}"
            made = Installation(folder / name, kafka, search, name, workers=workers, rules=packs)
            made.apply()
            return made

        content = load_content(load_config(fresh().config, {}))
        print(f"{len(content.rules.rules)} rules, {len(content.rules.correlations)} correlations")
        stages(fresh(), content, logs, given.events)
        for workers in (1, 2):
            whole(fresh(workers), content, logs, workers, given.events)
        latency(fresh(2), given.rate)


def sample(content: Content, logs: Path, number: int) -> Iterator[RawRecord]:
    """Records of all files in turn, as many senders would bring them, each file a sender."""
    streams = [
        records([path], content.sources, "auto", datetime.now(UTC))
        for path in sorted(logs.rglob("*"))
        if path.is_file() and path.suffix != ".yml"
    ]
    given = 0
    while streams and given < number:
        for stream in list(streams):
            some = [r for r in islice(stream, 50) if isinstance(r, RawRecord)]
            given += len(some)
            yield from some
            if not some:
                streams.remove(stream)


def fill(bus: Bus, content: Content, logs: Path, number: int) -> int:
    """Put the sample onto soc.raw, keyed by a hundred senders so that all partitions get some; how many records."""
    sent = 0
    found = sample(content, logs, number)
    while some := list(islice(found, BATCH)):
        messages = [to_message(r) for r in some]
        bus.publish(RAW, [Message(b"%d" % (n % 100), m.value, m.headers) for n, m in enumerate(messages)])
        sent += len(some)
    bus.flush()
    return sent


def opened(soc: Installation) -> tuple[Bus, Store]:
    config = load_config(soc.config, {})
    return open_bus(config), open_store(config)


def stages(soc: Installation, content: Content, logs: Path, number: int) -> None:
    """One process, as the worker does it; the first two batches warm up."""
    bus, store = opened(soc)
    fill(bus, content, logs, min(number, 60_000))
    subscription = bus.subscribe(RAW, "bench")
    timed, events, turns = Stopwatch(), 0, 0
    while True:
        with timed("poll"):
            deliveries = subscription.poll(BATCH, 2.0)
        if not deliveries:
            break
        with timed("decode, parse, normalize"):
            batch = parsed(deliveries, content.sources, content.lateness)
        with timed("enrich"):
            content.enricher.enrich(batch.events)
        with timed("match"):
            batch.detections = content.rules.match(
                [e.fields for e in batch.events], [e.logsources for e in batch.events]
            )
        with timed("encode detections"):
            messages = published(batch, content)
        with timed("encode and bulk"):
            store.write(batch.events, batch.rejected, batch.filtered)
        with timed("publish and flush"):
            bus.publish(DETECTIONS, messages)
            bus.flush()
        with timed("commit"):
            subscription.commit()
        turns += 1
        events += len(batch.events)
        if turns == 2:
            timed, events = Stopwatch(), 0
    timed.wall["poll"] -= 2.0  # the last one, which found nothing
    subscription.close()
    bus.close()
    store.close()
    print(f"stage: µs per event, CPU of the worker | clock ({events} events)")
    for name, seconds in timed.cpu.items():
        print(f"  {name:28} {seconds / events * 1e6:7.1f} | {timed.wall[name] / events * 1e6:7.1f}")
    cpu, wall = sum(timed.cpu.values()), sum(timed.wall.values())
    print(f"  {'all':28} {cpu / events * 1e6:7.1f} | {wall / events * 1e6:7.1f}  = {events / wall:.0f} events/s")


def whole(soc: Installation, content: Content, logs: Path, workers: int, number: int) -> None:
    """Worker processes on a topic that is full when they start; timed from the first commit to the last."""
    bus, store = opened(soc)
    sent = fill(bus, content, logs, number)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "soc.app", "run", "detect", "--number", str(n), "--config", str(soc.config)],
            cwd=ROOT,
            env=os.environ | {"SOC_LOG": "warning"},
        )
        for n in range(workers)
    ]
    try:
        first: tuple[float, int] | None = None
        peak = 0.0
        while (lag := bus.lag(RAW, "detect")) > 0:
            if first is None and lag < sent:
                first = (time.perf_counter(), lag)
            peak = max(peak, *(resident_mb(p.pid) for p in processes))
            if any(p.poll() is not None for p in processes):
                sys.exit("a worker ended")
            time.sleep(0.2)
        assert first is not None
        wall = time.perf_counter() - first[0]
        cpu = sum(_cpu_s(p.pid) for p in processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)
    print(
        f"{workers} worker{'s' * (workers > 1)}: {first[1] / wall:.0f} events/s over {first[1]} records, "
        f"{cpu / sent * 1e6:.0f} µs of CPU per event with the start, {peak:.0f} MB at most"
    )
    bus.close()
    store.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def latency(soc: Installation, rate: float, seconds: float = 30.0) -> None:
    """A record carries the moment of its receipt; it is searchable when a search finds it."""
    bus, store = opened(soc)
    soc.start()
    try:
        _latency(soc, bus, rate, int(rate * seconds))
    finally:
        soc.stop()
        bus.close()
        store.close()


def _latency(soc: Installation, bus: Bus, rate: float, total: int) -> None:
    lags: list[int] = []
    seen: dict[str, float] = {}
    sent: dict[str, float] = {}

    def send() -> None:
        began = time.time()
        for first in range(0, total, 50):
            wait = began + first / rate - time.time()
            if wait > 0:
                time.sleep(wait)
            now = datetime.now(UTC)
            some = []
            for n in range(first, min(total, first + 50)):
                text = (
                    f"{now.isoformat()} web{n % 7:02d} sshd[{n}]: Accepted publickey for ops from 192.0.2.1 port 1 ssh2"
                )
                made = RawRecord(
                    record_id(now, soc.namespace, n), text.encode(), now, "linux_auth", "", f"h{n % 50}", ""
                )
                sent[made.id] = time.time()
                some.append(to_message(made))
            bus.publish(RAW, some)
            bus.flush()

    until(lambda: {"detect-0", "detect-1"} <= soc.pids().keys(), "the workers")
    time.sleep(6)
    thread = threading.Thread(target=send)
    thread.start()
    pattern = f"logs-soc.*-{soc.namespace}-*"
    while len(seen) < total:
        visible = _visible(soc.search, pattern)
        now = time.time()
        if visible > len(seen):  # ids in order of sending become visible together: count them
            for made in list(sent)[len(seen) : visible]:
                seen[made] = now
        if thread.is_alive():
            lags.append(bus.lag(RAW, "detect"))
        time.sleep(0.05)
    thread.join()
    exact = {hit["_id"] for hit in documents(soc.search, pattern, ())}
    assert exact == sent.keys()
    waited = sorted(seen[i] - sent[i] for i in sent)
    p99 = quantiles(waited, n=100)[98]
    print(
        f"at {rate:.0f} records/s: from receipt to searchable {median(waited):.2f} s median, {p99:.2f} s p99 "
        f"(refresh 1 s); lag {median(lags):.0f} records median, {max(lags)} at most"
    )


def _visible(search: str, pattern: str) -> int:
    import json
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{search}/{pattern}/_count", timeout=10) as answer:
            return int(json.load(answer)["count"])
    except urllib.error.HTTPError:  # a new index whose shard is not started
        return 0


if __name__ == "__main__":
    main()
