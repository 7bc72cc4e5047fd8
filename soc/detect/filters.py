"""Sigma filters: a document with `filter` → a condition that is joined by `and` to the rules it names.

A filter that is to suppress says so itself: `condition: not selection`. Source: Sigma filters specification 2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from soc.detect.condition import Tree
from soc.detect.detection import Ask, Draft, DraftError, selections, tree
from soc.detect.pipeline import Pipeline, apply_pipelines
from soc.detect.rule import Origin, Rule, contains, logsource, references, rule_id
from soc.detect.yamlload import Map
from soc.event import ContentError, LogSource


@dataclass(frozen=True, slots=True)
class Filter:
    """`rules` are ids or names, None = any rule; only rules of the log source are concerned."""

    id: str
    title: str
    origin: Origin
    document: Map
    logsource: LogSource
    rules: tuple[str, ...] | None

    def concerns(self, rule: Rule, asked: LogSource) -> bool:
        """Is the rule (whose document asks for that log source) one of those to be narrowed?"""
        named = self.rules is None or rule.id in self.rules or (bool(rule.name) and rule.name in self.rules)
        return named and contains(self.logsource, asked)


def parse_filter(document: Map, origin: Origin, warnings: list[ContentError]) -> Filter:
    """Raises ContentError. The condition is tried once, so that a bad filter is refused and not its rules."""
    path = origin.path
    try:
        body = document.get("filter")
        if not isinstance(body, Map):
            raise DraftError(document.line_of("filter"), "`filter` is a mapping with rules, selections and a condition")
        rules = body.get("rules")
        if rules is None:
            raise DraftError(body.line, "a filter needs `rules`: ids or names, or `any`")
        listed = rules if isinstance(rules, list) else [rules]
        if not all(isinstance(one, str) for one in listed):
            raise DraftError(body.line_of("rules"), "`rules` is a list of ids or names, or `any`")
        everything = not listed or (len(listed) == 1 and listed[0].lower() == "any")
        source = logsource(document.get("logsource"), document.line_of("logsource"))
        draft = _draft(document, source)
        made = Filter(
            rule_id(draft, origin),
            str(document.get("title") or "").strip(),
            origin,
            document,
            source,
            None if everything else tuple(listed),
        )
        tree(draft, {})
    except DraftError as error:
        raise ContentError(path, error.line, error.why) from None
    warnings += [ContentError(path, line, why) for line, why in draft.warnings]
    if not any(re.search(r"\bnot\b", text, re.IGNORECASE) for text, _ in draft.conditions):
        warnings.append(
            ContentError(
                path,
                body.line_of("condition"),
                "the filter's condition holds no `not`: it keeps only what it selects instead of suppressing it",
            )
        )
    return made


def narrowing(found: Filter, asked: LogSource, pipelines: Iterable[Pipeline]) -> Tree[Ask]:
    """What the filter demands of an event, in the field names of rules of that log source. Raises DraftError."""
    draft = _draft(found.document, asked)
    apply_pipelines(pipelines, draft)
    return tree(draft, {item.field: item.names for item in draft.references if item.field is not None})


def _draft(document: Map, source: LogSource) -> Draft:
    body = document["filter"]
    condition = body.get("condition")
    line = body.line_of("condition")
    if not isinstance(condition, str) or not condition.strip():
        raise DraftError(line, "a filter needs one `condition`, a text")
    detection = Map(body.line)
    for key, value in body.items():
        if key != "rules":
            detection[key] = value
            detection.lines[key] = body.line_of(key)
    draft = Draft(document, source, selections(detection), [(condition, line)])
    draft.references = references(draft)
    return draft
