"""Engines as processes: a job in, figures out, pinned to one core or spread over all; other engines built and kept.

The peers are RSigma's published library (benchmarks/peers/rsigma, Rust; "rsigma-single": one engine that is told the
log source; "rsigma-tuned": with another allocator and JSON parser than its own), and pySigma's SQLite backend
(benchmarks/peers/sqlite.py; "sqlite-indexed": with an index on the log source).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.sigma_events import ROOT
from benchmarks.sigma_job import Figures, Job, job_of
from benchmarks.sigma_lanes import Lane

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "soc-bench"
_CRATE: Final = ROOT / "benchmarks" / "peers" / "rsigma"
#: Name → what it is, for people.
PEERS: Final = {
    "rsigma": "RSigma's library 0.23, one engine for each log source, without Bloom filter and cross-rule automaton",
    "rsigma-single": "RSigma's library 0.23, one engine that is told the log source, otherwise the same",
    "rsigma-tuned": "as rsigma, with mimalloc and sonic-rs",
    "sqlite": "pySigma's SQLite backend, one table in memory, each rule's query for its log sources",
    "sqlite-indexed": "the same with an index on the log source",
}
#: RSigma's fastest setting of those its library offers: an engine for each log source, without its Bloom filter (no
#: difference beyond noise) and its automaton across rules (up to half slower).
RSIGMA: Final[dict[str, Any]] = {"routed": True, "bloom_bytes": 0, "automaton": False}
#: Of a lane at most, for pySigma's queries, which read a row once for each rule.
SQLITE_LINES: Final = 20_000


class Engine:
    """A program that takes a job. `name` as in the tables."""

    def __init__(self, name: str, command: Sequence[str], identity: bytes = b"") -> None:
        self.name = name
        self.command = list(command)
        self._identity = identity

    def run(self, job: Job, cores: Sequence[int]) -> Figures:
        """The job, shared out over one process for each core, all of which begin at once when all are ready."""
        started = []
        for i, core in enumerate(cores):
            given = job | {"share": [i, len(cores)], "wait": True}
            started.append(
                subprocess.Popen(
                    [*self.command, json.dumps(given)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    preexec_fn=lambda core=core: os.sched_setaffinity(0, {core}),  # type: ignore[misc]  # one thread here
                )
            )
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"{self.name} did not get ready: {json.dumps(job)}")
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate()[0] for process in started]
        if any(process.returncode for process in started):
            raise SystemExit(f"{self.name} failed: {json.dumps(job)}")
        return together([Figures(**json.loads(output.splitlines()[-1])) for output in outputs])

    def kept(self, lane: Lane, job: Job, cores: Sequence[int]) -> Path:
        """Where figures of this very lane, rules, program and setting are kept."""
        asked = {key: value for key, value in job.items() if key not in ("events", "routes", "sources", "rules")}
        parts = [lane.digest().encode(), _rules_digest(job["rules"]), self._identity, json.dumps(asked).encode()]
        name = hashlib.blake2b(b"\0".join([*parts, str(len(cores)).encode()]), digest_size=16).hexdigest()
        return CACHE / "figures" / f"{self.name}-{lane.name}-{name}.json"

    def figures(self, lane: Lane, job: Job, cores: Sequence[int], earlier: bool) -> Figures:
        """Figures of a run; with `earlier`, of an earlier one if there was one."""
        path = self.kept(lane, job, cores)
        if earlier and path.exists():
            return replace(Figures(**json.loads(path.read_bytes())), earlier=True)
        figures = self.run(job, cores)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(vars(figures)))
        return figures


def together(shares: Sequence[Figures]) -> Figures:
    """Figures of processes that worked side by side: the slowest one's time, everybody's memory."""
    matches: dict[str, list[int]] = {}
    for share in shares:
        for rule, lines in share.matches.items():
            matches[rule] = sorted(matches.get(rule, []) + lines)
    return replace(
        shares[0],
        load_s=max(share.load_s for share in shares),
        passes_s=[max(passes) for passes in zip(*(share.passes_s for share in shares), strict=True)],
        events=sum(share.events for share in shares),
        matches=matches,
        rss_mb=sum(share.rss_mb for share in shares),
        stages_s={name: sum(share.stages_s[name] for share in shares) for name in shares[0].stages_s},
        told=sum(share.told for share in shares),
    )


def best(rounds: Sequence[Figures]) -> Figures:
    """Of several runs the best first pass and the best later one."""
    passes = [min(run.passes_s[0] for run in rounds), *(time for run in rounds for time in run.passes_s[1:])]
    return replace(rounds[-1], passes_s=passes, load_s=min(run.load_s for run in rounds))


def ours() -> Engine:
    return Engine("ours", [sys.executable, "-m", "benchmarks.sigma_engine"])


def peer(name: str) -> Engine:
    """The peer, built if its program is not there or older than its source."""
    if name.startswith("sqlite"):
        source = (ROOT / "benchmarks" / "peers" / "sqlite.py").read_bytes()
        return Engine(name, [sys.executable, "-m", "benchmarks.peers.sqlite"], source)
    features = ["--features", "tuned"] if name == "rsigma-tuned" else []
    target = CACHE / (name if features else "rsigma")
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "--quiet", "-j1", *features],
        cwd=_CRATE,
        env=os.environ | {"CARGO_TARGET_DIR": str(target)},
        check=True,
    )
    program = target / "release" / "rsigma-peer"
    return Engine(name, [str(program)], program.read_bytes())


def peer_job(name: str, lane: Lane, rules: list[str], passes: int) -> Job:
    """The lane's job as that peer does it best."""
    if name.startswith("sqlite"):
        settings = {"lines": SQLITE_LINES, "cache": str(CACHE / "queries"), "index": name == "sqlite-indexed"}
        return job_of(lane, rules, 1, settings)
    return job_of(lane, rules, passes, RSIGMA | {"routed": name != "rsigma-single"})


def _rules_digest(folders: Sequence[str]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.yml")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.digest()
