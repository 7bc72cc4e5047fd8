"""A mapping of the server, or the fields that it reports for some indices → how each field can be asked.

Kinds: "folded" (keyword in small letters, with `<field>.exact` beside it), "keyword" (as written), "text" (by words),
"long", "double", "boolean", "date", "ip", and "other" for what only an operator's own template brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from soc.store.elasticsearch.shapes import RESERVED

_KINDS: Final = {
    "keyword": "keyword",
    "text": "text",
    "long": "long",
    "integer": "long",
    "short": "long",
    "byte": "long",
    "double": "double",
    "boolean": "boolean",
    "date": "date",
    "ip": "ip",
}
_OTHER: Final = "other"
_COUNTED: Final = frozenset({"keyword", "long", "boolean", "ip"})


@dataclass(frozen=True, slots=True)
class Known:
    """The fields of some indices, but for our own under soc.index and soc.record."""

    kinds: Mapping[str, str]
    words: Mapping[str, str]  # field that is searched by words → the one of the index that holds them
    columns: Mapping[str, str]  # field whose values the server counts as they were written → its column


def kinds(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Field → kind, of an index's mapping."""
    return {name: kind for name, kind in _walk(mapping.get("properties", {})) if not name.startswith(RESERVED)}


def _walk(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in properties.items():
        if "properties" in field:
            yield from _walk(field["properties"], f"{prefix}{name}.")
        elif field.get("type", "object") != "object":
            inner = field.get("fields", {})
            yield prefix + name, _kind(field["type"], "words" in inner, "exact" in inner)


def _kind(server_type: str, words: bool, exact: bool) -> str:
    kind = _KINDS.get(server_type, _OTHER)
    if kind == "keyword" and words:
        return "text"
    return "folded" if kind == "keyword" and exact else kind


def known(reported: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Known:
    """Of `_field_caps`: field → type → what it can do. A field with two types is of another kind."""
    named = {name: types for name, types in reported.items() if not name.startswith(RESERVED) and "object" not in types}
    found: dict[str, str] = {}
    words: dict[str, str] = {}
    columns: dict[str, str] = {}
    for name, types in named.items():
        parent = name.rpartition(".")[0]
        if parent in named and name in (f"{parent}.exact", f"{parent}.words"):
            continue
        exact, spoken = f"{name}.exact", f"{name}.words"
        server_type, can = next(iter(types.items()))
        kind = _kind(server_type, spoken in named, exact in named) if len(types) == 1 else _OTHER
        found[name] = kind
        if kind == "text":
            words[name] = spoken if spoken in named else name
        if exact in named and kind != _OTHER:
            columns[name] = exact
        elif can.get("aggregatable") and (kind in _COUNTED or (kind == "text" and server_type == "keyword")):
            columns[name] = name
    return Known(found, words, columns)
