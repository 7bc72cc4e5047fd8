"""Transformations of pipeline items: the YAML of one transformation → a change to a rule under construction.

The words and meanings are pySigma's (sigma.processing.transformations, version 1.5). What only makes sense for a query
text, or reaches out to commands and the network, is refused by name.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any, Final

from soc.detect.condition import And, Leaf, Tree
from soc.detect.detection import Draft, DraftError, RawItem, selection
from soc.detect.pattern import Parts, parse
from soc.detect.value import text
from soc.detect.yamlload import Map
from soc.event import LogSource

#: Changes the rule; the second argument says whether an item under a name is concerned, the third is the item's id.
Concerned = Callable[[RawItem, "str | None"], bool]
Change = Callable[[Draft, Concerned, str], None]


def change(kind: str, params: dict[str, Any], variables: dict[str, Any]) -> Change:
    """Raises ValueError for an unknown transformation or parameter."""
    if kind not in KINDS:
        raise ValueError(f"the transformation {kind!r} is not supported (supported: {', '.join(KINDS)})")
    if kind == "value_placeholders":
        params = {**params, "variables": variables}
    try:
        return KINDS[kind](**params)
    except TypeError as error:
        raise ValueError(f"the transformation {kind!r}: {str(error).partition(') ')[2] or error}") from None


# ---------------------------------------------------------------- field names


def _renamed(names: Callable[[str], tuple[str, ...] | None]) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        for item in (*draft.items(), *draft.references):
            if item.field is None:
                continue
            found = [names(name) if concerned(item, name) else None for name in item.names]
            if any(one is not None for one in found):
                pairs = zip(item.names, found, strict=True)
                item.names = tuple(dict.fromkeys(new for name, one in pairs for new in (one or (name,))))
                item.applied.add(identity)

    return apply


def _targets(mapping: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(mapping, Map):
        raise ValueError("`mapping` is a mapping of names to a name or a list of names")
    out = {}
    for name, target in mapping.items():
        targets = target if isinstance(target, list) else [target]
        if not targets or not all(isinstance(one, str) and one for one in targets):
            raise ValueError(f"{name!r} maps to {target!r}: a name or a list of names was expected")
        out[name] = tuple(targets)
    return out


def _mapping(mapping: Any) -> Change:
    return _renamed(_targets(mapping).get)


def _prefix_mapping(mapping: Any) -> Change:
    prefixes = _targets(mapping)

    def names(name: str) -> tuple[str, ...] | None:
        for prefix, targets in prefixes.items():
            if name.startswith(prefix):
                return tuple(target + name[len(prefix) :] for target in targets)
        return None

    return _renamed(names)


def _prefix(prefix: str) -> Change:
    return _renamed(lambda name: (prefix + name,))


def _suffix(suffix: str) -> Change:
    return _renamed(lambda name: (name + suffix,))


# ---------------------------------------------------------------- detection items


def _per_item(act: Callable[[RawItem], None]) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        for item in draft.items():
            if any(concerned(item, name) for name in item.names or (None,)):
                act(item)
                item.applied.add(identity)

    return apply


def _drop() -> Change:
    def act(item: RawItem) -> None:
        item.dropped = True

    return _per_item(act)


def _item_failure(message: str) -> Change:
    def act(item: RawItem) -> None:
        raise DraftError(item.line, message)

    return _per_item(act)


def _replace_string(
    regex: str, replacement: str, skip_special: bool = False, interpret_special: bool = False
) -> Change:
    if skip_special or interpret_special:
        raise ValueError("replace_string with skip_special or interpret_special is not supported")
    try:
        compiled = re.compile(regex)
    except re.error as error:
        raise ValueError(f"{regex!r} is no regular expression: {error}") from None

    def act(item: RawItem) -> None:
        item.values = [
            v if v is None or isinstance(v, bool) else compiled.sub(replacement, text(v)) for v in item.values
        ]

    return _per_item(act)


def _map_string(mapping: Any) -> Change:
    targets = _targets(mapping)

    def act(item: RawItem) -> None:
        item.values = [new for v in item.values for new in (targets.get(v, (v,)) if isinstance(v, str) else (v,))]

    return _per_item(act)


def _set_value(value: Any) -> Change:
    if not isinstance(value, str | int | float | None):
        raise ValueError("`value` is a text, a number, true, false or null")

    def act(item: RawItem) -> None:
        item.values = [value]

    return _per_item(act)


# ---------------------------------------------------------------- the rule


def _add_condition(conditions: Any, name: str = "_cond_added", template: bool = False, negated: bool = False) -> Change:
    if not isinstance(conditions, Map) or not conditions:
        raise ValueError("`conditions` is a mapping of fields to values")

    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        own = name
        while own in draft.selections:
            own += "_"
        filled: Tree[RawItem] = selection(
            own, _templated(conditions, draft) if template else conditions, conditions.line
        )
        for leaf in filled.children if isinstance(filled, And) else (filled,):
            if isinstance(leaf, Leaf):
                leaf.asks.applied.add(identity)
        draft.selections[own] = filled
        sign = "not " if negated else ""
        draft.conditions = [(f"{sign}{own} and ({condition})", line) for condition, line in draft.conditions]

    return apply


def _templated(conditions: Map, draft: Draft) -> Map:
    words = {name: value or "" for name, value in draft.logsource._asdict().items()}

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(one) for one in value]
        return string.Template(value).safe_substitute(words) if isinstance(value, str) else value

    out = Map(conditions.line)
    out.update({key: filled(value) for key, value in conditions.items()})
    return out


def _change_logsource(category: str | None = None, product: str | None = None, service: str | None = None) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        draft.logsource = LogSource(product, category, service)

    return apply


def _set_state(key: str, val: Any) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        draft.state[key] = val

    return apply


def _set_attribute(attribute: str, value: Any) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        draft.custom[attribute] = value

    return apply


def _rule_failure(message: str) -> Change:
    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        raise DraftError(draft.document.line, message)

    return apply


def _no_change(**_params: Any) -> Change:
    """Of the rule's `fields` list, which is for people."""
    return lambda draft, concerned, identity: None


# ---------------------------------------------------------------- placeholders


def _value_placeholders(
    variables: dict[str, Any], include: list[str] | None = None, exclude: list[str] | None = None
) -> Change:
    known: dict[str, list[Parts]] = {}
    for name, values in variables.items():
        listed = values if isinstance(values, list) else [values]
        if not all(isinstance(value, str | int | float) for value in listed):
            raise ValueError(f"the variable {name!r} holds something else than texts and numbers")
        if (include is None or name in include) and name not in (exclude or []):
            known[name] = [parse(value if isinstance(value, str) else text(value)) for value in listed]

    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        draft.placeholders.update(known)

    return apply


def _wildcard_placeholders(include: list[str] | None = None, exclude: list[str] | None = None) -> Change:
    wanted = None if include is None else frozenset(include)

    def apply(draft: Draft, concerned: Concerned, identity: str) -> None:
        draft.wild_placeholders.append((wanted, frozenset(exclude or ())))

    return apply


KINDS: Final[dict[str, Callable[..., Change]]] = {
    "field_name_mapping": _mapping,
    "field_name_prefix_mapping": _prefix_mapping,
    "field_name_prefix": _prefix,
    "field_name_suffix": _suffix,
    "drop_detection_item": _drop,
    "detection_item_failure": _item_failure,
    "replace_string": _replace_string,
    "map_string": _map_string,
    "set_value": _set_value,
    "add_condition": _add_condition,
    "change_logsource": _change_logsource,
    "set_state": _set_state,
    "set_custom_attribute": _set_attribute,
    "rule_failure": _rule_failure,
    "add_field": _no_change,
    "remove_field": _no_change,
    "set_field": _no_change,
    "value_placeholders": _value_placeholders,
    "wildcard_placeholders": _wildcard_placeholders,
}
