"""Figures of the collectors: `python -m benchmarks.collect [--records N]`.

Reading without a bus (lines, JSON lines, EVTX), records to messages and back, files into the embedded bus, the spool by
size of its transactions, and syslog (TCP, UDP) and HTTP `_bulk` over loopback until everything is on the bus.
CPU microseconds are of the whole process, all threads.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path

from benchmarks.circumstances import circumstances
from soc.bus.base import RAW, Delivery
from soc.bus.sqlite import SqliteBus
from soc.collect.base import Collecting
from soc.collect.counts import counts
from soc.collect.http import HttpListener
from soc.collect.ingest import ingest
from soc.collect.open import read_path
from soc.collect.spool import Batch, Spool
from soc.collect.syslog import SyslogListener
from soc.collect.wire import from_delivery, to_message
from soc.event import RawRecord

LINE = b'192.0.2.%d - - [24/Nov/2026:12:00:00 +0700] "GET /index.php?id=%d HTTP/1.1" 200 512 "-" "Mozilla/5.0"'
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def told(what: str, count: int, run: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<46}{count / wall:>10,.0f} records/s{cpu / count * 1e6:>8.1f} µs CPU each")


def reading(root: Path, count: int) -> None:
    plain = root / "access.log"
    plain.write_bytes(b"".join(LINE % (n % 250, n) + b"\n" for n in range(count)))
    told("read_path, lines of 100 bytes", count, lambda: sum(1 for _ in read_path(plain)))
    objects = root / "events.ndjson"
    objects.write_bytes(b"".join(b'{"n":%d,"message":"%s"}\n' % (n, b"x" * 480) for n in range(count)))
    told("read_path, JSON lines of 500 bytes", count, lambda: sum(1 for _ in read_path(objects)))
    data = Path(os.environ.get("SHARED_DATA", "../shared/data")) / "evtx_benign_or_damaged" / "security.evtx"
    if data.exists():
        told("read_path, EVTX (security.evtx)", 2261, lambda: sum(1 for _ in read_path(data)))
    bus = SqliteBus(root / "bus-files")
    told("ingest, lines into the bus", count, lambda: ingest([plain], bus=bus, folder=root / "files"))
    bus.close()


def wire(count: int) -> None:
    record = RawRecord(
        "20261124-" + "a" * 24, LINE % (1, 1), NOW, "nginx_access", "vn:xa:1", "192.0.2.1", "tcp", {"p": "1"}
    )
    message = to_message(record)
    delivery = Delivery(RAW, 0, 1, message.key, message.value, message.headers, NOW)
    told("to_message", count, lambda: sum(1 for _ in map(to_message, repeat(record, count))))
    told("from_delivery", count, lambda: sum(1 for _ in map(from_delivery, repeat(delivery, count))))


def spool(root: Path, count: int) -> None:
    for size in (1, 100, 1_000):
        appended(root / f"spool-{size}", size, count if size > 1 else min(count, 1_000))


def appended(folder: Path, size: int, count: int) -> None:
    s = Spool(folder)
    batch = Batch("syslog", [RawRecord("", LINE % (1, n), NOW, "s", "u", "192.0.2.1", "tcp") for n in range(size)])
    told(f"spool, {size} a transaction", count, lambda: [s.append([batch]) for _ in range(count // size)])
    s.close()


def network(root: Path, count: int) -> None:
    bus, folder, stop = SqliteBus(root / "bus"), root / "network", threading.Event()
    listeners = [SyslogListener("127.0.0.1:0", ("udp", "tcp")), HttpListener("127.0.0.1:0")]
    collecting = Collecting(listeners, bus=bus, folder=folder)
    ports = collecting.addresses()
    thread = threading.Thread(target=collecting.run, args=(stop,))
    thread.start()
    done = 0

    def sent(send: Callable[[], None]) -> None:
        nonlocal done
        done += count
        send()
        end = time.monotonic() + 60
        while sum(bus.end_offsets(RAW).values()) + shed(folder) < done and time.monotonic() < end:
            time.sleep(0.05)

    told("syslog TCP, onto the bus", count, lambda: sent(lambda: tcp(ports["tcp"], count)))
    told("HTTP _bulk of 1,000, onto the bus", count, lambda: sent(lambda: bulk(ports["http"], count)))
    told("syslog UDP, onto the bus", count, lambda: sent(lambda: udp(ports["udp"], count)))
    print(f"of these datagrams shed or dropped by the kernel: {shed(folder):,}")
    stop.set()
    thread.join()
    bus.close()


def shed(folder: Path) -> int:
    return sum(row.shed for row in counts(folder))


def tcp(port: int, count: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for start in range(0, count, 1_000):
            sock.sendall(b"".join(b"<13>%s\n" % (LINE % (1, n)) for n in range(start, start + 1_000)))


def udp(port: int, count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for n in range(count):
            sock.sendto(b"<13>" + LINE % (1, n), ("127.0.0.1", port))


def bulk(port: int, count: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port)
    for start in range(0, count, 1_000):
        items = (b'{"create":{}}\n{"n":%d,"message":"%s"}\n' % (n, b"x" * 200) for n in range(start, start + 1_000))
        client.request("POST", "/logs/_bulk", b"".join(items))
        client.getresponse().read()
    client.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=50_000, help="in thousands, rounded down")
    count = arguments.parse_args().records // 1_000 * 1_000
    print(circumstances())
    with tempfile.TemporaryDirectory() as root:
        reading(Path(root), count)
        wire(count)
        spool(Path(root), count)
        network(Path(root), count)


if __name__ == "__main__":
    main()
