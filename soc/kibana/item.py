"""What Kibana keeps for us: one object each, with the hash of its content, by which an applied one is known again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

Kind = Literal["space", "role", "data_view", "search", "dashboard", "rule"]

#: The order in which they are applied: each refers to those before it alone.
KINDS: Final[tuple[Kind, ...]] = ("space", "role", "data_view", "search", "dashboard", "rule")

#: Every rule of ours bears it, so that those which are no longer wanted are found.
TAG: Final = "soc-promotion"
_RULE_MARK: Final = "soc-content:"
_ABSENT: Final = object()
_MARK: Final = re.compile(r"\[soc:([0-9a-f]{12})\]")


@dataclass(frozen=True, slots=True)
class Item:
    """One object. `space` is "" for what belongs to no Space. `body` is what the API takes, with its mark."""

    kind: Kind
    space: str
    id: str
    title: str
    body: Mapping[str, Any]


def text(value: Any, *, indent: bool = False) -> bytes:
    """Canonical JSON: the same content is the same bytes."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0)


def content_hash(body: Mapping[str, Any]) -> str:
    """12 hex digits over an unmarked body, whatever the order of its keys."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def marked(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """The body with its hash where objects of the kind have a place for it; data views have none."""
    mark = content_hash(body)
    match kind:
        case "role":
            return {**body, "metadata": {"soc": mark}}
        case "rule":
            return {**body, "tags": [*body["tags"], f"{_RULE_MARK}{mark}"]}
        case "data_view":
            return dict(body)
    return {**body, "description": f"{body['description']} [soc:{mark}]"}


def mark_of(kind: Kind, body: Mapping[str, Any]) -> str:
    """The hash that an object bears; "" if it bears none."""
    match kind:
        case "role":
            metadata = body.get("metadata")
            return str(metadata.get("soc", "")) if isinstance(metadata, Mapping) else ""
        case "rule":
            tags = body.get("tags")
            own = (t for t in tags if isinstance(t, str)) if isinstance(tags, list) else ()
            return next((t.removeprefix(_RULE_MARK) for t in own if t.startswith(_RULE_MARK)), "")
    found = _MARK.search(str(body.get("description", "")))
    return found[1] if found else ""


def contained(wanted: Any, found: Any) -> bool:
    """Whether everything we ask for is there; Kibana adds defaults of its own to what it is given."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(k in found and contained(v, found[k]) for k, v in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(contained(w, f) for w, f in zip(wanted, found, strict=True))
        )
    return bool(wanted == found) and isinstance(wanted, bool) == isinstance(found, bool)


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Dotted places where something that we ask for is not there, for people."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return [
            p
            for k, v in wanted.items()
            for p in differences(v, found.get(k, _ABSENT), f"{path}.{k}" if path else str(k))
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            p for n, (w, f) in enumerate(zip(wanted, found, strict=True)) for p in differences(w, f, f"{path}[{n}]")
        ]
    return [] if contained(wanted, found) else [path or "."]
