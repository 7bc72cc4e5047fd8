"""kill -9 at any moment: what was answered or written to a file is on the bus under one id, and counted once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from soc.bus.sqlite import SqliteBus
from soc.collect.counts import counts
from soc.collect.file import FileCollector, FileSource
from soc.collect.forward import Forwarding
from soc.collect.spool import Spool
from soc.collect.state import FileState
from soc.collect.wire import from_delivery

PROGRAM = """
import sys, threading
from pathlib import Path
from soc.bus.sqlite import SqliteBus
from soc.collect.base import Collecting
from soc.collect.file import FileSource
from soc.collect.http import HttpListener
root = Path(sys.argv[1])
collectors = [HttpListener("127.0.0.1:0"), FileSource([str(root / "logs" / "*")])]
collecting = Collecting(collectors, bus=SqliteBus(root / "bus"), folder=root / "collect")
print(collecting.addresses()["http"], flush=True)
collecting.run(threading.Event())
"""


def started(root: Path) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, int(process.stdout.readline())


def killed(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout
    process.stdout.close()


def on_the_bus(root: Path) -> dict[str, bytes]:
    """Everything on topic soc.raw by id; an id never stands for two records."""
    bus = SqliteBus(root / "bus")
    reader = bus.subscribe("soc.raw", "test")
    records: dict[str, bytes] = {}
    while deliveries := reader.poll(10_000, 0.1):
        for record in map(from_delivery, deliveries):
            assert records.setdefault(record.id, record.data) == record.data
    bus.close()
    return records


def test_what_was_answered_survives(tmp_path: Path) -> None:
    answered = []
    for life in range(3):
        process, port = started(tmp_path)
        for n in range(25):
            lines = [b'{"life":%d,"n":%d,"i":%d}' % (life, n, i) for i in range(10)]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/records", b"\n".join(lines), timeout=20) as answer:
                assert answer.status == 200
            answered += lines
        killed(process)
    bus, spool = SqliteBus(tmp_path / "bus"), Spool(tmp_path / "collect")
    while Forwarding(spool, bus).turn():
        pass
    spool.close()
    bus.close()
    assert sorted(on_the_bus(tmp_path).values()) == sorted(answered)
    assert sum(c.received for c in counts(tmp_path / "collect")) == len(answered)


def test_files_are_read_on_where_they_were(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    written = []
    for life in range(2):
        for name in ("a", "b"):
            lines = [b"%s life %d line %d %s" % (name.encode(), life, n, b"x" * 200) for n in range(9_000)]
            with (logs / name).open("ab") as f:
                f.write(b"\n".join(lines) + b"\n")
            written += lines
        process, _ = started(tmp_path)
        before = sum(c.received for c in counts(tmp_path / "collect"))
        deadline = time.monotonic() + 20
        while sum(c.received for c in counts(tmp_path / "collect")) == before and time.monotonic() < deadline:
            time.sleep(0.001)  # the first turn of this life
        killed(process)
    bus = SqliteBus(tmp_path / "bus")
    state = FileState(tmp_path / "collect")
    collector = FileCollector([FileSource([f"{logs}/*"])], state, bus)
    while collector.step():
        pass
    collector.close()
    state.close()
    bus.close()
    assert sorted(on_the_bus(tmp_path).values()) == sorted(written)
    assert sum(c.received for c in counts(tmp_path / "collect")) == len(written)
