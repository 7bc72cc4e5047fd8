"""Sigma engines side by side: `python -m benchmarks.sigma [--peer rsigma] [--peer sqlite] [--lanes NAME …]`.

Each engine runs in a process of its own on one core (`--cores all`: one process for each), over the same JSON lines
with the same routes: which log source a line is, is worked out once and given to all of them (`sigma_events`). A pass
parses every line and evaluates it against all rules that apply. Which lines every rule matches is compared before any
speed is printed, and differences are told with their reason.

    --peer rsigma         RSigma's published library 0.23, an engine for each log source (needs cargo)
    --peer rsigma-single  the same library, one engine that is told the log source of each event
    --peer rsigma-tuned   as the first, with mimalloc and sonic-rs in place of its own allocator and JSON parser
    --peer sqlite         pySigma's SQLite backend over a table of the events, the method of offline hunters
    --peer sqlite-indexed the same with an index on the log source, which they mostly lack
    --peer-cached         peers' figures of an earlier run over the same bytes where there are any, marked as such
    --rounds 3            engines in turn, the best passes of each: for a machine with other work
    --rule-counts 100,1000,3754,10000    the cost of an event against the number of rules, on the lanes given
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import sigma_correlation, sigma_lanes, sigma_peers, sigma_report
from benchmarks.circumstances import circumstances
from benchmarks.sigma_differences import differences, explained
from benchmarks.sigma_events import ROOT
from benchmarks.sigma_job import Figures, job_of
from benchmarks.sigma_lanes import Lane
from benchmarks.sigma_peers import Engine
from benchmarks.sigma_report import Result
from benchmarks.sigma_rules import of_size

PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")
LANES = (*sigma_lanes.RECIPES, *sigma_correlation.STREAMS)


class Runner:
    """Engines over lanes; says on stdout how they differ, on stderr how far it is."""

    def __init__(self, given: argparse.Namespace, peers: Sequence[Engine]) -> None:
        self.given = given
        self.ours = sigma_peers.ours()
        self.peers = peers
        available = sorted(os.sched_getaffinity(0))
        self.cores = available if given.cores == "all" else available[-1:]
        self.unexplained = 0

    def result(self, lane: Lane, rules: list[str]) -> Result:
        mine: list[Figures] = []
        theirs: dict[str, list[Figures]] = {}
        for _ in range(self.given.rounds):
            mine.append(self.ours.run(job_of(lane, rules, self.given.passes), self.cores))
            for peer in self.peers:
                if lane.correlate and peer.name.startswith("sqlite"):
                    continue
                job = sigma_peers.peer_job(peer.name, lane, rules, self.given.passes)
                cores = self.cores[:1] if peer.name.startswith("sqlite") else self.cores
                theirs.setdefault(peer.name, []).append(peer.figures(lane, job, cores, self.given.peer_cached))
        result = Result(
            lane, sigma_peers.best(mine), {name: sigma_peers.best(figures) for name, figures in theirs.items()}
        )
        result.differing = {name: self._differing(name, result, rules) for name in result.theirs}
        print(f"{lane.name}: {sigma_report.speeds(result.mine, len(self.cores))} events/s", file=sys.stderr, flush=True)
        return result

    def _differing(self, name: str, result: Result, rules: list[str]) -> list[Any]:
        lane, theirs = result.lane, result.theirs[name]
        limit = theirs.events if name.startswith("sqlite") else None
        found = explained(name, differences(result.mine, theirs, limit), lane.events, list(lane.rules) or rules)
        self.unexplained += sum(not one.why for one in found)
        print(
            f"{lane.name}: {result.mine.rules:,} rules, {name} {theirs.rules:,} (refused {theirs.refused}, "
            f"unable {len(theirs.unable)}); {len(found)} rules match differently",
            *found,
            sep="\n  ",
            flush=True,
        )
        return found


def all_lanes(given: argparse.Namespace, folder: Path) -> Iterator[Lane]:
    wanted = given.lanes or LANES
    counts = [n for n in wanted if n in sigma_correlation.STREAMS and given.cores == "1"]  # shares would cut windows
    return chain(
        sigma_lanes.lanes(given.data, folder, given.events, [n for n in wanted if n in sigma_lanes.RECIPES]),
        sigma_correlation.lanes(folder, given.detections, counts),
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog=f"lanes: {', '.join(LANES)}; all if none is named"
    )
    shared = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--rules", type=Path, default=shared / "sigmahq", help="SigmaHQ's folder")
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--lanes", nargs="*", default=[], choices=LANES, metavar="NAME")
    parser.add_argument("--events", type=_positive, default=20_000, help="of a lane")
    parser.add_argument("--detections", type=_positive, default=100_000, help="of a correlation lane")
    parser.add_argument("--passes", type=_positive, default=3)
    parser.add_argument("--rounds", type=_positive, default=1)
    parser.add_argument("--rule-counts", type=_counts, default=[], metavar="N,N,…")
    parser.add_argument("--peer", action="append", choices=sigma_peers.PEERS, default=[])
    parser.add_argument("--peer-cached", action="store_true")
    parser.add_argument("--cores", choices=["1", "all"], default="1")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for folder in (given.data, *(given.rules / pack for pack in PACKS)):
        if not folder.is_dir():
            parser.error(f"there is no folder {folder}: say where recordings and rules are (--data, --rules)")
    if any(name.startswith("rsigma") for name in given.peer) and not shutil.which("cargo"):
        parser.error("RSigma is built by cargo, which is not there: install Rust 1.95")
    return given


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return number


def _counts(text: str) -> list[int]:
    return [_positive(number) for number in text.split(",")]


def written(path: Path, results: Sequence[tuple[int, Result]]) -> None:
    """All figures as JSON, matches as counts."""

    def plain(figures: Figures) -> dict[str, Any]:
        matches = {rule: len(lines) for rule, lines in figures.matches.items()}
        return vars(figures) | {"matches": matches, "first": figures.first, "later": figures.later}

    lanes = [
        {
            "lane": one.lane.name,
            "rule_count": count,
            "ours": plain(one.mine),
            "peers": {name: plain(figures) for name, figures in one.theirs.items()},
            "differences": {name: list(map(vars, found)) for name, found in one.differing.items()},
        }
        for count, one in results
    ]
    path.write_text(json.dumps({"circumstances": circumstances(), "lanes": lanes}, indent=1))


def main() -> None:
    given = arguments()
    print(circumstances(), flush=True)
    peers = [sigma_peers.peer(name) for name in given.peer]
    runner = Runner(given, peers)
    names = [peer.name for peer in peers]
    all_rules = [str(given.rules / pack) for pack in PACKS]
    results: list[tuple[int, Result]] = []
    with tempfile.TemporaryDirectory(prefix="soc-sigma-") as made:
        folder = Path(made)
        sizes = [(size, of_size(size, all_rules, folder / f"rules-{size}")) for size in given.rule_counts]
        for lane in all_lanes(given, folder):
            for size, rules in sizes or [(0, all_rules)]:
                results.append((size, runner.result(lane, rules)))
    cores = len(runner.cores)
    print(
        f"\nevents/s per core, {cores} {'cores' if cores > 1 else 'core'}, parsing included; all engines are given the"
    )
    print("same log source for each line, so that none of them routes by itself\n")
    print(*(f"{name}: {sigma_peers.PEERS[name]}" for name in names), sep="\n", end="\n\n")
    if given.rule_counts:
        print(sigma_report.by_count(results, names, cores))
    else:
        print(sigma_report.side_by_side([one for _, one in results], names, cores), end="\n\n")
        print(sigma_report.stages([one for _, one in results], names))
    if given.json:
        written(given.json, results)
    if runner.unexplained:
        raise SystemExit(f"\n{runner.unexplained} differences are not explained")


if __name__ == "__main__":
    main()
