"""The collectors while Kafka is away: `python -m benchmarks.outage [--minutes 5] [--rate 5000]`.

Records arrive over HTTP at a steady rate, the broker is stopped for some minutes and started again. Printed: resident
memory of the collector each minute, what the spool held, and when everything was on the topic; read back from there,
every record must be there, and none twice.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.circumstances import circumstances
from benchmarks.cluster import ROOT, Installation, Servers, until
from benchmarks.load import Load
from soc.app.backends import open_bus
from soc.app.config import load_config
from soc.bus.base import RAW

BEFORE_S = 15.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=5.0)
    arguments.add_argument("--rate", type=float, default=5_000.0)
    given = arguments.parse_args()
    print(circumstances())
    with tempfile.TemporaryDirectory(prefix="soc-outage-", dir="/var/tmp") as folder:
        own = Servers(Path(folder) / "servers")
        own.start("kafka")
        soc = Installation(Path(folder) / "soc", own.kafka, "http://127.0.0.1:1", "outage")
        try:
            if (done := soc.soc("topics", "apply")).returncode:
                sys.exit(done.stderr)
            return outage(own, soc, given.rate, given.minutes * 60)
        finally:
            own.stop()


def outage(own: Servers, soc: Installation, rate: float, away_s: float) -> int:
    command = [sys.executable, "-m", "soc.app", "run", "collect", "--config", str(soc.config)]
    log = (soc.folder / "log.txt").open("wb")
    collector = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"SOC_LOG": "warning"})
    until(soc.listens, "the collector")
    load = Load(soc.http, rate, int(rate * (BEFORE_S + away_s + 10)), batch=250)
    load.begin()
    time.sleep(BEFORE_S)
    rows = [("before", _mb(collector.pid), _spool_mb(soc))]
    own.stop("kafka")
    stopped = time.monotonic()
    while (left := away_s - (time.monotonic() - stopped)) > 0:
        time.sleep(min(left, max(5.0, away_s / 10)))
        rows.append((f"away {time.monotonic() - stopped:4.0f} s", _mb(collector.pid), _spool_mb(soc)))
    own.start("kafka")
    back = time.monotonic()
    load.join()
    until(lambda: _spooled(soc) == 0, "the spool to empty", 600)
    emptied_s = time.monotonic() - back
    rows.append((f"emptied after {emptied_s:.0f} s", _mb(collector.pid), _spool_mb(soc)))
    collector.send_signal(signal.SIGTERM)
    collector.wait(60)
    log.close()
    for name, resident, spool in rows:
        print(f"  {name:24} {resident:7.0f} MB resident {spool:8.0f} MB spool")
    bus = open_bus(load_config(soc.config, {}))
    subscription = bus.subscribe(RAW, "check")
    ids: set[str] = set()
    read = 0
    while deliveries := subscription.poll(5_000, 5.0):
        read += len(deliveries)
        ids.update(d.headers["id"].decode() for d in deliveries)
    subscription.close()
    bus.close()
    print(f"sent {load.sent}, on the topic {read} records with {len(ids)} ids; requests refused {load.refused}")
    return 0 if len(ids) == load.sent else 1


def _mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _spool_mb(soc: Installation) -> float:
    files = (soc.data_dir / "collect").glob("spool.db*")
    return sum(f.stat().st_size for f in files) / (1 << 20)


def _spooled(soc: Installation) -> int:
    """Records that the spool holds."""
    import sqlite3

    with sqlite3.connect(soc.data_dir / "collect" / "spool.db", timeout=30) as db:
        return int(db.execute("SELECT coalesce(sum(number), 0) FROM spool").fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
