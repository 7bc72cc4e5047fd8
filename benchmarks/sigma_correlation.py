"""Correlation lanes of `benchmarks.sigma`, and our correlator over them: detections in, episodes out, in event time.

Failed log-ins of a steady rate in whole seconds. What is compared is when each group's correlation first fired: RSigma
tells of every event at which a condition holds, ours of episodes that grow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

from benchmarks.sigma_job import Figures, Job, lines_of, peak_mb, ready
from benchmarks.sigma_lanes import Lane, written
from soc.detect import load_rules
from soc.detect.correlate import Correlator
from soc.event import Detection, LogSource

_START: Final = datetime(2026, 11, 24, tzinfo=UTC)
_RULE: Final = "5a3f0f4e-3c63-4a0e-9f43-0e1a3d1b7c01"
_BATCH: Final = 1_000


@dataclass(frozen=True)
class _Stream:
    """`rate` events a second, of so many sources and users, the latter in turn; `floor` as a lane's."""

    about: str
    type: str
    condition: dict[str, Any]
    rate: int
    sources: int
    users: int = 1
    floor: float = 0.0


#: Windows of 5 minutes: 6 events a second of users in turn are 1,800 distinct values.
STREAMS: Final = {
    "count-one": _Stream("event_count, one group", "event_count", {"gte": 1_000_000}, 6, 1),
    "count-many": _Stream("event_count, 10,000 groups", "event_count", {"gte": 20}, 1_000, 10_000),
    "values-below": _Stream(
        "value_count, 1,800 distinct values, not reached",
        "value_count",
        {"field": "User", "gte": 100_000},
        6,
        1,
        9_000,
        150_000,
    ),
    "values-above": _Stream(
        "value_count, 1,800 distinct values, reached",
        "value_count",
        {"field": "User", "gte": 1_000},
        6,
        1,
        9_000,
        150_000,
    ),
    "values-many": _Stream(
        "value_count, 10,000 groups", "value_count", {"field": "User", "gte": 10}, 1_000, 10_000, 97
    ),
}


def lanes(folder: Path, count: int, wanted: list[str]) -> Iterator[Lane]:
    """The correlation lanes of these names, each with a folder of its rules."""
    for name in wanted:
        stream = STREAMS[name]
        rules = folder / f"{name}-rules"
        rules.mkdir()
        for number, document in enumerate(_rules(stream)):
            (rules / f"{number}.yml").write_text(json.dumps(document))
        events = [(event, LogSource("windows", None, "security")) for event in _events(stream, count)]
        lane = written(name, stream.about, events, folder)
        yield replace(lane, rules=(str(rules),), correlate=True, floor=stream.floor)


def _rules(stream: _Stream) -> Iterator[dict[str, Any]]:
    yield {
        "title": "Failed log-in",
        "id": _RULE,
        "name": "failed",
        "logsource": {"product": "windows", "service": "security"},
        "detection": {"selection": {"EventID": 4625}, "condition": "selection"},
        "level": "low",
    }
    yield {
        "title": stream.about,
        "id": "5a3f0f4e-3c63-4a0e-9f43-0e1a3d1b7c02",
        "correlation": {
            "type": stream.type,
            "rules": ["failed"],
            "group-by": ["SourceIp"],
            "timespan": "5m",
            "condition": stream.condition,
        },
        "level": "high",
    }


def _events(stream: _Stream, count: int) -> Iterator[dict[str, Any]]:
    dice = Random(1)
    for n in range(count):
        moment = _START + timedelta(seconds=n // stream.rate)
        yield {
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "epoch": int(moment.timestamp()),
            "EventID": 4625,
            "SourceIp": f"2001:db8::{dice.randrange(stream.sources):x}",
            "User": f"user{n % stream.users}",
        }


def correlating(job: Job) -> Figures:
    """Our correlator over the lane: detections are made first, the clock sees `add` and a `drain` for each batch."""
    numbers, lines = lines_of(job)
    begin = time.perf_counter()
    rules = load_rules(job["rules"])
    load_s = time.perf_counter() - begin
    events = [orjson.loads(line) for line in lines]
    detections = [
        replace(one, id=f"d{n}", event_id=str(n), timestamp=datetime.fromisoformat(event["timestamp"]), fields=event)
        for n, event, found in zip(numbers, events, rules.match(events), strict=True)
        for one in found
    ]
    ready(job)
    seconds, told, matches = [], 0, dict[str, list[int]]()
    for number in range(job["passes"]):
        running = Correlator(rules.correlations, fields=rules.names)
        begin, spent, told = time.perf_counter(), 0.0, 0
        seen: set[tuple[str, ...]] = set()
        for start in range(0, len(detections), _BATCH):
            begin = time.perf_counter()
            found: list[Detection] = []
            for detection in detections[start : start + _BATCH]:
                found += running.add(detection)
            found += running.drain()
            spent += time.perf_counter() - begin
            told += len(found)
            for one in found if number == 0 else ():
                group = (one.rule_id, *one.group.values())
                if group not in seen:
                    seen.add(group)
                    matches.setdefault(one.rule_id, []).append(int(one.event_id))
        seconds.append(spent)
    return Figures(
        rules=len(rules.rules) + len(rules.correlations),
        refused=len(rules.refused),
        load_s=load_s,
        passes_s=seconds,
        events=len(detections),
        matches=matches,
        rss_mb=peak_mb(),
        told=told,
    )
