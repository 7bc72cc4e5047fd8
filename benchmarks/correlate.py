"""Correlation: detections per second of one core, by type, number of groups and disorder.

.venv/bin/python -m benchmarks.correlate

Processor time of this process. Detections arrive at the given rate of event time, each up to `disorder` late; batches
of 1,000 with a drain after each; windows of 5 minutes, lateness 5 minutes. `rest` holds what is kept at the end.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from soc.detect.correlate import Correlator
from soc.detect.correlation import Correlation, parse_correlation
from soc.event import Detection

N = 100_000
START = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = {"SourceIp": ("source.ip",), "User": ("user.name",), "Bytes": ("network.bytes",)}


def correlation(kind: str, condition: Any = None, rules: Sequence[str] = ("ra",)) -> Correlation:
    section = {"type": kind, "rules": list(rules), "group-by": ["SourceIp"], "timespan": "5m", "condition": condition}
    return parse_correlation({"title": kind, "id": "c", "correlation": section}, Path("c.yml"), 1, "")


def detections(groups: int, rate: int, disorder_s: float, users: int, seed: int = 1) -> list[Detection]:
    dice = Random(seed)
    made = []
    for i in range(N):
        fields = {
            "source.ip": f"192.0.2.{dice.randrange(groups)}",
            "user.name": f"user{dice.randrange(users)}",
            "network.bytes": dice.randrange(1_000),
            "host.name": "srv-01",
        }
        at = START + timedelta(seconds=i / rate - dice.random() * disorder_s)
        rule = "ra" if dice.random() < 0.99 else "rb"
        made.append(Detection(rule, "", "low", id=f"d{i}", timestamp=at, event_id=f"e{i}", fields=fields))
    return made


def measure(what: str, c: Correlation, batch: list[Detection]) -> None:
    running = Correlator([c], fields=lambda _, name: NAMES.get(name, ()))
    told = 0
    begin = time.process_time()
    for i in range(0, len(batch), 1_000):
        for detection in batch[i : i + 1_000]:
            told += len(running.add(detection))
        told += len(running.drain())
    took = time.process_time() - begin
    begin = time.process_time()
    size = len(running.snapshot())
    wrote = time.process_time() - begin
    print(
        f"{what:52s} {len(batch) / took:9,.0f}/s  told {told:6,}  rest {running.size:7,} entries "
        f"{running.groups:6,} groups  snapshot {size / 1e6:4.1f} MB {wrote:4.2f} s"
    )


def main() -> None:
    count = correlation("event_count", {"gte": 20})
    users = correlation("value_count", {"field": "User", "gte": 50})
    order = correlation("temporal_ordered", rules=("ra", "rb"))
    absent = correlation("temporal", "rb and not ra", ("ra", "rb"))
    percentile = correlation("value_percentile", {"field": "Bytes", "percentile": 95, "gte": 900})
    spread, mixed = detections(10_000, 1_000, 0, 100), detections(10_000, 1_000, 5, 100)
    storm, mixed_storm = detections(1, 50_000, 0, 40), detections(1, 5_000, 1, 40)
    measure("event_count, 10,000 groups", count, spread)
    measure("event_count, 10,000 groups, 5 s of disorder", count, mixed)
    measure("event_count, one group at 50,000/s", count, storm)
    measure("event_count, one group at 5,000/s, 1 s of disorder", count, mixed_storm)
    measure("value_count, 10,000 groups", users, spread)
    measure("value_count, one group, below, 1 s of disorder", users, mixed_storm)
    measure("value_count, one group, above, 1 s of disorder", users, detections(1, 5_000, 1, 1_000))
    measure("temporal_ordered, 10,000 groups", order, spread)
    measure("temporal_ordered, one group, 1 s of disorder", order, mixed_storm)
    measure("value_percentile, 10,000 groups", percentile, mixed)
    measure("rb and not ra, 10,000 groups", absent, mixed)


if __name__ == "__main__":
    main()
