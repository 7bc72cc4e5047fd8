"""Where two engines differ: matches of both in, per rule how many lines each finds, and why, out.

A reason is a test on the rule and a line that only one of them finds, not a list of rules: each row of REASONS names a
fault or a limit of a peer that its source or documentation shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from benchmarks.sigma_job import Figures

_WILD: Final = re.compile(r"(?<!\\)(?:\\\\)*[*?]")
Item = tuple[str, list[str], list[Any]]  # field ("" = keywords), modifiers, values


@dataclass(frozen=True)
class Difference:
    """A rule that does not match the same lines: counts, lines that one alone finds, the reason ("" = unknown)."""

    rule: str
    ours: int
    theirs: int
    only_ours: tuple[int, ...]
    only_theirs: tuple[int, ...]
    why: str = ""

    def __str__(self) -> str:
        why = self.why or "NOT EXPLAINED"
        lines = ", ".join(str(n + 1) for n in (self.only_ours + self.only_theirs)[:3])
        return f"{self.rule}: ours {self.ours}, peer {self.theirs} (line {lines}, …): {why}"


def flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """An event with nested names joined by dots; lists stay."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def items(detection: Any) -> Iterator[Item]:
    """All field items and keyword lists of a rule's `detection`."""
    if isinstance(detection, Mapping):
        for key, value in detection.items():
            name, *modifiers = str(key).split("|")
            yield name, modifiers, value if isinstance(value, list) else [value]
    elif isinstance(detection, list):
        words = [one for one in detection if not isinstance(one, Mapping)]
        if words:
            yield "", [], words
        for one in detection:
            if isinstance(one, Mapping):
                yield from items(one)
    else:
        yield "", [], [detection]


def _inner_wildcard(rule: Sequence[Item], _event: Mapping[str, Any]) -> bool:
    return any(
        {"startswith", "endswith"} & set(modifiers) and any(_WILD.search(str(value)) for value in values)
        for _, modifiers, values in rule
    )


def _newline(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    return any(
        "\n" in str(event.get(name, "" if name else event)) and any(_WILD.search(str(value)) for value in values)
        for name, _, values in rule
    )


def _numbers_in_keywords(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    keywords = [str(value) for name, _, values in rule if not name for value in values]
    numbers = [str(value) for value in event.values() if isinstance(value, (int, float))]
    return any(word.strip("*") in number for word in keywords for number in numbers)


def _all_keywords(rule: Sequence[Item], _event: Mapping[str, Any]) -> bool:
    return any(not name and "all" in modifiers for name, modifiers, _ in rule)


def _spaces(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    stripped = {name.replace(" ", "") for name in event if " " in name}
    return any(name in stripped for name, _, _ in rule)


def _not_ascii(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    return any(
        not str(event.get(name, "")).isascii() or not all(str(value).isascii() for value in values)
        for name, _, values in rule
        if name
    )


def _cased_name(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    lower = {name.lower() for name in event}
    return any(name not in event and name.lower() in lower for name, _, _ in rule if name)


def _list(rule: Sequence[Item], event: Mapping[str, Any]) -> bool:
    return any(isinstance(event.get(name), list) for name, _, _ in rule)


#: Peer → reason → test on (items of the rule, event).
REASONS: Final[dict[str, list[tuple[str, Callable[[Sequence[Item], Mapping[str, Any]], bool]]]]] = {
    "rsigma": [
        ("RSigma anchors startswith and endswith with a wildcard inside at the wrong end", _inner_wildcard),
        ("in RSigma * does not reach over a newline", _newline),
        ("RSigma's keywords do not look into numbers", _numbers_in_keywords),
        ("RSigma wants all keywords of '|all' in one value of the event", _all_keywords),
        ("RSigma keeps the spaces in field names that rules write without", _spaces),
    ],
    "sqlite": [
        ("SQLite's names of columns ignore letter case", _cased_name),
        ("names with spaces are other columns", _spaces),
        ("a list is one JSON text in the table", _list),
        ("SQLite folds the case of ASCII letters alone", _not_ascii),
    ],
}


def differences(mine: Figures, theirs: Figures, limit: int | None = None) -> list[Difference]:
    """Rules that do not match the same lines; with `limit` among the first so many lines. No reasons yet.

    Rules that the peer is unable to express are left out.
    """
    found = []
    for rule in sorted((mine.matches.keys() | theirs.matches.keys()) - theirs.unable.keys()):
        ours = {n for n in mine.matches.get(rule, []) if limit is None or n < limit}
        other = set(theirs.matches.get(rule, []))
        if ours != other:
            found.append(
                Difference(rule, len(ours), len(other), tuple(sorted(ours - other)), tuple(sorted(other - ours)))
            )
    return found


def explained(peer: str, found: Sequence[Difference], events: Path, rules: Sequence[str]) -> list[Difference]:
    """The differences with the reasons that fit a line which one engine alone finds."""
    if not found:
        return []
    documents = _documents({one.rule for one in found}, rules)
    lines = events.read_bytes().splitlines()
    out = []
    for one in found:
        rule = list(items_of(documents.get(one.rule, {})))
        event = dict(flattened(orjson.loads(lines[(one.only_ours + one.only_theirs)[0]])))
        reasons = REASONS[peer.partition("-")[0]]
        why = "; or ".join(reason for reason, test in reasons if test(rule, event))
        out.append(Difference(one.rule, one.ours, one.theirs, one.only_ours, one.only_theirs, why))
    return out


def items_of(document: Mapping[str, Any]) -> Iterator[Item]:
    for name, detection in document.get("detection", {}).items():
        if name != "condition":
            yield from items(detection)


def _documents(wanted: set[str], folders: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Id → rule, of those wanted."""
    found = {}
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.yml")):
        text = path.read_text()
        if any(rule in text for rule in wanted):
            for document in yaml.load_all(text, yaml.CSafeLoader):
                if isinstance(document, Mapping) and document.get("id") in wanted:
                    found[str(document["id"])] = document
    return found
