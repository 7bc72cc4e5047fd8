"""Faults on real servers: `python -m benchmarks.faults [--minutes N] [--fault NAME …] [--rate N]`.

Each trial starts the whole program on a Kafka and an Elasticsearch of its own, loads it, does harm in the middle, and
compares: every record received, stored once or set aside; the alerts of the undisturbed run. Trials are repeated until
the minutes are over, each fault at least once. Exit 1 if one was not survived.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.circumstances import circumstances
from benchmarks.cluster import ROOT, servers, until
from benchmarks.proxy import proxy
from benchmarks.trial import Fault, Scene, Verdict, trial

BROKEN_S = 5.0  # how long a server stays away
RANDOM = random.Random()


def kill_role(name: str) -> Fault:
    """kill -9 of one role, twice, at random moments."""

    def strike(scene: Scene) -> None:
        for _ in range(2):
            time.sleep(RANDOM.uniform(0.2, 1.5))
            if pid := scene.soc.pids().get(name):
                os.kill(pid, signal.SIGKILL)
            until(lambda: scene.soc.pids().get(name, pid) != pid, f"{name} to come back", 60)

    return Fault(f"kill -9 {name}", strike)


def kill_all(scene: Scene) -> None:
    for pid in scene.soc.pids().values():
        os.kill(pid, signal.SIGKILL)


def away(server: str, how: signal.Signals | None) -> Fault:
    """A server stopped (None), killed, or frozen, and back after BROKEN_S."""

    def strike(scene: Scene) -> None:
        if how is None:
            scene.servers.stop(server)
        else:
            scene.servers.signal(server, how)
        time.sleep(BROKEN_S)
        if how is signal.SIGSTOP:
            scene.servers.signal(server, signal.SIGCONT)
        else:
            scene.servers.start(server)

    word = "stopped" if how is None else {signal.SIGKILL: "killed", signal.SIGSTOP: "frozen"}[how]
    return Fault(f"{server} {word}", strike)


def answering(status: int) -> Fault:
    """The store refuses every request for a while, twice."""

    def strike(scene: Scene) -> None:
        for _ in range(2):
            scene.proxy.refusing = status
            time.sleep(BROKEN_S / 2)
            scene.proxy.refusing = 0
            time.sleep(0.5)

    return Fault(f"store answers {status}", strike)


def _conflicting(scene: Scene) -> None:
    """Today's index of hosts with a field of another type than ours: folders that sudo was called in are no numbers."""
    day = f"{datetime.now(UTC):%Y.%m.%d}"
    body = {"mappings": {"properties": {"process": {"properties": {"working_directory": {"type": "long"}}}}}}
    request = urllib.request.Request(
        f"{scene.servers.search}/logs-soc.host-{scene.soc.namespace}-{day}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()


def _one_more(scene: Scene) -> None:
    """A third worker joins while batches are in flight, and dies without a word."""
    command = [sys.executable, "-m", "soc.app", "run", "detect", "--number", "7", "--config", str(scene.soc.config)]
    log = (scene.folder / "third.txt").open("wb")
    third = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    until(lambda: "detect-7" in scene.soc.pids(), "the third worker", 30)
    time.sleep(4)
    third.kill()
    third.wait()
    log.close()


def _without_leader(scene: Scene) -> None:
    """Of two brokers, the one that leads half of the partitions is killed; the other takes over, then it comes back."""
    scene.servers.signal("kafka-2", signal.SIGKILL)
    time.sleep(BROKEN_S)
    scene.servers.start("kafka-2")


def _small_disk(scene: Scene) -> None:
    scene.soc.data_dir.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(scene.soc.data_dir)], check=True)


def _fill_up(scene: Scene) -> None:
    """The broker is away and the collector's disk has no room for what arrives."""
    scene.servers.stop("kafka")
    rest = scene.soc.data_dir / "filler"
    with rest.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"\0" * 65536)
        except OSError:
            pass
    time.sleep(BROKEN_S)
    rest.unlink()
    scene.servers.start("kafka")


def _unmount(scene: Scene) -> None:
    subprocess.run(["umount", "-l", str(scene.soc.data_dir)], check=False)


def _under_faketime(scene: Scene) -> None:
    library = next(Path("/usr/lib").rglob("libfaketime.so.1"))
    clock = scene.folder / "clock"
    clock.write_text("+0")
    scene.soc.environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _jump(scene: Scene) -> None:
    """The clock of every worker an hour ahead, then two minutes back, then right again."""
    for offset in ("+3600", "-120", "+0"):
        (scene.folder / "clock").write_text(offset)
        time.sleep(BROKEN_S / 3)


FAULTS = [
    Fault("none", lambda scene: None),
    *(kill_role(name) for name in ("detect-0", "detect-1", "alert-0", "collect", "watch")),
    Fault("kill -9 of every worker", kill_all),
    *(away("kafka", how) for how in (None, signal.SIGKILL, signal.SIGSTOP)),
    *(away("elasticsearch", how) for how in (None, signal.SIGKILL, signal.SIGSTOP)),
    answering(429),
    answering(503),
    Fault("a partition's leader gone", _without_leader, brokers=2),
    Fault("mapping conflict", lambda scene: None, before=_conflicting, refuses=True),
    Fault("rebalance, a batch in flight", _one_more),
    Fault("clock jumps", _jump, before=_under_faketime),
    Fault(
        "spool's disk full", _fill_up, before=_small_disk, after=_unmount, settings={"spool": {"min_free_percent": 0}}
    ),
]

COLUMNS = (
    *("fault", "sent", "received", "stored", "rejected", "deficit", "twice", "missing", "alerts", "equal", "stall s"),
    "peak MB",
)


def table(verdicts: list[Verdict]) -> str:
    """As it stands in docs/reliability.md; of a fault that was tried several times, sums and the worst."""
    rows = []
    for name in dict.fromkeys(v.fault for v in verdicts):
        some = [v for v in verdicts if v.fault == name]
        sums = [sum(getattr(v, f) for v in some) for f in ("sent", "received", "stored", "rejected", "deficit")]
        sums += [sum(v.duplicates for v in some), sum(v.missing for v in some), sum(v.alerts for v in some)]
        equal = f"{sum(v.alerts_equal for v in some)}/{len(some)}"
        peak = max((mb for v in some for mb in v.peak_mb.values()), default=0)
        stall = max(v.longest_stall_s for v in some)
        rows.append(f"| {name} | {' | '.join(map(str, sums))} | {equal} | {stall:.1f} | {peak:.0f} |")
    return "\n".join([f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows])


def rounds(chosen: list[Fault], brokers: int, end: float, seconds: float, rate: float) -> list[Verdict]:
    """Each fault at least once, then again until the end."""
    verdicts: list[Verdict] = []
    with (
        tempfile.TemporaryDirectory(prefix="soc-faults-", dir="/var/tmp") as folder,
        servers(Path(folder) / "servers", brokers=brokers) as running,
        proxy(running.search) as before_search,
    ):
        while len(verdicts) < len(chosen) or time.monotonic() < end:
            fault = chosen[len(verdicts) % len(chosen)]
            verdict = trial(fault, running, before_search, Path(folder), seconds=seconds, rate=rate)
            verdicts.append(verdict)
            print("ok  " if verdict.good else "BAD ", verdict, file=sys.stderr, flush=True)
    return verdicts


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=0.0, help="0 = each fault once")
    arguments.add_argument("--fault", action="append", help="those whose name holds this text")
    arguments.add_argument("--rate", type=float, default=400.0, help="records a second")
    arguments.add_argument("--seconds", type=float, default=12.0, help="of load in one trial")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    given = arguments.parse_args()
    RANDOM.seed(given.seed)
    chosen = [f for f in FAULTS if not given.fault or any(text in f.name for text in given.fault)]
    print(circumstances(), f"seed {given.seed}", sep="\n")
    verdicts: list[Verdict] = []
    end = time.monotonic() + given.minutes * 60
    for brokers in (1, 2):
        some = [f for f in chosen if f.brokers == brokers]
        share = end if brokers == 2 else end - given.minutes * 60 * sum(f.brokers == 2 for f in chosen) / len(chosen)
        if some:
            verdicts += rounds(some, brokers, share, given.seconds, given.rate)
    print(table(verdicts))
    return 0 if all(v.good for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
