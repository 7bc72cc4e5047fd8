"""Figures of the buses: `python -m benchmarks.bus [--bus sqlite|kafka] … [--bootstrap HOST:PORT] [--records N]`.

Publishes N records of 500 bytes with the headers that collectors write, flushed every 1, 100 and 1,000 records, and
reads them back in polls of 1,000 with a commit each. Then the time from a flush to the waiting reader, and what a
waiting reader costs. Named twice, both buses stand side by side; Kafka needs `deploy/services start kafka`. CPU is
that of this process: of a server there is more.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from soc.bus.base import RAW, REJECTED, Bus, Message
from soc.bus.kafka import KafkaBus
from soc.bus.kafka.access import Cluster
from soc.bus.kafka.administration import admin_of
from soc.bus.sqlite import SqliteBus

HEADERS = {
    "id": b"20261124-0123456789abcdef01234567",
    "received": b"2026-11-24T01:02:03.000000Z",
    "source": b"auto",
    "unit": b"vn:xa:00001",
    "sender": b"192.0.2.1",
    "stream": b"tcp",
}
PARTITIONS = 4
Row = tuple[str, str]


@contextmanager
def embedded(_: str) -> Iterator[Bus]:
    with tempfile.TemporaryDirectory() as folder:
        bus = SqliteBus(Path(folder), PARTITIONS)
        yield bus
        bus.close()


@contextmanager
def kafka(bootstrap: str) -> Iterator[Bus]:
    """On topics of its own, which are deleted afterwards."""
    prefix = f"benchmark-{secrets.token_hex(6)}."
    config = {"message.timestamp.type": "LogAppendTime", "compression.type": "zstd"}
    topic = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": config}
    names = [f"{prefix}{name}" for name in (RAW, REJECTED)]
    with admin_of(Cluster([bootstrap])) as admin:
        admin.create_topics(dict.fromkeys(names, topic), wait_for_metadata=True)
        bus = KafkaBus([bootstrap], prefix=prefix)
        yield bus
        bus.close()
        admin.delete_topics(names)


BUSES: dict[str, Callable[[str], Iterator[Bus]]] = {"sqlite": embedded, "kafka": kafka}  # type: ignore[dict-item]


def measured(count: int, work: Callable[[], None]) -> str:
    begin, used = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - used
    return f"{count / seconds:,.0f} records/s, {cpu / count * 1e6:.1f} µs CPU each"


def publishing(bus: Bus, count: int, batch: int) -> str:
    messages = [Message(b"sender-%d" % (i % 50), b"x" * 500, HEADERS) for i in range(count)]
    bus.publish(RAW, messages[:1])  # what the first one opens is not measured
    bus.flush()

    def work() -> None:
        for start in range(0, count, batch):
            bus.publish(RAW, messages[start : start + batch])
            bus.flush()

    return measured(count, work)


def reading(bus: Bus) -> str:
    subscription, count = bus.subscribe(RAW, "benchmark"), sum(bus.end_offsets(RAW).values())
    while not (records := subscription.poll(1_000, 1.0)):
        pass  # joining the group is not measured
    left = count - len(records)

    def work() -> None:
        nonlocal left
        while left > 0:
            left -= len(subscription.poll(1_000, 1.0))
            subscription.commit()

    told = measured(left, work)
    subscription.close()
    return told


def wake_up(bus: Bus, times: int) -> str:
    """From the start of a publish in another thread to its record in a waiting poll."""
    subscription, seconds = bus.subscribe(RAW, "waiting"), []
    while subscription.poll(10_000, 0.5) or not subscription.assigned():
        pass

    def send() -> None:
        bus.publish(RAW, [Message(b"k", repr(time.perf_counter()).encode())])
        bus.flush()

    for i in range(times):
        timer = threading.Timer(0.03 + i % 7 / 300, send)
        timer.start()
        (delivery,) = subscription.poll(1, 10)
        seconds.append(time.perf_counter() - float(delivery.value))
        timer.join()
    subscription.close()
    return f"median {statistics.median(seconds) * 1e3:.1f} ms, worst {max(seconds) * 1e3:.1f} ms"


def waiting(bus: Bus, seconds: float) -> str:
    """Share of one core that a poll takes while nothing comes."""
    subscription = bus.subscribe(RAW, "idle")
    while subscription.poll(10_000, 0.5) or not subscription.assigned():
        pass
    used = time.process_time()
    subscription.poll(1, seconds)
    share = (time.process_time() - used) / seconds
    subscription.close()
    return f"{share:.2%} of a core"


def rows(name: str, bootstrap: str, count: int) -> Iterator[Row]:
    for batch, some in ((1, count // 100), (100, count // 4), (1_000, count)):
        with BUSES[name](bootstrap) as bus:  # type: ignore[attr-defined]
            yield f"publish, flushed every {batch:>5,}", publishing(bus, some, batch)
            if batch == 1_000:
                yield "read and commit, by 1,000", reading(bus)
                yield "from publish to a waiting poll", wake_up(bus, 20)
                yield "a waiting poll", waiting(bus, 2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", action="append", choices=sorted(BUSES), help="may be named twice (default: sqlite)")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--records", type=int, default=100_000)
    given = parser.parse_args()
    names = given.bus or ["sqlite"]
    print(f"{'':32}" + "".join(f"{name:44}" for name in names))
    for cells in zip(*(rows(name, given.bootstrap, given.records) for name in names), strict=True):
        print(f"{cells[0][0]:32}" + "".join(f"{text:44}" for _, text in cells), flush=True)


if __name__ == "__main__":
    main()
