"""The method of offline hunters: pySigma's SQLite backend. `python -m benchmarks.peers.sqlite JOB` prints its figures.

One pass loads the events into a table in memory (a column for each field, NOCASE; on request an index on the log
source), then asks the query of every rule whose log source some event has. Queries are converted once and kept; that is
not counted.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaRule

from benchmarks.sigma_job import Figures, Job, peak_mb, ready

#: SQLite's own bound on columns is 2,000 as it comes with Python.
_MAX_COLUMNS: Final = 1_990
Cell = str | float | None


def backend() -> Any:
    """pySigma's backend, which comes without types."""
    return importlib.import_module("sigma.backends.sqlite").sqliteBackend()


@dataclass(frozen=True)
class Query:
    """A rule as SQL conditions, the fields that they name, and its log source; `unable`: why there is none."""

    rule: str
    conditions: tuple[str, ...]
    fields: tuple[str, ...]
    logsource: tuple[str | None, str | None, str | None]
    unable: str = ""


def converted(path: Path) -> Iterator[Query]:
    """The rules of a file as queries."""
    for document in yaml.load_all(path.read_bytes(), yaml.CSafeLoader):
        source = document["logsource"]
        logsource = (source.get("product"), source.get("category"), source.get("service"))
        try:
            rule = SigmaRule.from_dict(document)
            queries: list[str] = backend().convert_rule(rule)
        except (SigmaError, NotImplementedError, ValueError) as error:
            yield Query(document["id"], (), (), logsource, f"{type(error).__name__}: {error}"[:200])
            continue
        conditions = tuple(query.partition(" WHERE ")[2] for query in queries)
        fields = {name for one in rule.detection.detections.values() for name in _fields(one)}
        yield Query(document["id"], conditions, tuple(sorted(fields)), logsource)


def _fields(detection: SigmaDetection) -> Iterator[str]:
    for item in detection.detection_items:
        if isinstance(item, SigmaDetection):
            yield from _fields(item)
        elif item.field:
            yield item.field
            yield from (value.field for value in item.value if hasattr(value, "field"))


def queries(folders: list[str], cache: Path) -> list[Query]:
    """All rules as queries, from the cache if these very rules have been converted before."""
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.yml"))
    digest = hashlib.blake2b(digest_size=16)
    for path in (*paths, Path(__file__)):
        digest.update(path.read_bytes())
    kept = cache / f"{digest.hexdigest()}.json"
    if not kept.exists():
        made = [asdict(query) for path in paths for query in converted(path)]
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(made))
    return [
        Query(**one | {name: tuple(one[name]) for name in ("conditions", "fields", "logsource")})
        for one in json.loads(kept.read_bytes())
    ]


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Cell]]:
    """A nested event as columns; lists as JSON, truth values as words."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, "true" if value else "false"
        elif isinstance(value, int):
            yield prefix + name, str(value)  # SQLite's own end at 63 bits
        else:
            yield prefix + name, value if isinstance(value, str | float | None) else json.dumps(value)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _regexp(pattern: str, value: Cell) -> bool:
    return value is not None and _pattern(pattern).search(str(value)) is not None


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def loaded(lines: list[bytes], routes: list[int], asked: set[str]) -> sqlite3.Connection:
    """The events as table `logs`, with the columns that queries ask for, whether an event has them or not."""
    events = [dict(flattened(orjson.loads(line))) for line in lines]
    columns: dict[str, str] = {}  # SQLite's names of columns are the same in capitals
    for name in (*sorted(asked), *(name for event in events for name in event)):
        columns.setdefault(name.lower(), name)
    del columns["line"], columns["route"]
    kept = list(columns)[:_MAX_COLUMNS]
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.create_function("REGEXP", 2, _regexp, deterministic=True)
    made = ", ".join(f"{quoted(columns[name])} TEXT COLLATE NOCASE" for name in kept)
    database.execute(f"CREATE TABLE logs (line INTEGER PRIMARY KEY, route INTEGER, {made})")
    database.execute("BEGIN")
    for number, (event, route) in enumerate(zip(events, routes, strict=True)):
        row = {name.lower(): value for name, value in event.items()}
        held = [name for name in kept if row.get(name) is not None]
        names = ", ".join(["line", "route", *(quoted(columns[name]) for name in held)])
        marks = ", ".join("?" * (len(held) + 2))
        values = [number, route, *(row[name] for name in held)]
        database.execute(f"INSERT INTO logs ({names}) VALUES ({marks})", values)
    database.execute("COMMIT")
    return database


def run(job: Job) -> Figures:
    limit = job["options"]["lines"]
    lines = Path(job["events"]).read_bytes().splitlines()[:limit]
    routes = [int(number) for number in Path(job["routes"]).read_text().split()[:limit]]
    sources = json.loads(Path(job["sources"]).read_text())
    begin = time.perf_counter()
    rules = queries(job["rules"], Path(job["options"]["cache"]))
    load_s = time.perf_counter() - begin
    applying = [(query, where) for query in rules if (where := _routes(query, sources))]
    unable = {query.rule: query.unable for query in rules if query.unable}
    ready(job)
    begin = time.perf_counter()
    asked = {"line", "route"}.union(*(query.fields for query, _ in applying))
    database = loaded(lines, routes, asked)
    if job["options"]["index"]:
        database.execute("CREATE INDEX by_route ON logs (route)")
    inserted = time.perf_counter()
    matches: dict[str, list[int]] = {}
    for query, where in applying:
        found: set[int] = set()
        for condition in query.conditions:
            try:
                rows = database.execute(f"SELECT line FROM logs WHERE route IN ({where}) AND ({condition})")
                found.update(row[0] for row in rows)
            except (sqlite3.Error, re.error) as error:
                unable[query.rule] = f"{type(error).__name__}: {error}"[:200]
        if found:
            matches[query.rule] = sorted(found)
    end = time.perf_counter()
    return Figures(
        rules=len(rules) - len(unable),
        refused=0,
        load_s=load_s,
        passes_s=[end - begin],
        events=len(lines),
        matches=matches,
        rss_mb=peak_mb(),
        stages_s={"insert": inserted - begin, "query": end - inserted},
        unable=unable,
    )


def _routes(query: Query, sources: list[dict[str, str]]) -> str:
    """Numbers of the log sources that the rule applies to, for SQL."""
    names = ("product", "category", "service")
    wanted = {name: text.lower() for name, text in zip(names, query.logsource, strict=True) if text}
    return ",".join(str(n) for n, one in enumerate(sources) if all(one.get(k) == text for k, text in wanted.items()))


if __name__ == "__main__":
    print(json.dumps(vars(run(json.loads(sys.argv[1])))))
