"""Conditions of pipeline items: the YAML of one condition → a question about a rule, a field name or a detection item.

The words and meanings are pySigma's (sigma.processing.conditions, version 1.5), so that one file serves both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from soc.detect.condition import Leaf, Not, Or, Tree
from soc.detect.condition import parse as parse_condition
from soc.detect.detection import Draft, RawItem
from soc.detect.pattern import Wild, parse
from soc.detect.predicate import OPERATORS
from soc.detect.yamlload import Map

#: Does the rule, one of its items under one of the names of its field, satisfy the condition?
Question = Callable[[Draft, RawItem, "str | None"], bool]

LEVELS: Final = ("informational", "low", "medium", "high", "critical")
STATUSES: Final = ("unsupported", "deprecated", "experimental", "test", "stable")


def question(kind: str, item: Map, prefix: str) -> Question:
    """What an item's `<prefix>_conditions`, `_cond_op`, `_cond_not` and `_cond_expr` ask. Raises ValueError."""
    definitions = item.get(f"{prefix}_conditions") or []
    expression = item.get(f"{prefix}_cond_expr")
    negated = item.get(f"{prefix}_cond_not", False)
    if not isinstance(negated, bool):
        raise ValueError(f"{prefix}_cond_not takes true or false")
    if isinstance(definitions, Map):
        if expression is None:
            raise ValueError(f"{prefix}_conditions with names need a {prefix}_cond_expr that joins them")
        named = {name: _one(kind, definition) for name, definition in definitions.items()}
        whole = _expressed(parse_condition(str(expression), named).tree, named)
    elif isinstance(definitions, list):
        if expression is not None:
            raise ValueError(f"{prefix}_cond_expr needs {prefix}_conditions with names")
        asked = [_one(kind, definition) for definition in definitions]
        if not asked:
            return lambda draft, raw, name: True
        link = item.get(f"{prefix}_cond_op", "and")
        if link not in ("and", "or"):
            raise ValueError(f"{prefix}_cond_op is `and` or `or`, not {link!r}")
        joined = any if link == "or" else all
        whole = lambda draft, raw, name: joined(one(draft, raw, name) for one in asked)  # noqa: E731
    else:
        raise ValueError(f"{prefix}_conditions is a list, or a mapping with a {prefix}_cond_expr")
    return (lambda draft, raw, name: not whole(draft, raw, name)) if negated else whole


def _expressed(tree: Tree[str], named: dict[str, Question]) -> Question:
    if isinstance(tree, Leaf):
        return named[tree.asks]
    if isinstance(tree, Not):
        child = _expressed(tree.child, named)
        return lambda draft, raw, name: not child(draft, raw, name)
    children = [_expressed(child, named) for child in tree.children]
    joined = any if isinstance(tree, Or) else all
    return lambda draft, raw, name: joined(child(draft, raw, name) for child in children)


def _one(kind: str, definition: Any) -> Question:
    if not isinstance(definition, Map) or not isinstance(definition.get("type"), str):
        raise ValueError("a condition is a mapping with a `type`")
    known = _KINDS[kind]
    name = definition["type"]
    if name not in known:
        raise ValueError(f"the {kind} condition {name!r} is not supported (supported: {', '.join(known)})")
    params = {key: value for key, value in definition.items() if key != "type"}
    try:
        return known[name](**params)
    except TypeError as error:
        raise ValueError(f"the condition {name!r}: {str(error).partition(') ')[2] or error}") from None


def _logsource(category: str | None = None, product: str | None = None, service: str | None = None) -> Question:
    def ask(draft: Draft, raw: RawItem, name: str | None) -> bool:
        has = draft.logsource
        return (
            (category is None or has.category == category)
            and (product is None or has.product == product)
            and (service is None or has.service == service)
        )

    return ask


def _contains_field(field: str) -> Question:
    return lambda draft, raw, name: any(field in item.names for item in draft.items())


def _contains_item(field: str, value: Any) -> Question:
    return lambda draft, raw, name: any(field in item.names and value in item.values for item in draft.items())


def _rule_applied(processing_item_id: str) -> Question:
    return lambda draft, raw, name: processing_item_id in draft.applied


def _item_applied(processing_item_id: str) -> Question:
    return lambda draft, raw, name: processing_item_id in raw.applied


def _state(key: str, val: Any, op: str = "eq") -> Question:
    if op != "ne" and op not in OPERATORS:
        raise ValueError(f"the operation {op!r} is none of eq, ne, gt, gte, lt, lte")

    def ask(draft: Draft, raw: RawItem, name: str | None) -> bool:
        if key not in draft.state:
            return False
        return draft.state[key] != val if op == "ne" else OPERATORS[op](draft.state[key], val)

    return ask


def _is_rule() -> Question:
    return lambda draft, raw, name: True


def _is_correlation() -> Question:
    return lambda draft, raw, name: False


def _attribute(attribute: str, value: Any, op: str = "eq") -> Question:
    if op not in (*OPERATORS, "ne", "in", "not_in"):
        raise ValueError(f"the operation {op!r} is none of eq, ne, gt, gte, lt, lte, in, not_in")
    order = {"level": LEVELS, "status": STATUSES}.get(attribute)
    if order is not None and value not in order:
        raise ValueError(f"{value!r} is no {attribute} (there are: {', '.join(order)})")

    def ask(draft: Draft, raw: RawItem, name: str | None) -> bool:
        has = draft.document.get(attribute, draft.custom.get(attribute))
        if has is None:
            return False
        if isinstance(has, list):
            return op == "ne" or (op in ("in", "not_in") and (value in has) == (op == "in"))
        if op in ("in", "not_in"):
            return False
        if order is not None:
            return has in order and _compares(op, order.index(has), order.index(value))
        return _compares(op, has, value)

    return ask


def _compares(op: str, has: Any, value: Any) -> bool:
    if op in ("eq", "ne"):
        return (str(has) == str(value)) == (op == "eq")
    try:
        return OPERATORS[op](has, value)
    except TypeError:
        return False


def _tag(tag: str) -> Question:
    return lambda draft, raw, name: tag in (draft.document.get("tags") or [])


def _include(fields: list[str], mode: str = "plain") -> Question:
    if mode not in ("plain", "re"):
        raise ValueError(f"the mode {mode!r} is neither plain nor re")
    if not isinstance(fields, list):
        raise ValueError("`fields` is a list")
    if mode == "plain":
        known = frozenset(str(one) for one in fields)
        return lambda draft, raw, name: name in known
    patterns = [_expression(str(one)) for one in fields]
    return lambda draft, raw, name: name is not None and any(p.match(name) for p in patterns)


def _exclude(fields: list[str], mode: str = "plain") -> Question:
    inner = _include(fields, mode)
    return lambda draft, raw, name: not inner(draft, raw, name)


def _expression(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None


def _values(cond: str, ask: Callable[[Any], bool]) -> Question:
    if cond not in ("any", "all"):
        raise ValueError(f"`cond` is any or all, not {cond!r}")
    joined = any if cond == "any" else all
    return lambda draft, raw, name: joined(ask(value) for value in raw.values)


def _match_string(cond: str, pattern: str, negate: bool = False) -> Question:
    compiled = _expression(pattern)
    return _values(cond, lambda value: (isinstance(value, str) and compiled.match(value) is not None) != negate)


def _match_value(cond: str, value: Any) -> Question:
    return _values(cond, lambda has: bool(has == value) and isinstance(has, bool) == isinstance(value, bool))


def _contains_wildcard(cond: str) -> Question:
    return _values(cond, lambda value: isinstance(value, str) and any(isinstance(p, Wild) for p in parse(value)))


def _is_null(cond: str) -> Question:
    return _values(cond, lambda value: value is None)


_KINDS: Final[dict[str, dict[str, Callable[..., Question]]]] = {
    "rule": {
        "logsource": _logsource,
        "contains_detection_item": _contains_item,
        "contains_field": _contains_field,
        "processing_item_applied": _rule_applied,
        "processing_state": _state,
        "is_sigma_rule": _is_rule,
        "is_sigma_correlation_rule": _is_correlation,
        "rule_attribute": _attribute,
        "tag": _tag,
    },
    "field name": {
        "include_fields": _include,
        "exclude_fields": _exclude,
        "processing_item_applied": _item_applied,
        "processing_state": _state,
    },
    "detection item": {
        "match_string": _match_string,
        "match_value": _match_value,
        "contains_wildcard": _contains_wildcard,
        "is_null": _is_null,
        "processing_item_applied": _item_applied,
        "processing_state": _state,
    },
}
