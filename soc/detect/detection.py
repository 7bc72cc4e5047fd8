"""The `detection` part of a rule: YAML → named selections of items, which pipelines may change → one tree of leaves.

A selection is a mapping (all its items), a list of mappings (any of them), or keywords. Source: Sigma specification
2.1, "Detection".
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from soc.detect import condition
from soc.detect.condition import And, Leaf, Not, Or, Tree
from soc.detect.modifiers import Values, field_key
from soc.detect.modifiers import item as modified
from soc.detect.pattern import Parts, Wild
from soc.detect.predicate import Predicate, Reference
from soc.detect.yamlload import Ambiguous, Map
from soc.event import LogSource

_SPECIAL = ("condition", "timeframe")


class DraftError(ValueError):
    """What is wrong with a rule, and in which line of its file."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass(slots=True)
class RawItem:
    """One detection item as it stands, and the names that pipelines have given to its field.

    `field` is None for keywords. `names` are alternatives; `applied` the ids of the pipeline items that changed it.
    """

    field: str | None
    modifiers: tuple[str, ...]
    values: list[Any]
    line: int
    names: tuple[str, ...] = ()
    applied: set[str] = dataclasses.field(default_factory=set)
    dropped: bool = False


@dataclass(slots=True)
class Draft:
    """A rule under construction: what pipelines see and change. `document` is the YAML, for its attributes."""

    document: Map
    logsource: LogSource
    selections: dict[str, Tree[RawItem]]
    conditions: list[tuple[str, int]]  # text, line
    warnings: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    custom: dict[str, Any] = dataclasses.field(default_factory=dict)
    applied: set[str] = dataclasses.field(default_factory=set)
    state: dict[str, Any] = dataclasses.field(default_factory=dict)
    references: list[RawItem] = dataclasses.field(
        default_factory=list
    )  # fields that others refer to: renamed as items are
    placeholders: dict[str, list[Parts]] = dataclasses.field(default_factory=dict)
    wild_placeholders: list[tuple[frozenset[str] | None, frozenset[str]]] = dataclasses.field(default_factory=list)

    def items(self) -> Iterator[RawItem]:
        for tree in self.selections.values():
            yield from leaves(tree)


@dataclass(frozen=True, slots=True)
class Ask:
    """A leaf of the finished rule: one value asked of one field (None: keywords, any value of the event).

    `targets` are the mapped names, looked up first; `field` itself comes last. `pattern` is as the author wrote it.
    `others` are the names of the field that a Reference refers to, its own last.
    """

    field: str | None
    targets: tuple[str, ...]
    op: str
    pattern: str
    predicates: tuple[Predicate, ...]
    others: tuple[str, ...] = ()


def leaves(tree: Tree[Any]) -> Iterator[Any]:
    """What stands at the leaves, from left to right."""
    if isinstance(tree, Leaf):
        yield tree.asks
    elif isinstance(tree, Not):
        yield from leaves(tree.child)
    else:
        for child in tree.children:
            yield from leaves(child)


def selections(detection: Map) -> dict[str, Tree[RawItem]]:
    """Raises DraftError."""
    out = {}
    for name, definition in detection.items():
        if name not in _SPECIAL:
            out[name] = selection(name, definition, detection.line_of(name))
    if not out:
        raise DraftError(detection.line, "the detection holds no selection")
    return out


def selection(name: str, definition: Any, line: int) -> Tree[RawItem]:
    """One selection. Raises DraftError."""
    if isinstance(definition, Map):
        if not definition:
            raise DraftError(line, f"the selection {name!r} is empty")
        items: list[Tree[RawItem]] = [
            Leaf(_item(name, key, value, definition.line_of(key))) for key, value in definition.items()
        ]
        return items[0] if len(items) == 1 else And(tuple(items))
    if isinstance(definition, list):
        if not definition:
            raise DraftError(line, f"the selection {name!r} is empty")
        keywords = [value for value in definition if not isinstance(value, Map | list)]
        alternatives: list[Tree[RawItem]] = []
        if keywords:
            alternatives.append(Leaf(RawItem(None, (), keywords, line)))
        for value in definition:
            if isinstance(value, list):
                raise DraftError(line, f"the selection {name!r} holds a list within a list")
            if isinstance(value, Map):
                alternatives.append(selection(name, value, value.line))
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))
    if definition is None:
        raise DraftError(line, f"the selection {name!r} is empty")
    return Leaf(RawItem(None, (), [definition], line))


def _item(name: str, key: str, value: Any, line: int) -> RawItem:
    if isinstance(value, Map):
        raise DraftError(line, f"{name}.{key}: a field takes a value or a list of values, not a mapping")
    values = list(value) if isinstance(value, list) else [value]
    if any(isinstance(one, Map | list) for one in values):
        raise DraftError(line, f"{name}.{key}: a list of values cannot hold mappings or lists")
    field_name, modifiers = field_key(key)
    return RawItem(field_name, modifiers, values or [None], line, (field_name,) if field_name is not None else ())


def tree(draft: Draft, names: dict[str, tuple[str, ...]]) -> Tree[Ask]:
    """The whole rule: its conditions (any of them) over its selections. `names`: what each referenced field became.

    Raises DraftError. Adds to draft.warnings.
    """
    used: set[str] = set()
    alternatives: list[Tree[Ask]] = []
    built: dict[str, Tree[Ask] | None] = {}
    for text, line in draft.conditions:
        try:
            parsed = condition.parse(text, draft.selections)
        except ValueError as error:
            raise DraftError(line, str(error)) from None
        used |= parsed.used
        draft.warnings += [(line, warning) for warning in parsed.warnings]
        whole = _named(parsed.tree, draft, built, names)
        if whole is not None:
            alternatives.append(whole)
    for name in draft.selections:
        if name not in used and not name.startswith("_"):
            draft.warnings.append((_line(draft, name), f"the condition never uses the selection {name!r}"))
    if not alternatives:
        raise DraftError(draft.document.line, "nothing is left of the rule after the pipelines")
    return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))


def _line(draft: Draft, name: str) -> int:
    return next((item.line for item in leaves(draft.selections[name])), draft.document.line)


def _named(
    node: Tree[str], draft: Draft, built: dict[str, Tree[Ask] | None], names: dict[str, tuple[str, ...]]
) -> Tree[Ask] | None:
    """The condition with the selections put in; None where pipelines dropped everything."""
    if isinstance(node, Leaf):
        if node.asks not in built:
            inner = _asks(draft.selections[node.asks], draft, names)
            built[node.asks] = _labelled(inner, node.asks)
        return built[node.asks]
    if isinstance(node, Not):
        child = _named(node.child, draft, built, names)
        return None if child is None else Not(child)
    return _joined(node, (_named(child, draft, built, names) for child in node.children))


def _labelled(inner: Tree[Ask] | None, name: str) -> Tree[Ask] | None:
    if isinstance(inner, And | Or):
        return type(inner)(inner.children, name)
    return None if inner is None else And((inner,), name)


def _joined(node: And[Any] | Or[Any], children: Iterable[Tree[Ask] | None]) -> Tree[Ask] | None:
    kept = tuple(child for child in children if child is not None)
    if not kept:
        return None
    return kept[0] if len(kept) == 1 and not node.name else type(node)(kept, node.name)


def _asks(node: Tree[RawItem], draft: Draft, names: dict[str, tuple[str, ...]]) -> Tree[Ask] | None:
    if isinstance(node, Leaf):
        return None if node.asks.dropped else _leaf(node.asks, draft, names)
    if isinstance(node, Not):
        child = _asks(node.child, draft, names)
        return None if child is None else Not(child)
    return _joined(node, (_asks(child, draft, names) for child in node.children))


def _leaf(raw: RawItem, draft: Draft, names: dict[str, tuple[str, ...]]) -> Tree[Ask]:
    for value in raw.values:
        if isinstance(value, Ambiguous) and raw.modifiers[:1] != ("exists",):
            draft.warnings.append((raw.line, f"{value!s} without quotes is read as text here; write it in quotes"))
    try:
        done = modified(raw.modifiers, raw.values, keyword=raw.field is None, expand=_values(draft))
    except ValueError as error:
        raise DraftError(raw.line, str(error)) from None
    targets = _targets(raw.field, raw.names)
    asked: list[Tree[Ask]] = []
    for one in done.asked:
        refers = [p.field for p in one.predicates if isinstance(p, Reference)]
        others = () if not refers else (*_targets(refers[0], names.get(refers[0], ())), refers[0])
        asked.append(Leaf(Ask(raw.field, targets, done.op, one.pattern, one.predicates, others)))
    whole = asked[0] if len(asked) == 1 else And(tuple(asked)) if done.all else Or(tuple(asked))
    return Not(whole) if done.negated else whole


def _targets(field: str | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The mapped names of a field; none if it has kept its own."""
    return () if names == (field,) else names


def _values(draft: Draft) -> Values:
    def expand(name: str) -> list[Parts] | None:
        if name in draft.placeholders:
            return draft.placeholders[name]
        for include, exclude in draft.wild_placeholders:
            if (include is None or name in include) and name not in exclude:
                return [(Wild.ANY,)]
        return None

    return expand


def similar(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""
