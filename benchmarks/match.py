"""Figures of the matcher: `python -m benchmarks.match [--rules DIR] [--data DIR] [--repeat N]`.

All of SigmaHQ, routed, on real Windows recordings (mixed log sources), on process starts with many matches, and on the
same with every command line unique. Per lane the first pass in the process (memos empty) and the best of the later
ones; then single events, loading and memory. Parsing and normalising are not counted.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.circumstances import circumstances
from soc.collect.open import read_path
from soc.detect import RuleSet, load_rules
from soc.event import Event, RawRecord, RecordError
from soc.normalize import Sources, load_sources

ROOT = Path(__file__).resolve().parent.parent
PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")
BATCH = 1_000


def recorded(paths: Sequence[Path], sources: Sources) -> list[Event]:
    """All events of Windows recordings."""
    out: list[Event] = []
    for path in paths:
        for record in read_path(path):
            if isinstance(record, RawRecord):
                try:
                    out += sources.get("windows").events(record)
                except RecordError:
                    continue  # damaged on purpose
    return out


def unique(events: Sequence[Event], times: int) -> list[Event]:
    """The events that many times over, no command line twice."""
    out = []
    for i in range(times):
        for n, event in enumerate(events):
            fields = dict(event.fields)
            for name in ("process.command_line", "winlog.event_data.CommandLine"):
                if name in fields:
                    fields[name] = f"{fields[name]} {i * len(events) + n:x}"
            out.append(Event(event.id, event.record_id, event.timestamp, event.received, "", event.logsources, fields))
    return out


def one_pass(rules: RuleSet, events: Sequence[Event]) -> tuple[float, int]:
    """CPU seconds and detections of one pass in batches."""
    begin, found = time.process_time(), 0
    for start in range(0, len(events), BATCH):
        batch = events[start : start + BATCH]
        matched = rules.match([event.fields for event in batch], [event.logsources for event in batch])
        found += sum(map(len, matched))
    return time.process_time() - begin, found


def lane(name: str, rules: RuleSet, events: Sequence[Event], repeat: int) -> None:
    cold, found = one_pass(rules, events)
    warm = min(one_pass(rules, events)[0] for _ in range(repeat))
    per = 1e6 / len(events)
    print(
        f"{name:44} {len(events):7,} events  {found / len(events):5.2f} detections/event  "
        f"first pass {cold * per:6.1f} µs  later {warm * per:6.1f} µs  {len(events) / warm:9,.0f} events/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = ROOT.parent / "shared" / "data"
    parser.add_argument("--rules", type=Path, default=shared / "sigmahq")
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    print(circumstances())
    begin = time.process_time()
    rules = load_rules([given.rules / pack for pack in PACKS], [ROOT / "pipelines" / "sigma"])
    print(f"load: {len(rules.rules):,} rules, {len(rules.refused)} refused, {time.process_time() - begin:.2f} s CPU")
    sources = load_sources([ROOT / "pipelines" / "sources" / "windows"])
    otrf = sorted((given.data / "otrf").glob("*.zip"))
    mixed = recorded([p for p in otrf if not p.name.startswith("sh_")] + [given.data / "evtx_cc0"], sources)
    regression = recorded(sorted((given.data / "sigma_regression").glob("*.evtx")), sources)
    starts = [e for e in regression if any(source.category == "process_creation" for source in e.logsources)]
    gc.collect()
    gc.freeze()  # as the workers do: rules live as long as the process
    lane("recordings, mixed log sources", rules, mixed, given.repeat)
    lane("process starts of the rules' own tests", rules, starts * 40, given.repeat)
    lane("the same, every command line unique", rules, unique(starts, 40), given.repeat)
    begin, few = time.process_time(), mixed[::50]
    for event in few:
        rules.match([event.fields], [event.logsources])
    print(f"single events: {(time.process_time() - begin) / len(few) * 1e6:.0f} µs each")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most, events included")


if __name__ == "__main__":
    main()
