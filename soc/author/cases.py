"""Rule tests: `<stem>.test.yaml` beside a rule in, checked cases out.

    rule: <id>
    tests:
      - name: ten failures in five minutes
        source: linux_auth                       # raw lines go through the real parser
        raw: ["{t+0s} web01 sshd[{n}]: Failed password for root from 203.0.113.5 port 1 ssh2"]
        repeat: {times: 10, every: 20s}          # the whole list again; {n} is 1, 2, …
        expect: {alerts: 1, group: {source.ip: 203.0.113.5}}
      - {name: nine stay quiet, like: ten failures in five minutes, repeat: {times: 9, every: 20s}, expect: {alerts: 0}}
      - {name: one event, source: linux_auth, event: {user.name: root}, expect: {alerts: 0}}

`{t}`, `{t+30s}`, `{t-1h}`: that time in the source's own format; `{t+30s|%Y-%m-%d}` or `{t|unix_ns}` in another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from soc.alert.policy import duration
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors

_FILE_KEYS: Final = ("rule", "budget", "tests")
_CASE_KEYS: Final = ("name", "source", "raw", "event", "events", "repeat", "like", "expect")
_EXPECT_KEYS: Final = ("alerts", "group", "level", "title")


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a rule. Exactly one of `raw` (lines) and `events` (flat fields) holds what goes in."""

    name: str
    rule_id: str
    path: Path
    line: int
    source: str
    raw: tuple[str, ...] = ()
    events: tuple[Mapping[str, Any], ...] = ()
    times: int = 1
    every: timedelta = timedelta(0)
    alerts: int = 1
    group: Mapping[str, str] = field(default_factory=dict)
    level: str = ""
    title: str = ""


def load_cases(path: Path) -> list[Case]:
    """All cases of one file. Raises ContentErrors with every mistake in it."""
    content = read_yaml(path)
    errors: list[ContentError] = []
    if not isinstance(content, Mapped):
        raise ContentErrors([ContentError(path, 0, "expected a mapping of rule and tests")])
    errors += [ContentError(path, content.at(k), unknown(k, _FILE_KEYS)) for k in content if k not in _FILE_KEYS]
    rule_id = str(content.get("rule", ""))
    tests = content.get("tests")
    if not rule_id:
        errors.append(ContentError(path, 0, "rule: <id of the rule> is missing"))
    if not isinstance(tests, list) or not tests:
        errors.append(ContentError(path, content.at("tests"), "tests: expected a list of cases"))
        tests = []
    by_name: dict[str, Mapped] = {}
    cases = []
    for entry in tests:
        if not isinstance(entry, Mapped):
            errors.append(ContentError(path, content.at("tests"), "a case is a mapping with name, source, raw, expect"))
            continue
        merged = _merged(entry, by_name, path, errors)
        by_name[str(merged.get("name", ""))] = merged
        case = _case(merged, rule_id, path, errors)
        if case is not None:
            cases.append(case)
    if errors:
        raise ContentErrors(errors)
    return cases


def _merged(entry: Mapped, by_name: Mapping[str, Mapped], path: Path, errors: list[ContentError]) -> Mapped:
    like = entry.get("like")
    if like is None:
        return entry
    if (base := by_name.get(str(like))) is None:
        errors.append(ContentError(path, entry.at("like"), unknown(str(like), by_name, "case before this one")))
        return entry
    merged = Mapped({**base, **entry})
    merged.line, merged.lines = entry.line, {**base.lines, **entry.lines}
    return merged


def _case(entry: Mapped, rule_id: str, path: Path, errors: list[ContentError]) -> Case | None:
    before = len(errors)

    def wrong(key: str, why: str) -> None:
        errors.append(ContentError(path, entry.at(key), why))

    for key in entry:
        if key not in _CASE_KEYS:
            wrong(key, unknown(key, _CASE_KEYS))
    for key in ("name", "expect"):
        if key not in entry:
            wrong(key, f"{key} is missing")
    raw = entry.get("raw", [])
    events = entry.get("events", [entry["event"]] if "event" in entry else [])
    if not isinstance(raw, list) or not all(isinstance(text, str) for text in raw):
        wrong("raw", "raw: expected a list of lines (texts)")
    if not isinstance(events, list) or not all(isinstance(e, Mapping) for e in events):
        wrong("events", "events: expected mappings of field to value")
    if bool(raw) == bool(events):
        wrong("raw", "a case has either raw lines or events")
    if "source" not in entry:
        wrong("source", "source is missing: the name of a folder of pipelines/sources")
    times, every = _repeat(entry, wrong)
    expect = entry.get("expect", {})
    if not isinstance(expect, Mapping) or not isinstance(expect.get("alerts"), int):
        wrong("expect", "expect: {alerts: <number>, group: {field: value}}")
        expect = {}
    for key in expect:
        if key not in _EXPECT_KEYS:
            wrong("expect", unknown(str(key), _EXPECT_KEYS))
    if len(errors) > before:
        return None
    return Case(
        name=str(entry["name"]),
        rule_id=rule_id,
        path=path,
        line=entry.line,
        source=str(entry["source"]),
        raw=tuple(raw),
        events=tuple(events),
        times=times,
        every=every,
        alerts=int(expect["alerts"]),
        group={str(k): str(v) for k, v in (expect.get("group") or {}).items()},
        level=str(expect.get("level") or ""),
        title=str(expect.get("title") or ""),
    )


def _repeat(entry: Mapped, wrong: Any) -> tuple[int, timedelta]:
    repeat = entry.get("repeat", {})
    if not isinstance(repeat, Mapping) or set(repeat) - {"times", "every"}:
        wrong("repeat", "repeat: {times: <number>, every: <duration>}")
        return 1, timedelta(0)
    try:
        return int(repeat.get("times", 1)), duration(repeat.get("every", "0s"))
    except (ValueError, TypeError) as error:
        wrong("repeat", f"repeat: {error}")
        return 1, timedelta(0)
