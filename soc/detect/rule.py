"""Rules: one YAML document with `detection` → a Rule, its tree of leaves ready to compile.

Source: Sigma specification 2.1, "Sigma Rules".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from soc.detect.condition import Tree
from soc.detect.detection import Ask, Draft, DraftError, RawItem, selections, similar, tree
from soc.detect.pattern import Parts
from soc.detect.pipeline import Pipeline, apply_pipelines
from soc.detect.pipeline_conditions import LEVELS, STATUSES
from soc.detect.yamlload import Map
from soc.event import ContentError, LogSource, digest

KEYS: Final = frozenset(
    (
        "title",
        "id",
        "name",
        "related",
        "taxonomy",
        "status",
        "description",
        "license",
        "author",
        "references",
        "date",
        "modified",
        "logsource",
        "detection",
        "fields",
        "falsepositives",
        "level",
        "tags",
        "scope",
        "action",
    )
)
_DEFAULT_LEVEL: Final = "medium"


@dataclass(slots=True, eq=False)
class Rule:
    """A Sigma rule for single events. `custom` holds the top-level keys that Sigma does not know (`soc`, i18n).

    `version` is a hash of the text, `raw` the text itself, `pack` the path given to load_rules that it came from,
    `logsource` is what events must be, after the pipelines, `asked` what the document says,
    `filters` the ids of the filters that narrow it, `line` where its document begins.
    """

    id: str
    title: str
    level: str
    status: str
    path: Path
    line: int
    version: str
    logsource: LogSource
    asked: LogSource
    tree: Tree[Ask]
    raw: str
    pack: str
    name: str = ""
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    related: tuple[Mapping[str, Any], ...] = ()
    custom: Mapping[str, Any] = field(default_factory=dict)
    filters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document came from: file, pack, first line, text."""

    path: Path
    pack: str
    line: int
    raw: str


Warnings = list[ContentError]


def parse_rule(
    document: Map,
    origin: Origin,
    pipelines: Iterable[Pipeline],
    placeholders: Mapping[str, list[Parts]],
    warnings: Warnings,
) -> Rule:
    """Raises ContentError."""
    path = origin.path
    try:
        draft = _draft(document, placeholders)
        return _rule(draft, origin, pipelines, warnings)
    except DraftError as error:
        raise ContentError(path, error.line, error.why) from None


def _draft(document: Map, placeholders: Mapping[str, list[Parts]]) -> Draft:
    detection = document.get("detection")
    if not isinstance(detection, Map):
        raise DraftError(document.line_of("detection"), "`detection` is a mapping of selections with a `condition`")
    condition = detection.get("condition")
    line = detection.line_of("condition")
    listed = condition if isinstance(condition, list) else [condition]
    texts = [text for text in listed if isinstance(text, str) and text.strip()]
    if not texts or len(texts) < len(listed):
        raise DraftError(line, "`condition` is a text, or a list of texts")
    draft = Draft(
        document,
        logsource(document.get("logsource"), document.line_of("logsource")),
        selections(detection),
        [(text, line) for text in texts],
        placeholders=dict(placeholders),
    )
    if "timeframe" in detection:
        draft.warnings.append(
            (detection.line_of("timeframe"), "`timeframe` has no effect: correlation rules took its place (`timespan`)")
        )
    draft.references = references(draft)
    return draft


def _rule(draft: Draft, origin: Origin, pipelines: Iterable[Pipeline], warnings: Warnings) -> Rule:
    document = draft.document
    title = _text(document, "title")
    if not title:
        raise DraftError(document.line, "a rule needs a `title`")
    level = _word(draft, "level", LEVELS, _DEFAULT_LEVEL)
    status = _word(draft, "status", STATUSES, "")
    identity = rule_id(draft, origin)
    if document.get("taxonomy", "sigma") != "sigma":
        why = f"the taxonomy {document['taxonomy']!r} is not Sigma's: a pipeline must map its fields"
        draft.warnings.append((document.line_of("taxonomy"), why))
    asked = draft.logsource
    apply_pipelines(pipelines, draft)
    names = {item.field: item.names for item in draft.references if item.field is not None}
    built = tree(draft, names)
    warnings += [ContentError(origin.path, line, why) for line, why in draft.warnings]
    return Rule(
        id=identity,
        title=title,
        level=level,
        status=status,
        path=origin.path,
        line=origin.line,
        version=digest(origin.raw),
        logsource=draft.logsource,
        asked=asked,
        tree=built,
        raw=origin.raw,
        pack=origin.pack,
        name=_text(document, "name"),
        description=_text(document, "description"),
        author=_text(document, "author"),
        tags=_texts(document, "tags"),
        falsepositives=_texts(document, "falsepositives"),
        references=_texts(document, "references"),
        fields=_texts(document, "fields"),
        related=tuple(r for r in document.get("related") or () if isinstance(r, Map)),
        custom={key: value for key, value in document.items() if key not in KEYS} | draft.custom,
    )


def names_of(rule: Rule, document: Map, wanted: str, pipelines: Iterable[Pipeline]) -> tuple[str, ...]:
    """The names under which an event of this rule's kind holds a field, the field's own name last."""
    draft = _draft(document, {})
    item = RawItem(wanted, (), [], 0, (wanted,))
    draft.references = [item]
    apply_pipelines(pipelines, draft)
    return tuple(dict.fromkeys((*item.names, wanted)))


def references(draft: Draft) -> list[RawItem]:
    """The fields that `fieldref` items name, to be renamed as the others are."""
    return [
        RawItem(value, (), [], item.line, (value,))
        for item in draft.items()
        if "fieldref" in item.modifiers
        for value in item.values
        if isinstance(value, str)
    ]


def contains(wanted: LogSource, has: LogSource) -> bool:
    """Is all that is asked for what is there?"""
    return all(mine is None or mine == its for mine, its in zip(wanted, has, strict=True))


def logsource(value: Any, line: int) -> LogSource:
    """Raises DraftError for a log source that says nothing."""
    if not isinstance(value, Map):
        raise DraftError(line, "`logsource` is a mapping with product, category or service")
    parts = []
    for key in ("product", "category", "service"):
        part = value.get(key)
        if part is not None and not isinstance(part, str | int | float):
            raise DraftError(value.line_of(key), f"`{key}` is a text")
        parts.append(None if part is None or part == "" else str(part))
    if parts == [None, None, None]:
        raise DraftError(value.line, f"`logsource` names no product, category or service{similar_key(value)}")
    return LogSource(*parts)


def similar_key(value: Map) -> str:
    for key in value:
        hint = similar(key, ("product", "category", "service"))
        if hint:
            return f"; {key!r}{hint}"
    return ""


def rule_id(draft: Draft, origin: Origin) -> str:
    """The rule's own id; a rule without one is known by its name, else by a hash of its text."""
    document = draft.document
    identity = _text(document, "id")
    if not identity:
        draft.warnings.append((document.line, "a rule needs an `id`, a fresh UUID, so that others can refer to it"))
        return _text(document, "name") or digest(origin.raw)
    try:
        UUID(identity)
    except ValueError:
        draft.warnings.append((document.line_of("id"), f"the id {identity!r} is no UUID"))
    return identity


def _word(draft: Draft, key: str, known: tuple[str, ...], default: str) -> str:
    document = draft.document
    value = document.get(key)
    line = document.line_of(key)
    if value is None:
        if default:
            draft.warnings.append((line, f"a rule needs a `{key}`: {default!r} is taken"))
        return default
    if value in known:
        return str(value)
    lower = str(value).lower()
    if lower not in known:
        raise DraftError(line, f"{value!r} is no {key} (there are: {', '.join(known)}){similar(lower, known)}")
    draft.warnings.append((line, f"write the {key} {lower!r} in small letters"))
    return lower


def _text(document: Map, key: str) -> str:
    value = document.get(key)
    if isinstance(value, Map | list):
        raise DraftError(document.line_of(key), f"`{key}` is a text")
    return "" if value is None else str(value).strip()


def _texts(document: Map, key: str) -> tuple[str, ...]:
    value = document.get(key)
    listed = value if isinstance(value, list) else [value]
    return tuple(str(one) for one in listed if one is not None)
