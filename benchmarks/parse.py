"""Parse + normalize: µs per event of every line source, and of its two steps (decode, map).

    python -m benchmarks.parse [SOURCE...]

The records are the source's own samples, repeated; time is this process's CPU time, best of several runs, so that
neighbours on the machine disturb little. One core. Goal: 15 µs for JSON and key=value, 20 µs for patterns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from soc.event import RawRecord, RecordError
from soc.normalize import Source, load_sources
from soc.normalize.compile import decoding
from soc.normalize.golden import sample_records

SOURCES = Path(__file__).resolve().parents[1] / "pipelines" / "sources"
RECORDS = 500
RUNS = 15


def best_us(run: Callable[[], None], count: int) -> float:
    """µs of CPU per item: the quickest of RUNS runs."""
    quickest = float("inf")
    for _ in range(RUNS):
        start = time.process_time()
        run()
        quickest = min(quickest, time.process_time() - start)
    return quickest / count * 1e6


def good_records(source: Source) -> list[RawRecord]:
    """About RECORDS records of the samples that make an event each."""
    good: list[RawRecord] = []
    for sample in source.samples:
        for record in sample_records(sample, source.name):
            try:
                made = source.events(record)
            except RecordError:
                continue
            if len(made) == 1:
                good.append(record)
    return good * (RECORDS // len(good) + 1)


def measure(source: Source) -> tuple[str, int, float, float]:
    """(name, bytes per record, µs to decode, µs for all)"""
    records = good_records(source)
    decode = decoding(source.definition)

    def decode_all() -> None:
        for record in records:
            decode(record)

    def all_of_it() -> None:
        for record in records:
            source.events(record)

    size = sum(len(r.data) for r in records) // len(records)
    return source.name, size, best_us(decode_all, len(records)), best_us(all_of_it, len(records))


def main(names: Sequence[str] = ()) -> None:
    print(f"{'source':16} {'bytes':>6} {'decode µs':>10} {'map µs':>8} {'total µs':>9}")
    for source in load_sources([SOURCES]):
        lines = any(s.suffix == ".log" for s in source.samples) and source.definition.steps[-1].decoder != "w3c"
        if (names and source.name not in names) or not lines or source.name.startswith("windows"):
            continue
        name, size, decode, total = measure(source)
        print(f"{name:16} {size:6} {decode:10.1f} {total - decode:8.1f} {total:9.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
