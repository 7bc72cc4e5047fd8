"""Figures of the stores: `python -m benchmarks.store [--events N] [--store sqlite|elasticsearch …] [--hosts URL …]`.

Writes N invented events of about 0.9 kB (four sources, 400 hosts, 900 users, a million addresses) in batches of
1,000 (2,000 for Elasticsearch), one day of receipt, then asks the questions that analysts and dashboards ask. Prints
side by side: events per second, CPU of this process per event (encoding beside it) and the rest of the time, bytes per
event on disk, and milliseconds per question (the second of two runs). Elasticsearch needs `soc store apply` before; its
indices are deleted at the end.
"""

from __future__ import annotations

import argparse
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from benchmarks.circumstances import circumstances
from soc.event import Event, Fields, digest, rfc3339
from soc.store.base import Store
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Server
from soc.store.elasticsearch.indices import Indices
from soc.store.elasticsearch.moments import microseconds
from soc.store.elasticsearch.names import Names
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore
from soc.store.sqlite.terms import index_texts

START = datetime(2026, 11, 24, tzinfo=UTC)
BATCH = {"sqlite": 1_000, "elasticsearch": 2_000}
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


def batches(count: int, size: int) -> Iterator[list[Event]]:
    """The documents as events, a batch at a time."""
    batch: list[Event] = []
    for i, fields in enumerate(documents(count)):
        name, moment = f"{START:%Y%m%d}-{digest(i)}", START + i * timedelta(milliseconds=4)
        batch.append(Event(name, name, moment, moment, fields["event.dataset"], (), fields, fields["soc.unit.uid"]))
        if len(batch) == size or i + 1 == count:
            yield batch
            batch = []


def milliseconds(ask: Callable[[], object]) -> float:
    """Of the second of two runs."""
    ask()
    begin = time.perf_counter()
    ask()
    return (time.perf_counter() - begin) * 1e3


class Embedded:
    """The store in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = SqliteStore(folder)

    def settled(self) -> int:
        """Bytes on disk once everything is written; the store is opened anew."""
        self.store.close()
        self.store = SqliteStore(self.folder)
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def encode(self, events: Sequence[Event]) -> None:
        """What is done before the file is locked."""
        for event in events:
            index_texts(event.fields)
            orjson.dumps(event.fields)

    def close(self) -> None:
        self.store.close()


class Cluster:
    """The store on a cluster, in a namespace of its own."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self.namespace = f"bench.{secrets.token_hex(4)}"
        self.server = Server(hosts, ElasticAccess())
        self.store: Store = ElasticsearchStore(hosts, namespace=self.namespace)
        self.indices = Indices(self.server)
        self.names = Names(self.namespace, ())

    def settled(self) -> int:
        """Bytes of the indices, merged as those of a past day are."""
        pattern = f"/logs-soc.*-{self.namespace}-*"
        self.server.call("POST", f"{pattern}/_forcemerge", params={"max_num_segments": 1, "flush": "true"})
        self.server.call("POST", f"{pattern}/_refresh")
        return int(self.server.call("GET", f"{pattern}/_stats/store")["_all"]["total"]["store"]["size_in_bytes"])

    def encode(self, events: Sequence[Event]) -> None:
        for event in events:
            index = self.names.event_index(event.fields, f"{START:%Y%m%d}")
            self.indices.encoder(index).encode(event.fields, microseconds(event.timestamp), {})

    def close(self) -> None:
        self.store.close()
        for index in self.indices.existing([f"*-{self.namespace}-*"]):
            self.indices.delete(index)
        self.server.close()


def written(target: Embedded | Cluster, count: int, batch: int) -> Iterator[tuple[str, str]]:
    """Writes, and says what it took."""
    wall = cpu = encoding = 0.0
    size = 0
    for events in batches(count, batch):
        size += sum(len(orjson.dumps(event.fields)) for event in events)
        used = time.process_time()
        target.encode(events)
        encoding += time.process_time() - used
        begin, used = time.perf_counter(), time.process_time()
        target.store.write(events)
        wall, cpu = wall + time.perf_counter() - begin, cpu + time.process_time() - used
    yield "events/s written", f"{count / wall:,.0f}"
    yield "µs CPU of ours/event", f"{cpu / count * 1e6:.1f}"
    yield "  of that encoding", f"{encoding / count * 1e6:.1f}"
    yield "µs waiting/event", f"{(wall - cpu) / count * 1e6:.1f}"
    yield "events a batch", f"{batch:,}"
    yield "B/document", f"{size / count:.0f}"
    yield "B/event on disk", f"{target.settled() / count:.0f}"


def asked(store: Store, count: int) -> Iterator[tuple[str, str]]:
    """Milliseconds of each question."""
    for text in QUESTIONS:
        query = parse_query(text)
        took = milliseconds(lambda: store.search(query))  # noqa: B023
        yield f"ms search {text or '(everything)'}", f"{took:.1f} ({store.search(query).total:,})"
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
        "ledger": lambda: store.ledger(),
        "one event by id": lambda: store.event(f"{START:%Y%m%d}-{digest(count // 2)}"),
    }.items():
        yield f"ms {name}", f"{milliseconds(ask):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--store", nargs="+", choices=sorted(BATCH), default=["sqlite"])
    parser.add_argument("--hosts", nargs="+", default=["http://127.0.0.1:9200"])
    given = parser.parse_args()
    columns: dict[str, dict[str, str]] = {}
    for name in given.store:
        with tempfile.TemporaryDirectory() as folder:
            target = Embedded(Path(folder)) if name == "sqlite" else Cluster(given.hosts)
            try:
                columns[name] = dict(written(target, given.events, BATCH[name]))
                columns[name] |= dict(asked(target.store, given.events))
            finally:
                target.close()
    print(f"{circumstances()}; {given.events:,} events")
    print(f"{'':50}" + "".join(f"{name:>24}" for name in columns))
    for label in next(iter(columns.values())):
        print(f"{label:50}" + "".join(f"{column[label]:>24}" for column in columns.values()))


if __name__ == "__main__":
    main()
