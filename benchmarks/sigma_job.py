"""One engine over one lane: the job that every engine is given, and the figures that each gives back.

A job is JSON: files and settings as in `job_of`. Every engine is a program that takes it as its only argument and
prints its figures as the last line; with `wait` it says "ready" once it has loaded and begins when it reads a line.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.sigma_lanes import Lane

Job = dict[str, Any]


@dataclass
class Figures:
    """What one engine made of one lane.

    `matches`: rule → numbers of the lines that it matches, in order. `stages_s`: seconds of a pass by stage. `told`:
    what correlation told in all. `options`: how the engine was set. `earlier`: read from an earlier run.
    """

    rules: int
    refused: int
    load_s: float
    passes_s: list[float]
    events: int
    matches: dict[str, list[int]]
    rss_mb: int
    stages_s: dict[str, float] = field(default_factory=dict)
    told: int = 0
    unable: dict[str, str] = field(default_factory=dict)
    earlier: bool = False

    @property
    def first(self) -> float:
        """Events per second of the first pass in the process."""
        return self.events / self.passes_s[0]

    @property
    def later(self) -> float:
        """Events per second of the best later pass."""
        return self.events / min(self.passes_s[1:] or self.passes_s)

    @property
    def count(self) -> int:
        return sum(map(len, self.matches.values()))


def job_of(lane: Lane, rules: list[str], passes: int, options: dict[str, Any] | None = None) -> Job:
    """The job of a lane for one process; `share` (i, n) takes every n-th line from the i-th."""
    return {
        "events": str(lane.events),
        "routes": str(lane.routes),
        "sources": str(lane.sources),
        "rules": list(lane.rules) or rules,
        "correlate": lane.correlate,
        "passes": passes,
        "share": [0, 1],
        "wait": False,
        "options": options or {},
    }


def lines_of(job: Job) -> tuple[list[int], list[bytes]]:
    """Numbers and lines of the job's share."""
    first, step = job["share"]
    lines = Path(job["events"]).read_bytes().splitlines()
    return list(range(first, len(lines), step)), lines[first::step]


def ready(job: Job) -> None:
    if job["wait"]:
        print("ready", flush=True)
        sys.stdin.readline()


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
