"""Sigma correlation rules: one YAML document in, one checked Correlation out.

Sources: Sigma correlation specification 2.1.0; SEP #198 (boolean conditions); pySigma 1.5 for w, M, y and percentile.
What we decide where they are silent stands in `soc.detect.correlate`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from soc.detect.correlation_condition import Alternative, Condition, ConditionError, alternatives, named, thresholds
from soc.event import ContentError, digest

COUNTING: Final = ("event_count", "value_count")
NUMERIC: Final = ("value_sum", "value_avg", "value_percentile", "value_median")
TEMPORAL: Final = ("temporal", "temporal_ordered")
TYPES: Final = COUNTING + NUMERIC + TEMPORAL
LEVELS: Final = ("informational", "low", "medium", "high", "critical")
STATUSES: Final = ("stable", "test", "experimental", "deprecated", "unsupported")

#: Seconds of a unit; a month and a year are mean ones of the Gregorian calendar, as in pySigma.
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_629_746, "y": 31_556_952}
_MAX_TIMESPAN: Final = timedelta(days=3_660)
_SECTION: Final = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")
#: Top-level keys of the specification; all others are the author's own and end up in `custom`.
_TEXTS: Final = ("title", "id", "name", "status", "description", "license", "author", "date", "modified", "level")
_LISTS: Final = ("references", "tags", "falsepositives", "fields", "related", "scope")
_KNOWN: Final = frozenset((*_TEXTS, *_LISTS, "taxonomy", "sigma-version", "action", "correlation", "generate"))


@dataclass(frozen=True, slots=True)
class Correlation:
    """A correlation rule. `rules` are names or ids as written until `resolve`, ids after it.

    `aliases`: alias → rule → the rule's field name. `custom` holds unknown top-level keys (`soc:` and others).
    `version` is a hash of the content, without comments and layout. `warnings` are for the linter.
    """

    id: str
    title: str
    type: str
    rules: tuple[str, ...]
    timespan: timedelta
    condition: Condition
    group_by: tuple[str, ...] = ()
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    generate: bool = False
    name: str = ""
    level: str = "medium"
    status: str = ""
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    custom: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    path: Path = Path()
    line: int = 0
    raw: str = ""
    warnings: tuple[str, ...] = ()


def parse_correlation(document: Mapping[str, Any], path: Path, line: int, raw: str) -> Correlation:
    """A document with a `correlation` section → Correlation. Raises ContentError saying what was expected."""
    return _Reading(document, path, line).correlation(raw)


def resolve(correlation: Correlation, lookup: Callable[[str], str | None]) -> Correlation:
    """The correlation with every reference replaced by `lookup(reference)`, a rule's or correlation's id.

    Raises ContentError for a reference that lookup does not know (None), for itself, for one rule named twice.
    """
    ids: dict[str, str] = {}
    for reference in correlation.rules:
        found = lookup(reference)
        if found is None:
            raise _wrong(correlation, f"refers to {reference!r}: no rule or correlation has that id or name")
        if found == correlation.id:
            raise _wrong(correlation, f"refers to itself ({reference!r})")
        if found in ids.values():
            raise _wrong(correlation, f"names the same rule twice ({reference!r} is {found})")
        ids[reference] = found
    terms = tuple(
        Alternative(tuple(ids[r] for r in term.present), tuple(ids[r] for r in term.absent))
        for term in correlation.condition.alternatives
    )
    return replace(
        correlation,
        rules=tuple(ids.values()),
        condition=replace(correlation.condition, alternatives=terms),
        aliases={alias: {ids[r]: name for r, name in of.items()} for alias, of in correlation.aliases.items()},
    )


def chained(correlations: Iterable[Correlation]) -> list[Correlation]:
    """Resolved correlations, each after those that feed it. Raises ContentError for a circle."""
    by_id = {c.id: c for c in correlations}
    done: dict[str, Correlation] = {}
    while len(done) < len(by_id):
        ready = [c for c in by_id.values() if c.id not in done and all(r in done or r not in by_id for r in c.rules)]
        if not ready:
            waiting = [c for c in by_id.values() if c.id not in done]
            raise _wrong(waiting[0], f"feeds itself in a circle: {', '.join(c.name or c.id for c in waiting)}")
        done.update((c.id, c) for c in ready)
    return list(done.values())


def _wrong(correlation: Correlation, why: str) -> ContentError:
    return ContentError(correlation.path, correlation.line, why)


class _Reading:
    """One document on its way to a Correlation: where it stands, and what a linter should say about it."""

    def __init__(self, document: Mapping[str, Any], path: Path, line: int) -> None:
        self.document, self.path, self.line = document, path, line
        self.section: Mapping[str, Any] = {}
        self.warnings: list[str] = []

    def wrong(self, why: str, key: str = "") -> ContentError:
        for mapping in (self.section, self.document):
            line_of = getattr(mapping, "line_of", None)
            if line_of is not None and key in mapping:
                return ContentError(self.path, line_of(key), why)
        return ContentError(self.path, self.line, why)

    def correlation(self, raw: str) -> Correlation:
        section = self.document.get("correlation")
        if not isinstance(section, Mapping):
            raise self.wrong("correlation takes a mapping of type, rules, timespan, condition", "correlation")
        self.section = section
        for key in section:
            if key not in _SECTION:
                near = difflib.get_close_matches(str(key), _SECTION, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_SECTION)}"
                raise self.wrong(f"unknown key {key!r} in correlation; {hint}", str(key))
        kind = self.kind()
        rules = self.rules(kind)
        title = self.text("title")
        if not title:
            raise self.wrong("a correlation needs a title", "title")
        body = json.dumps(self.document, sort_keys=True, default=str)
        return Correlation(
            id=self.text("id") or self.text("name") or digest("correlation", title, body),
            title=title,
            type=kind,
            rules=rules,
            timespan=self.timespan(),
            condition=self.condition(kind, rules),
            group_by=tuple(dict.fromkeys(self.names("group-by", section.get("group-by")))),
            aliases=self.aliases(rules),
            generate=self.generate(),
            name=self.text("name"),
            level=self.word("level", LEVELS, "medium"),
            status=self.word("status", STATUSES, ""),
            description=self.text("description"),
            author=self.text("author"),
            tags=self.names("tags", self.document.get("tags")),
            falsepositives=self.names("falsepositives", self.document.get("falsepositives")),
            references=self.names("references", self.document.get("references")),
            custom={key: value for key, value in self.document.items() if key not in _KNOWN},
            version=digest(body),
            path=self.path,
            line=self.line,
            raw=raw,
            warnings=tuple(self.warnings),
        )

    def text(self, key: str) -> str:
        value = self.document.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(f"{key} takes a text, not {value!r}", key)
        return str(value).strip()

    def word(self, key: str, known: Sequence[str], default: str) -> str:
        value = self.text(key)
        if value and value.lower() not in known:
            raise self.wrong(f"unknown {key} {value!r}; known: {', '.join(known)}", key)
        return value.lower() or default

    def names(self, key: str, value: object) -> tuple[str, ...]:
        """A text or a list of texts."""
        if value is None:
            return ()
        listed = value if isinstance(value, list) else [value]
        for item in listed:
            if not isinstance(item, str) or not item:
                raise self.wrong(f"{key} takes a text or a list of texts, not {item!r}", key)
        return tuple(str(item) for item in listed)

    def kind(self) -> str:
        kind = self.section.get("type")
        if kind == "ordered_temporal":
            self.warnings.append("type ordered_temporal is called temporal_ordered in the specification")
            return "temporal_ordered"
        if not isinstance(kind, str) or kind not in TYPES:
            raise self.wrong(f"correlation type is one of {', '.join(TYPES)}, not {kind!r}", "type")
        return str(kind)

    def rules(self, kind: str) -> tuple[str, ...]:
        given = self.names("rules", self.section.get("rules"))
        condition = self.section.get("condition")
        if isinstance(condition, str) and kind in TEMPORAL:
            try:
                used = named(condition)
            except ConditionError as error:
                raise self.wrong(str(error), "condition") from None
            if given and (odd := sorted(set(given) ^ set(used))):
                raise self.wrong(f"rules and condition do not name the same rules: {', '.join(odd)}", "condition")
            given = given or tuple(used)
        if not given:
            raise self.wrong("rules must name at least one rule, by id or name", "rules")
        if twice := sorted({rule for rule in given if given.count(rule) > 1}):
            raise self.wrong(f"rules names a rule twice: {', '.join(twice)}", "rules")
        return given

    def timespan(self) -> timedelta:
        value = self.section.get("timespan")
        found = re.fullmatch(r"([0-9]{1,9})([smhdwMy])", value) if isinstance(value, str) else None
        if found is None or int(found[1]) == 0:
            raise self.wrong(
                f"timespan takes a number and one of s m h d w M y (such as 15m), not {value!r}", "timespan"
            )
        seconds = int(found[1]) * _UNIT_S[found[2]]
        if seconds > _MAX_TIMESPAN.total_seconds():
            raise self.wrong(f"timespan {value} is longer than ten years", "timespan")
        return timedelta(seconds=seconds)

    def condition(self, kind: str, rules: tuple[str, ...]) -> Condition:
        value = self.section.get("condition")
        try:
            if isinstance(value, str):
                if kind not in TEMPORAL:
                    raise ConditionError(f"{kind} takes a condition such as 'gte: 10'; expressions are for temporal")
                if re.search(r"\b(AND|OR|NOT)\b", value):
                    self.warnings.append("and, or, not are written in small letters in conditions")
                return alternatives(value, rules)
            if value is None and kind in TEMPORAL:
                return Condition((("gte", len(rules)),), text=f"gte: {len(rules)}")
            if not isinstance(value, Mapping):
                raise ConditionError(f"{kind} needs a condition such as 'gte: 10'")
            return _checked(thresholds(value), kind, len(rules))
        except ConditionError as error:
            raise self.wrong(str(error), "condition") from None

    def aliases(self, rules: tuple[str, ...]) -> dict[str, dict[str, str]]:
        value = self.section.get("aliases")
        if value is None:
            return {}
        shape = "aliases takes a mapping: alias → rule name → field name"
        if not isinstance(value, Mapping):
            raise self.wrong(shape, "aliases")
        out: dict[str, dict[str, str]] = {}
        for alias, of in value.items():
            if not isinstance(of, Mapping) or not of or not all(isinstance(name, str) and name for name in of.values()):
                raise self.wrong(f"{shape}; {alias!r} has {of!r}", "aliases")
            if odd := sorted(str(rule) for rule in of if rule not in rules):
                raise self.wrong(f"alias {alias!r} names rules that this correlation does not use: {odd}", "aliases")
            out[str(alias)] = {str(rule): str(name) for rule, name in of.items()}
        return out

    def generate(self) -> bool:
        """The specification's text puts it at the top, its examples and pySigma into the section: both are read."""
        given = [m["generate"] for m in (self.section, self.document) if "generate" in m]
        if not all(isinstance(value, bool) for value in given):
            raise self.wrong(f"generate is true or false, not {given[0]!r}", "generate")
        if len(set(given)) > 1:
            raise self.wrong("generate stands twice and disagrees", "generate")
        return bool(given and given[0])


def _checked(condition: Condition, kind: str, rules: int) -> Condition:
    """The condition if its keys fit the type. Raises ConditionError."""
    takes_field = kind not in ("event_count", *TEMPORAL)
    if takes_field and not condition.fields:
        raise ConditionError(f"{kind} needs 'field' in its condition: whose values are meant")
    if condition.fields and not takes_field:
        raise ConditionError(f"{kind} takes no 'field'; value_count counts distinct values")
    if kind in NUMERIC and len(condition.fields) > 1:
        raise ConditionError(f"{kind} takes one field, not {len(condition.fields)}")
    if kind == "value_percentile" and condition.percentile is None:
        raise ConditionError("value_percentile needs 'percentile' in its condition: which one, such as percentile: 95")
    if kind != "value_percentile" and condition.percentile is not None:
        raise ConditionError(f"{kind} takes no 'percentile'")
    if kind in TEMPORAL and any(op in ("gt", "gte", "eq") and n + (op == "gt") > rules for op, n in condition.compare):
        raise ConditionError(f"{condition.text}: there are only {rules} rules to count")
    return condition
