"""Sigma engines side by side: `python -m benchmarks.sigma [--lanes NAME …] [--events N] [--peer rsigma]`.

Each engine runs in a process of its own on one core, over the same JSON lines with the same routes (given to all, see
`benchmarks.sigma_lanes`); a pass parses every line and evaluates it against all rules. Matches are compared by rule
before any speed is printed. The peer is RSigma's published library 0.23 (benchmarks/peers/rsigma, needs cargo).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.circumstances import circumstances
from benchmarks.sigma_lanes import ROOT, Lane, lanes
from soc.detect import load_rules
from soc.event import LogSource

PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")
BATCH = 1_000
PEER = Path(__file__).resolve().parent / "peers" / "rsigma"


@dataclass(frozen=True)
class Figures:
    """What one engine made of one lane."""

    rules: int
    refused: int
    load_s: float
    passes_s: list[float]
    events: int
    matches: dict[str, int]
    rss_mb: int
    parse_s: float = 0.0

    @property
    def first(self) -> float:
        """Events per second of the first pass in the process."""
        return self.events / self.passes_s[0]

    @property
    def later(self) -> float:
        """Events per second of the best later pass."""
        return self.events / min(self.passes_s[1:] or self.passes_s)


def ours(lane: list[str], passes: int, rules: list[str]) -> dict[str, Any]:
    """In the process of our engine: the figures of one lane, as the peer prints them."""
    lines = Path(lane[0]).read_bytes().splitlines()
    table = [frozenset([LogSource(**one)]) for one in json.loads(Path(lane[2]).read_text())]
    routes = [table[int(number)] for number in Path(lane[1]).read_text().split()]
    begin = time.perf_counter()
    loaded = load_rules(rules)
    load_s = time.perf_counter() - begin
    gc.collect()
    gc.freeze()  # as the workers do: rules live as long as the process
    seconds, matches = [], dict[str, int]()
    for number in range(passes):
        begin = time.perf_counter()
        found = []
        for start in range(0, len(lines), BATCH):
            events = [orjson.loads(line) for line in lines[start : start + BATCH]]
            found += loaded.match(events, routes[start : start + BATCH])
        seconds.append(time.perf_counter() - begin)
        if number == 0:
            for detections in found:
                for one in detections:
                    matches[one.rule_id] = matches.get(one.rule_id, 0) + 1
    begin = time.perf_counter()
    for line in lines:
        orjson.loads(line)
    return {
        "rules": len(loaded.rules),
        "refused": len(loaded.refused),
        "load_s": load_s,
        "passes_s": seconds,
        "events": len(lines),
        "matches": matches,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "parse_s": time.perf_counter() - begin,
    }


def built() -> Path:
    """The peer's program, built if it is not there."""
    target = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "soc-bench" / "rsigma"
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet"],
        cwd=PEER,
        env=os.environ | {"CARGO_TARGET_DIR": str(target)},
        check=True,
    )
    return target / "release" / "rsigma-peer"


def alone(command: list[str]) -> Figures:
    """Run on one core; the figures that it prints."""
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # one thread here
    )
    return Figures(**json.loads(done.stdout))


def differences(mine: Figures, theirs: Figures) -> list[str]:
    """Rules that do not match as often."""
    both = sorted(mine.matches.keys() | theirs.matches.keys())
    return [
        f"{rule}: ours {mine.matches.get(rule, 0)}, rsigma {theirs.matches.get(rule, 0)}"
        for rule in both
        if mine.matches.get(rule, 0) != theirs.matches.get(rule, 0)
    ]


def row(lane: Lane, mine: Figures, theirs: Figures | None) -> str:
    per = 1e6 / mine.events
    cells = [
        lane.name,
        f"{mine.events:,}",
        f"{sum(mine.matches.values()):,}",
        f"{mine.first:,.0f} / {mine.later:,.0f}",
        f"{mine.parse_s * per:.1f}",
        f"{mine.load_s:.1f}",
        f"{mine.rss_mb}",
    ]
    if theirs:
        ratio = mine.later / theirs.later
        cells += [
            f"{theirs.first:,.0f} / {theirs.later:,.0f}",
            f"{theirs.load_s:.1f}",
            f"{theirs.rss_mb}",
            f"{ratio:.2f} ({'meets' if ratio >= lane.bar else 'below'} {lane.bar})",
        ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    shared = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--rules", type=Path, default=shared / "sigmahq")
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--lanes", nargs="*", default=[])
    parser.add_argument("--events", type=int, default=20_000, help="of a lane")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--peer", choices=["rsigma"])
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    rules = [str(given.rules / pack) for pack in PACKS]
    if given.worker:
        print(json.dumps(ours(given.worker, given.passes, rules)))
        return
    print(circumstances())
    peer = built() if given.peer else None
    rows = []
    with tempfile.TemporaryDirectory(prefix="soc-sigma-") as folder:
        for lane in lanes(given.data, Path(folder), given.events, given.lanes):
            files = [str(lane.events), str(lane.routes), str(lane.sources)]
            options = ["--passes", str(given.passes), "--rules", str(given.rules)]
            mine = alone([sys.executable, "-m", "benchmarks.sigma", "--worker", *files, *options])
            theirs = alone([str(peer), *files, str(given.passes), *rules]) if peer else None
            print(f"{lane.name}: {mine.rules:,} rules", file=sys.stderr, flush=True)
            if theirs:
                differing = differences(mine, theirs)
                print(f"{lane.name}: {len(differing)} rules differ", *differing, sep="\n  ", flush=True)
            rows.append(row(lane, mine, theirs))
            print(rows[-1], file=sys.stderr, flush=True)
    head = ["lane", "events", "matches", "ours first / later, events/s", "parse µs", "load s", "MB"]
    if peer:
        head += ["rsigma first / later", "load s", "MB", "ratio (bar)"]
    print("", f"| {' | '.join(head)} |", "|---" * len(head) + "|", *rows, sep="\n")


if __name__ == "__main__":
    main()
