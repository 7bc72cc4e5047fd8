"""Our engine over one lane: `python -m benchmarks.sigma_engine JOB` prints its figures (`benchmarks.sigma_job`)."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks.sigma_correlation import correlating
from benchmarks.sigma_job import Figures, Job, lines_of, peak_mb, ready
from soc.detect import RuleSet, load_rules, match, ruleset
from soc.event import LogSource

BATCH: Final = 1_000
#: Stage → where the engine does it; timed in a pass of its own.
STAGES: Final[dict[str, tuple[Any, str]]] = {"fill": (match.Program, "_filled"), "detail": (ruleset, "details")}


def matching(job: Job) -> Figures:
    """Our rules over the lane's events: a pass parses and matches every line, in batches."""
    numbers, lines = lines_of(job)
    table = [frozenset([LogSource(**one)]) for one in json.loads(Path(job["sources"]).read_text())]
    given = [table[int(number)] for number in Path(job["routes"]).read_text().split()]
    routes = [given[number] for number in numbers]
    begin = time.perf_counter()
    rules = load_rules(job["rules"])
    load_s = time.perf_counter() - begin
    gc.collect()
    gc.freeze()  # as the workers do: rules live as long as the process
    ready(job)
    seconds, matches = [], dict[str, list[int]]()
    for number in range(job["passes"]):
        seconds.append(_pass(rules, lines, routes, numbers, matches if number == 0 else None))
    rss_mb = peak_mb()
    return Figures(
        rules=len(rules.rules),
        refused=len(rules.refused),
        load_s=load_s,
        passes_s=seconds,
        events=len(lines),
        matches=matches,
        rss_mb=rss_mb,
        stages_s=_stages(rules, lines, routes, numbers),
    )


def _pass(
    rules: RuleSet,
    lines: list[bytes],
    routes: list[frozenset[LogSource]],
    numbers: list[int],
    matches: dict[str, list[int]] | None,
) -> float:
    """Seconds of one pass; the clock stands still while matches are written down."""
    spent = 0.0
    for start in range(0, len(lines), BATCH):
        begin = time.perf_counter()
        events = [orjson.loads(line) for line in lines[start : start + BATCH]]
        found = rules.match(events, routes[start : start + BATCH])
        spent += time.perf_counter() - begin
        if matches is not None:
            for number, detections in zip(numbers[start:], found, strict=False):
                for one in detections:
                    matches.setdefault(one.rule_id, []).append(number)
    return spent


def _stages(
    rules: RuleSet, lines: list[bytes], routes: list[frozenset[LogSource]], numbers: list[int]
) -> dict[str, float]:
    """Seconds of a pass by stage: parse, fill (columns and scans), evaluate (rules), detail (why a rule matched)."""
    begin = time.perf_counter()
    for line in lines:
        orjson.loads(line)
    parse = time.perf_counter() - begin
    with _timed() as spent:
        whole = _pass(rules, lines, routes, numbers, None)
    return {"parse": parse, **spent, "evaluate": whole - parse - sum(spent.values())}


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Meanwhile the functions of STAGES that exist add up their time."""
    spent = {stage: 0.0 for stage, (owner, name) in STAGES.items() if hasattr(owner, name)}
    before = {stage: getattr(*STAGES[stage]) for stage in spent}

    def wrapped(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            made = function(*arguments)
            spent[stage] += time.perf_counter() - begin
            return made

        return timed

    for stage, function in before.items():
        setattr(*STAGES[stage], wrapped(stage, function))
    try:
        yield spent
    finally:
        for stage, function in before.items():
            setattr(*STAGES[stage], function)


def main() -> None:
    job = json.loads(sys.argv[1])
    print(json.dumps(vars(correlating(job) if job["correlate"] else matching(job))))


if __name__ == "__main__":
    main()
