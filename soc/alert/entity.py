"""Who or what an alert is about: a detection in, its entity (field → value) out.

A correlation's entity is its group. A rule may name its own in `soc: {entity: [source.ip]}`. Else it is what the
events of its kind have in common: the peer for web and network traffic, the host for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from soc.event import Detection, text_of

_PEER_CATEGORIES: Final = frozenset({"web", "network", "intrusion_detection"})
_FALLBACK: Final = ("host.name", "host.ip", "observer.name", "source.ip", "user.name", "event.dataset")


def entity(detection: Detection, named: Sequence[str] = ()) -> dict[str, str]:
    """Field → text; {} only when the event holds none of the fields."""
    if detection.kind == "correlation":
        return dict(detection.group)
    fields = detection.fields
    if chosen := {name: _one(fields[name]) for name in named if fields.get(name) is not None}:
        return chosen
    categories = fields.get("event.category") or ()
    order = ("source.ip", *_FALLBACK) if _PEER_CATEGORIES & set(categories) else _FALLBACK
    return next(({name: _one(fields[name])} for name in order if fields.get(name)), {})


def named_entity(custom: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of `soc: {entity: […]}` among a rule's own keys; () where it names none."""
    own = custom.get("soc")
    named = own.get("entity") if isinstance(own, Mapping) else None
    return tuple(str(n) for n in named) if isinstance(named, list) else ()


def _one(value: object) -> str:
    if isinstance(value, list):
        return text_of(value[0]) if value else ""
    return text_of(value)


def where(fields: Mapping[str, Any]) -> str:
    """The place that a headline names: host, else observer, else the peer."""
    for name in ("host.name", "observer.name", "host.ip", "destination.ip", "source.ip"):
        if value := fields.get(name):
            return _one(value)
    return ""
