"""Lanes of `benchmarks.sigma`: recordings → files of JSON lines in the names of Sigma's taxonomy, with their routes.

Every engine reads the same bytes and is told the same log source for each line: routing is given to all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from soc.collect.open import read_path
from soc.event import LogSource, RawRecord, RecordError
from soc.normalize import load_sources

ROOT = Path(__file__).resolve().parent.parent
#: A flat event and the log source that holds all of those that it is.
Routed = tuple[dict[str, Any], LogSource]


@dataclass(frozen=True)
class Lane:
    """`events`: JSON lines. `routes`: a number for each. `sources`: JSON list of log sources. `bar`: ours ÷ peer."""

    name: str
    count: int
    events: Path
    routes: Path
    sources: Path
    bar: float


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """An EVTX record as one flat map; what is flat already stays.

    Names as rules have them: data by its own name, system elements by theirs, attributes as Provider_Name.
    """
    event = document.get("Event")
    if not isinstance(event, Mapping):
        return dict(document)
    out: dict[str, Any] = {}
    for name, value in (event.get("System") or {}).items():
        attributes = value.get("#attributes") if isinstance(value, Mapping) else None
        for key, attribute in (attributes or {}).items():
            out[f"{name}_{key}"] = attribute
        if not isinstance(value, Mapping):
            out[name] = value
        elif "#text" in value:
            out[name] = value["#text"]
    data: Any = event.get("EventData") or next(iter((event.get("UserData") or {}).values()), {})
    if isinstance(data, Mapping):
        out |= {name: value for name, value in data.items() if name != "#attributes" and not isinstance(value, Mapping)}
    return out


def recorded(paths: Iterable[Path]) -> Iterator[Routed]:
    """Events of Windows recordings with the log sources that our normaliser finds; damaged records are passed over."""
    source = load_sources([ROOT / "pipelines" / "sources" / "windows"]).get("windows")
    for path in paths:
        for record in read_path(path):
            if not isinstance(record, RawRecord):
                continue
            try:
                found = source.events(record)
            except RecordError:
                continue
            if len(found) == 1:
                yield flat(orjson.loads(record.data)), joined(found[0].logsources)


def joined(sources: Iterable[LogSource]) -> LogSource:
    """One log source that contains all of them, for engines that take one."""
    product = category = service = None
    for one in sources:
        product, category, service = one.product or product, one.category or category, one.service or service
    return LogSource(product, category, service)


def without_message(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "Message"}


def times(events: list[Routed], count: int, change: Callable[[dict[str, Any], int], dict[str, Any]]) -> list[Routed]:
    """So many events, taken in turn, each changed by its number."""
    return [(change(event, n), source) for n, (event, source) in enumerate(islice(cycle(events), count))]


def same(event: dict[str, Any], _n: int) -> dict[str, Any]:
    return event


def unique(event: dict[str, Any], n: int) -> dict[str, Any]:
    """The event with a command line that no other has."""
    return event | {"CommandLine": f"{event.get('CommandLine', '')} {n:x}"}


def quiet(event: dict[str, Any], n: int) -> dict[str, Any]:
    """A process start that nobody looks for."""
    return event | {
        "Image": f"C:\\Program Files\\Office Suite\\app{n % 40}.exe",
        "ParentImage": "C:\\Windows\\explorer.exe",
        "CommandLine": f'"C:\\Program Files\\Office Suite\\app{n % 40}.exe" /open {n}',
        "ParentCommandLine": "C:\\Windows\\explorer.exe",
        "OriginalFileName": f"app{n % 40}.exe",
        "Description": "Office Suite",
        "Product": "Office Suite",
        "Company": "Example",
        "Hashes": f"MD5={n:032x}",
        "CurrentDirectory": "C:\\Users\\an\\",
        "User": "TINH\\an",
    }


def lanes(data: Path, folder: Path, count: int, wanted: list[str]) -> Iterator[Lane]:
    """The lanes asked for (all if none is), each written to the folder."""
    otrf = list(recorded(p for p in sorted((data / "otrf").glob("*.zip")) if not p.name.startswith("sh_")))
    regression = list(recorded(sorted((data / "sigma_regression").glob("*.evtx"))))
    starts = [one for one in regression if one[1].category == "process_creation"]
    real = [one for one in otrf if one[1].category == "process_creation"]
    made: dict[str, tuple[float, Callable[[], list[Routed]]]] = {
        "real": (1.2, lambda: times(otrf, count, same)),
        "real-short": (1.2, lambda: times(otrf, count, lambda event, n: without_message(event))),
        "evtx": (1.2, lambda: times(list(recorded([data / "evtx_cc0"])), count, same)),
        "starts": (2.0, lambda: times(real + starts, count, same)),
        "starts-unique": (1.2, lambda: times(real + starts, count, unique)),
        "matching": (1.2, lambda: times(regression, count, same)),
        "quiet": (1.2, lambda: times(starts, count, quiet)),
    }
    for name, (bar, events) in made.items():
        if not wanted or name in wanted:
            yield written(name, bar, events(), folder)


def written(name: str, bar: float, events: list[Routed], folder: Path) -> Lane:
    numbers: dict[LogSource, int] = {}
    lane = Lane(name, len(events), folder / f"{name}.jsonl", folder / f"{name}.routes", folder / f"{name}.json", bar)
    with lane.events.open("wb") as lines, lane.routes.open("w") as routes:
        for event, source in events:
            lines.write(orjson.dumps(event) + b"\n")
            routes.write(f"{numbers.setdefault(source, len(numbers))}\n")
    named = [{k: v for k in ("product", "category", "service") if (v := getattr(one, k))} for one in numbers]
    lane.sources.write_text(json.dumps(named))
    return lane
