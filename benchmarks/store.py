"""Figures of the embedded store: `python -m benchmarks.store [--events N]`.

Writes N invented events of about 0.9 kB (four sources, 400 hosts, 900 users, a million addresses) in batches of
1,000, one day of receipt, then asks the questions that analysts and dashboards ask. Prints events per second, CPU
per event, bytes per event on disk, and milliseconds per question (the second of two runs).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from soc.event import Event, Fields, digest, rfc3339
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

START = datetime(2026, 11, 24, tzinfo=UTC)
BATCH = 1_000
WORDS = ("failed", "accepted", "password", "session", "opened", "closed", "invalid", "connection", "started", "policy")
PROGRAMS = ("cmd", "powershell", "svchost", "rundll32", "msiexec", "wscript", "notepad", "explorer", "lsass", "at")
SOURCES = ("linux_auth", "windows", "nginx_access", "fortigate")
CATEGORIES = {"linux_auth": "authentication", "windows": "process", "nginx_access": "web", "fortigate": "network"}

QUESTIONS = [
    "",
    "event.dataset:windows AND event.outcome:failure",
    "host.name:pc-0001",
    "user.name:user5 AND event.outcome:failure",
    "source.ip:10.3.0.0/16",
    "destination.port:[1 TO 100]",
    "process.executable:*\\\\cmd.exe",
    "failed",
    '"failed password"',
    '"dang nhap"',
    "NOT event.dataset:windows failed",
    "user.name:user1*",
    "winlog.record_id:4242",
]


def documents(count: int) -> Iterator[Fields]:
    """Invented events, always the same ones."""
    rng = random.Random(4)
    for i in range(count):
        source, host, user = rng.choice(SOURCES), f"pc-{rng.randrange(400):04d}", f"user{rng.randrange(900)}"
        peer, server = (
            f"10.{rng.randrange(16)}.{rng.randrange(256)}.{rng.randrange(256)}",
            f"192.0.2.{rng.randrange(256)}",
        )
        moment, pid, unit = rfc3339(START + i * timedelta(milliseconds=4)), rng.randrange(30_000), f"vn:xa:{i % 40:05d}"
        program, said = f"C:\\Windows\\System32\\{rng.choice(PROGRAMS)}.exe", " ".join(rng.choices(WORDS, k=10))
        yield {
            "@timestamp": moment,
            "event.original": f"{moment} {host} sshd[{pid}]: {said} for {user} from {peer} port {pid + 1000} ssh2",
            "event.dataset": source,
            "event.kind": "event",
            "event.category": [CATEGORIES[source]],
            "event.type": ["info"],
            "event.action": rng.choice(("logon", "logoff", "start", "deny", "allow")),
            "event.outcome": rng.choice(("success", "failure")),
            "event.code": rng.choice(("4624", "4625", "4688", "1", "3")),
            "host.name": host,
            "host.ip": [server],
            "user.name": user,
            "source.ip": peer,
            "source.port": pid + 1000,
            "destination.ip": server,
            "destination.port": rng.choice((22, 80, 443, 445, 3389)),
            "process.pid": pid,
            "process.executable": program,
            "process.command_line": f"{program} /c {rng.choice(WORDS)}",
            "winlog.record_id": i,
            "related.ip": [peer, server],
            "related.user": [user],
            "soc.unit.uid": unit,
            "soc.unit.level": "xa",
            "soc.unit.path": ["vn:tinh:34", unit],
            "organization.id": f"H99.{i % 40}",
            "organization.name": "UBND xã Đăng Nhập" if i % 1000 == 0 else "UBND xã mẫu",
        }


def batches(count: int) -> Iterator[list[Event]]:
    """The documents as events, a batch at a time."""
    batch: list[Event] = []
    for i, fields in enumerate(documents(count)):
        name, moment = f"{START:%Y%m%d}-{digest(i)}", START + i * timedelta(milliseconds=4)
        batch.append(Event(name, name, moment, moment, fields["event.dataset"], (), fields, fields["soc.unit.uid"]))
        if len(batch) == BATCH or i + 1 == count:
            yield batch
            batch = []


def milliseconds(ask: Callable[[], object]) -> float:
    """Of the second of two runs."""
    ask()
    begin = time.perf_counter()
    ask()
    return (time.perf_counter() - begin) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    count = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder:
        store, wall, cpu, size = SqliteStore(Path(folder)), 0.0, 0.0, 0
        for batch in batches(count):
            size += sum(len(orjson.dumps(event.fields)) for event in batch)
            begin, used = time.perf_counter(), time.process_time()
            store.write(batch)
            wall, cpu = wall + time.perf_counter() - begin, cpu + time.process_time() - used
        store.close()
        disk = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(f"write: {count / wall:,.0f} events/s, {cpu / count * 1e6:.1f} µs CPU/event, batches of {BATCH:,}")
        print(f"disk: {disk / count:.0f} B/event, of documents of {size / count:.0f} B")
        store = SqliteStore(Path(folder))
        for text in QUESTIONS:
            query = parse_query(text)
            print(f"search {milliseconds(lambda: store.search(query)):8.1f} ms {store.search(query).total:9,} {text}")  # noqa: B023
        everything, failed = parse_query(""), parse_query("failed")
        hour = START.replace(minute=0) + timedelta(hours=1)
        span = {"since": hour - timedelta(hours=1), "until": hour}
        step = timedelta(minutes=5)
        for name, ask in {
            "count by event.dataset": lambda: store.count_by(everything, "event.dataset"),
            "count by source.ip": lambda: store.count_by(everything, "source.ip"),
            "count by user.name, of `failed`": lambda: store.count_by(failed, "user.name"),
            "count by 5 minutes of an hour": lambda: store.count_by_time(everything, step, **span),
            "count by 5 minutes of an hour, of `failed`": lambda: store.count_by_time(failed, step, **span),
            "one event by id": lambda: store.event(f"{START:%Y%m%d}-{digest(count // 2)}"),
        }.items():
            print(f"{milliseconds(ask):8.2f} ms {name}")
        store.close()


if __name__ == "__main__":
    main()
