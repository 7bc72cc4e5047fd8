"""ECS field names → their types, from ecs.yml; a flat document → what in it is not valid ECS."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from soc.content import read_yaml
from soc.event import Fields, parse_rfc3339

_PATH: Final = Path(__file__).with_name("ecs.yml")
TYPES: Final = frozenset({"keyword", "text", "long", "float", "boolean", "date", "ip", "object"})


@dataclass(frozen=True, slots=True)
class FieldType:
    """`kind` is one of TYPES; `many`: ECS wants a list."""

    kind: str
    many: bool = False


@dataclass(frozen=True, slots=True)
class Ecs:
    """The table. `allowed` holds the closed value sets of the categorisation fields."""

    fields: Mapping[str, FieldType]
    allowed: Mapping[str, frozenset[str]]


def _walk(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, FieldType]]:
    for name, what in tree.items():
        if isinstance(what, Mapping):
            yield from _walk(what, f"{prefix}{name}.")
        elif isinstance(what, list):
            yield prefix + name, FieldType(what[0], many=True)
        else:
            yield prefix + name, FieldType(what)


@cache
def ecs() -> Ecs:
    """The table of this program; read once."""
    tree = read_yaml(_PATH)
    fields = dict(_walk({**tree["fields"], **tree["extra"]}))
    for name, places in tree["reuse"].items():
        for place in places:
            fields.update(_walk(tree["sets"][name], f"{place}."))
    assert all(t.kind in TYPES for t in fields.values())
    return Ecs(fields, {name: frozenset(values) for name, values in tree["allowed"].items()})


def _fits(kind: str, value: object) -> bool:
    match kind:
        case "long":
            return value.__class__ is int and -(2**63) <= value < 2**63
        case "float":
            return value.__class__ in (int, float)
        case "boolean":
            return value.__class__ is bool
        case "object":
            return value.__class__ in (dict, list)
    if not isinstance(value, str):
        return False
    try:
        if kind == "ip":
            ipaddress.ip_address(value)
        elif kind == "date":
            parse_rfc3339(value)
    except ValueError:
        return False
    return True


def invalid(fields: Fields) -> list[str]:
    """Sentences on what is not valid ECS in a flat document: types, lists, closed value sets.

    Names that ECS does not know are the vendor's own and pass; a source's targets are checked when it is loaded.
    """
    table, wrong = ecs(), []
    for name in ("@timestamp", "event.kind", "event.dataset", "event.original"):
        if name not in fields:
            wrong.append(f"{name} is missing")
    for name, value in fields.items():
        kind = table.fields.get(name)
        if kind is None:
            continue
        if kind.many != isinstance(value, list) and kind.kind != "object":
            wrong.append(f"{name} is {'not ' if kind.many else ''}a list: {value!r}")
            continue
        values = value if isinstance(value, list) else [value]
        if kind.kind == "object":
            values = [value]
        wrong += [f"{name} is no {kind.kind}: {v!r}" for v in values if not _fits(kind.kind, v)]
        closed = table.allowed.get(name)
        if closed is not None:
            wrong += [
                f"{name} cannot be {v!r}; ECS allows {', '.join(sorted(closed))}" for v in values if v not in closed
            ]
    return wrong
