"""Files in, matches out: the engine of `soc hunt`. No bus, no store, no configuration.

Files are dealt to processes whole; within a process, events of all its files are matched in batches.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from soc.alert.policy import rank
from soc.app.reading import records
from soc.collect.unpack import walk
from soc.detect import RuleSet
from soc.detect.correlate import Correlator, correlated
from soc.detect.wire import completed
from soc.event import Detection, Event, RecordError, Rejected, rfc3339
from soc.normalize import Sources

_BATCH: Final = 2000
_LATENESS: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Found:
    """What one process found in its files: lines to print, detections that correlations need, counts."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    feeding: list[Detection] = field(default_factory=list)
    events: int = 0
    rejected: int = 0
    sources: dict[str, str] = field(default_factory=dict)  # file → source found for it
    problems: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        self.lines += other.lines
        self.feeding += other.feeding
        self.events += other.events
        self.rejected += other.rejected
        self.sources |= other.sources
        self.problems += other.problems


@dataclass(frozen=True, slots=True)
class Hunt:
    """What is looked for, and how files are read."""

    rules: RuleSet
    sources: Sources
    source: str = "auto"
    min_level: str = "informational"


def hunt(
    plan: Hunt, paths: Sequence[Path], jobs: int = 1, progress: Callable[[int], None] = lambda n: None
) -> Iterator[Found]:
    """Finds of each share of files, as they are ready; the last one holds what correlations found."""
    files = [Path("-")] if paths == [Path("-")] else walked(paths)
    feeding: list[Detection] = []
    for found in _shares(plan, files, jobs):
        progress(found.events)
        feeding += found.feeding
        yield found
    yield Found(lines=list(_correlated(plan, feeding)))


def walked(paths: Iterable[Path]) -> list[Path]:
    """Every file of the paths, folders walked in the order of names; a folder that cannot be read stands for itself."""
    return [file for path in paths for file in walk(path)]


def _shares(plan: Hunt, files: list[Path], jobs: int) -> Iterator[Found]:
    jobs = max(1, min(jobs, len(files)))
    if jobs == 1:
        yield from _search(plan, files)
        return
    by_size = sorted(files, key=lambda p: p.stat().st_size if p.exists() else 0, reverse=True)
    shares = [by_size[n :: jobs * 4] for n in range(jobs * 4)]
    context = multiprocessing.get_context("fork")  # the children share the loaded rules
    global _plan
    _plan = plan
    with context.Pool(jobs) as pool:
        yield from pool.imap_unordered(_search_share, [share for share in shares if share])


_plan: Hunt | None = None


def _search_share(files: list[Path]) -> Found:
    assert _plan is not None, "set before the pool forks"
    total = Found()
    for found in _search(_plan, files):
        total.add(found)
    return total


def _search(plan: Hunt, files: Sequence[Path]) -> Iterator[Found]:
    """Batches of at most _BATCH events, matched and turned into lines."""
    found = Found()
    batch: list[tuple[Event, Mapping[str, str]]] = []
    received = datetime.now(UTC)
    for item in records(files, plan.sources, plan.source, received):
        if isinstance(item, Rejected):
            found.rejected += 1
            found.problems.append(f"{item.record.facts.get('file', item.record.stream)}: {item.code}: {item.detail}")
            continue
        try:
            events = plan.sources.events(item)
        except RecordError as error:
            found.rejected += 1
            if len(found.problems) < 1000:
                place = f"{item.facts.get('file', '')}:{item.facts.get('record', '')}"
                found.problems.append(f"{place}: {error}")
            continue
        batch += [(event, item.facts) for event in events]
        if len(batch) >= _BATCH:
            _match(plan, batch, found)
            yield found
            found, batch = Found(), []
    _match(plan, batch, found)
    yield found


def _match(plan: Hunt, batch: Sequence[tuple[Event, Mapping[str, str]]], found: Found) -> None:
    found.events += len(batch)
    events = [event for event, _ in batch]
    matches = plan.rules.match([e.fields for e in events], [e.logsources for e in events])
    least = rank(plan.min_level)
    for (event, facts), detections in zip(batch, matches, strict=True):
        found.sources.setdefault(facts.get("file", ""), event.source)
        for detection in detections:
            if plan.rules.feeds.get(detection.rule_id):
                made = completed(detection, event)
                found.feeding.append(replace(made, evidence=(_place(facts),), fields=dict(event.fields)))
            if detection.rule_id not in plan.rules.silent and rank(detection.level) >= least:
                found.lines.append(_line(event, facts, detection))


def _place(facts: Mapping[str, str]) -> str:
    return f"{facts.get('file', '')}:{facts.get('record', '')}"


def _line(event: Event, facts: Mapping[str, str], detection: Detection) -> dict[str, Any]:
    number = facts.get("event_record_id") or event.fields.get("winlog.record_id")
    return {
        "file": facts.get("file", ""),
        "record": int(facts.get("record", 0)),
        "event_record_id": int(number) if number not in (None, "") else None,
        "timestamp": event.fields["@timestamp"],
        "rule": {"id": detection.rule_id, "title": detection.title, "level": detection.level},
        "matched": [
            {"field": m.field, "ecs": m.ecs, "op": m.op, "pattern": m.pattern, "actual": m.actual}
            for m in detection.matched
        ],
        "host": event.fields.get("host.name"),
        "source": event.source,
    }


def _correlated(plan: Hunt, feeding: list[Detection]) -> Iterator[dict[str, Any]]:
    """What correlations found over all files, chains included, one line per episode."""
    rules = plan.rules
    correlator = Correlator(rules.correlations, lateness=_LATENESS, fields=rules.names)
    places = {d.event_id: d.evidence[0] for d in feeding}
    floor = datetime.min.replace(tzinfo=UTC)
    in_order = [replace(d, evidence=()) for d in sorted(feeding, key=lambda d: d.timestamp or floor)]
    least = rank(plan.min_level)
    for d in correlated(correlator, in_order):
        if d.rule_id not in rules.silent and rank(d.level) >= least:
            yield {
                "rule": {"id": d.rule_id, "title": d.title, "level": d.level},
                "group": dict(d.group),
                "count": d.count,
                "first": rfc3339(d.first) if d.first else None,
                "last": rfc3339(d.last) if d.last else None,
                "records": [_record(places.get(e, e)) for e in d.evidence],
            }


def _record(place: str) -> dict[str, Any]:
    name, _, number = place.rpartition(":")
    return {"file": name, "record": int(number) if number.isdigit() else None}


def usage() -> dict[str, float]:
    """CPU seconds and peak memory of this process and its ended children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu_s": round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 3),
        "max_rss_mb": round(max(own.ru_maxrss, children.ru_maxrss) / 1024, 1),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def clock() -> float:
    return time.perf_counter()
