"""Figures of the embedded bus: `python -m benchmarks.bus [--records N]`.

Publishes N records of 500 bytes with the headers that collectors write, flushed every 1, 100 and 1,000 records, and
reads them back in polls of 1,000 with a commit each. Then the time from a flush to the waiting reader, and what a
waiting reader costs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from soc.bus.base import RAW, Message
from soc.bus.sqlite import SqliteBus

HEADERS = {
    "id": b"20261124-0123456789abcdef01234567",
    "received": b"2026-11-24T01:02:03.000000Z",
    "source": b"auto",
    "unit": b"vn:xa:00001",
    "sender": b"192.0.2.1",
    "stream": b"tcp",
}


def rate_of_publishing(bus: SqliteBus, count: int, batch: int) -> float:
    messages = [Message(b"sender-%d" % (i % 50), b"x" * 500, HEADERS) for i in range(count)]
    begin = time.perf_counter()
    for start in range(0, count, batch):
        bus.publish(RAW, messages[start : start + batch])
        bus.flush()
    return count / (time.perf_counter() - begin)


def rate_of_reading(bus: SqliteBus) -> float:
    subscription, count = bus.subscribe(RAW, "benchmark"), 0
    begin = time.perf_counter()
    while records := subscription.poll(1_000, 0.05):
        count += len(records)
        subscription.commit()
        end = time.perf_counter()
    subscription.close()
    return count / (end - begin)


def wake_up(bus: SqliteBus, times: int) -> list[float]:
    """Seconds from the start of a publish in another thread to its record in a waiting poll."""
    subscription, out = bus.subscribe(RAW, "waiting"), []
    while subscription.poll(10_000, 0.05):
        pass

    def send() -> None:
        bus.publish(RAW, [Message(b"k", repr(time.perf_counter()).encode())])
        bus.flush()

    for i in range(times):
        timer = threading.Timer(0.03 + i % 7 / 300, send)
        timer.start()
        (delivery,) = subscription.poll(1, 10)
        out.append(time.perf_counter() - float(delivery.value))
        timer.join()
    subscription.close()
    return out


def cost_of_waiting(bus: SqliteBus, seconds: float) -> float:
    """Share of one core that a poll takes while nothing comes."""
    subscription = bus.subscribe(RAW, "idle")
    while subscription.poll(10_000, 0.05):
        pass
    used = time.process_time()
    subscription.poll(1, seconds)
    return (time.process_time() - used) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    count = parser.parse_args().records
    for batch, some in ((1, count // 100), (100, count // 4), (1_000, count)):
        with tempfile.TemporaryDirectory() as folder:
            bus = SqliteBus(Path(folder))
            print(f"publish, flushed every {batch:>5,}: {rate_of_publishing(bus, some, batch):9,.0f} records/s")
            if batch == 1_000:
                print(f"read and commit, by 1,000:   {rate_of_reading(bus):9,.0f} records/s")
                waits = wake_up(bus, 20)
                middle, worst = statistics.median(waits) * 1e3, max(waits) * 1e3
                print(f"from publish to a waiting poll: median {middle:.1f} ms, worst {worst:.1f} ms")
                print(f"a waiting poll: {cost_of_waiting(bus, 2.0):.2%} of a core")
            bus.close()


if __name__ == "__main__":
    main()
