"""Lanes of `benchmarks.sigma`: events of the shared data → files of JSON lines with their routes.

Every engine reads the same bytes and is told the same log source for each line: routing is given to all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import orjson

from benchmarks import sigma_events as recorded
from benchmarks.sigma_events import Routed
from soc.event import LogSource


@dataclass(frozen=True)
class Lane:
    """`events`: JSON lines. `routes`: a number for each line. `sources`: JSON list of log sources, by these numbers.

    `bar`: how many times RSigma's speed ours shall be; `floor`: events per second that it shall reach (0 = none).
    `rules`: folders of its own rules, else those of the run. `correlate`: detections are made before the clock starts,
    correlation alone is timed.
    """

    name: str
    about: str
    count: int
    events: Path
    routes: Path
    sources: Path
    bar: float = 0.0
    floor: float = 0.0
    rules: tuple[str, ...] = ()
    correlate: bool = False

    def digest(self) -> str:
        """Of all its bytes."""
        rules = sorted(path for folder in self.rules for path in Path(folder).iterdir())
        parts = [path.read_bytes() for path in (self.events, self.routes, self.sources, *rules)]
        return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


@dataclass(frozen=True)
class _Recipe:
    about: str
    bar: float
    events: Callable[[Path, int], list[Routed]]
    floor: float = 0.0


def _times(
    events: list[Routed], count: int, change: Callable[[dict[str, Any], int], dict[str, Any]] | None = None
) -> list[Routed]:
    """So many events, taken in turn, each changed by its number."""
    taken = islice(cycle(events), count)
    return list(taken) if change is None else [(change(event, n), source) for n, (event, source) in enumerate(taken)]


def _without_message(event: Mapping[str, Any], _n: int) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "Message"}


def _unique(event: dict[str, Any], n: int) -> dict[str, Any]:
    """The event with a command line, and a message that quotes it, which no other has."""
    line = str(event.get("CommandLine", ""))
    made = event | {"CommandLine": f"{line} {n:x}"}
    if "Message" in event:
        made["Message"] = f"{event['Message']}\n{line} {n:x}"
    return made


def _quiet(event: dict[str, Any], n: int) -> dict[str, Any]:
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


@cache
def _otrf(data: Path) -> list[Routed]:
    return recorded.otrf(data)


@cache
def _regression(data: Path) -> list[Routed]:
    return recorded.regression(data)


def _real_starts(data: Path) -> list[Routed]:
    return [one for one in _otrf(data) if one[1].category == "process_creation"]


def _tested_starts(data: Path) -> list[Routed]:
    return [one for one in _regression(data) if one[1].category == "process_creation"]


def _mixed(data: Path) -> list[Routed]:
    """All schemas, as often as there are records, shuffled as a card deck is: one of each in turn."""
    evtx = list(recorded.windows([data / "evtx_cc0"]))
    kinds = [_otrf(data), evtx, recorded.linux(data), recorded.web(data), recorded.zeek(data), recorded.cloud(data)]
    most = max(map(len, kinds))
    return [one for turn in zip(*(islice(cycle(kind), most) for kind in kinds), strict=True) for one in turn]


RECIPES: Final = {
    "real": _Recipe("real Windows recordings", 1.2, lambda d, n: _times(_otrf(d), n), floor=60_000),
    "real-short": _Recipe("the same without Message", 1.2, lambda d, n: _times(_otrf(d), n, _without_message)),
    "evtx": _Recipe("attack recordings, EVTX", 1.2, lambda d, n: _times(list(recorded.windows([d / "evtx_cc0"])), n)),
    "starts": _Recipe("process starts, repetitive", 2.0, lambda d, n: _times(_real_starts(d) + _tested_starts(d), n)),
    "starts-unique": _Recipe(
        "the same, every command line unique", 1.2, lambda d, n: _times(_real_starts(d) + _tested_starts(d), n, _unique)
    ),
    "starts-real": _Recipe(
        "real process starts with Message, all unique", 1.2, lambda d, n: _times(_real_starts(d), n, _unique)
    ),
    "matching": _Recipe("the rules' own test events, many matches", 1.2, lambda d, n: _times(_regression(d), n)),
    "quiet": _Recipe("process starts that no rule looks for", 1.2, lambda d, n: _times(_tested_starts(d), n, _quiet)),
    "linux": _Recipe("Linux: auditd, log-ins, sudo", 1.2, lambda d, n: _times(recorded.linux(d), n)),
    "web": _Recipe("accesses of a web server", 1.2, lambda d, n: _times(recorded.web(d), n)),
    "text": _Recipe("raw text in one field", 1.0, lambda d, n: _times(recorded.text(d), n)),
    "mixed": _Recipe("mixed schemas", 1.2, lambda d, n: _times(_mixed(d), n)),
}


def lanes(data: Path, folder: Path, count: int, wanted: list[str]) -> Iterator[Lane]:
    """The lanes of these names, each written to the folder."""
    for name in wanted:
        recipe = RECIPES[name]
        lane = written(name, recipe.about, recipe.events(data, count), folder)
        yield replace(lane, bar=recipe.bar, floor=recipe.floor)


def written(name: str, about: str, events: list[Routed], folder: Path) -> Lane:
    """The lane's files: `name`.jsonl, .routes, .json."""
    numbers: dict[LogSource, int] = {}
    paths = [folder / f"{name}.{kind}" for kind in ("jsonl", "routes", "json")]
    lane = Lane(name, about, len(events), paths[0], paths[1], paths[2])
    with lane.events.open("wb") as lines, lane.routes.open("w") as routes:
        for event, source in events:
            lines.write(orjson.dumps(event) + b"\n")
            routes.write(f"{numbers.setdefault(source, len(numbers))}\n")
    named = [{k: v for k in ("product", "category", "service") if (v := getattr(one, k))} for one in numbers]
    lane.sources.write_text(json.dumps(named))
    return lane
