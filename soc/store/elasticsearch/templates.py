"""The tables of fields → the templates that the cluster needs, as the bodies that `PUT` takes.

Component templates (`soc@settings`, `soc@ecs`, `soc@vendor`, `soc@own`, `soc@alert`) and an index template for each
kind of index. What an operator adds goes into `soc-<kind>@custom` component templates, which ours name and never write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from soc.event import digest
from soc.store.elasticsearch.fields import LETTER, LONGEST_WORD, alert_fields, ecs_fields, own_fields, vendor_fields
from soc.store.elasticsearch.names import CLASSES

VERSION: Final = 1  # of what our indices hold beside the fields; goes up when `encode` and `plan` ask for more
MANAGED_BY: Final = "soc"

#: Above those that a full server brings for logs-*-* (100), and what guides recommend for one's own (200).
_PRIORITY: Final = 250
_ALIASED: Final = 260

_RECORD: Final[Mapping[str, dict[str, Any]]] = {
    "@timestamp": {"type": "date"},
    "soc.record.id": {"type": "keyword"},
    "soc.record.fate": {"type": "keyword"},
    "soc.record.unit": {"type": "keyword"},
    "soc.record.source": {"type": "keyword"},
    "soc.record.registered": {"type": "keyword"},
    "soc.record.received_us": {"type": "long"},
    "soc.record.code": {"type": "keyword"},
    "soc.record.stage": {"type": "keyword"},
    "soc.record.data": {"type": "binary"},
}
_STATE: Final[Mapping[str, dict[str, Any]]] = {"@timestamp": {"type": "date"}, "state.bytes": {"type": "binary"}}

_CASE: Final[dict[str, Any]] = {"normalizer": {"soc_case": {"type": "custom", "filter": ["lowercase"]}}}
_WORDS: Final[dict[str, Any]] = {
    "tokenizer": {"soc_words": {"type": "simple_pattern", "pattern": f"[{LETTER}][{LETTER}\u0300-\u036f]*"}},
    "filter": {
        "soc_marks": {"type": "pattern_replace", "pattern": "[\u0300-\u036f]+", "replacement": ""},
        "soc_longest": {"type": "truncate", "length": str(LONGEST_WORD)},
    },
    "analyzer": {
        "soc_words": {
            "type": "custom",
            "tokenizer": "soc_words",
            "filter": ["soc_marks", "asciifolding", "lowercase", "soc_longest"],
        }
    },
}
#: What words without a field are looked for in, by the server's own query languages.
_SPOKEN: Final = ["error.message", "event.original", "event.reason.words", "message", "soc.index.text"]

Kind = Literal["component", "index"]


@dataclass(frozen=True, slots=True)
class Template:
    """A component or index template: its name and body, which holds `_meta` with our version and the body's hash."""

    kind: Kind
    name: str
    body: dict[str, Any]

    @property
    def path(self) -> str:
        return f"/_{'component' if self.kind == 'component' else 'index'}_template/{self.name}"


def templates(
    ecs: Mapping[str, str],
    *,
    namespaces: Sequence[str] = (),
    shards: int = 1,
    replicas: int = 0,
    refresh_s: float = 5.0,
) -> list[Template]:
    """All of them, in the order in which the server takes them.

    `ecs`: ECS field → its type as soc/normalize/ecs.yml says it. `namespaces`: those whose indices get an alias without
    the time. `shards`, `replicas` of an index of events. `refresh_s`: how soon events can be searched; alerts can after
    one second.
    """
    analysis = {"index": {"analysis": {**_WORDS, **_CASE}}}
    made = [
        _component("soc@settings", {"settings": _settings(shards, replicas, refresh_s)}),
        _component("soc@ecs", {"settings": analysis, "mappings": _mappings(ecs_fields(ecs))}),
        _component("soc@vendor", {"settings": analysis, "mappings": _mappings(vendor_fields())}),
        _component("soc@own", {"settings": analysis, "mappings": _mappings(own_fields())}),
        _component("soc@alert", {"settings": analysis, "mappings": _mappings(alert_fields(ecs))}),
    ]
    quick = {"index": {"refresh_interval": "1s", "number_of_shards": "1"}}
    kinds: list[tuple[str, str, dict[str, Any], tuple[str, ...]]] = [
        *((f"soc-{kind}", f"logs-soc.{kind}", {}, _EVENT) for kind in CLASSES),
        *((name, name, {"settings": quick}, _ALERT) for name in ("soc-alerts", "soc-shadow")),
    ]
    for name, start, template, composed in kinds:
        made.append(_index(name, f"{start}-*", template, composed, f"{name}@custom", _PRIORITY))
        for space in namespaces:
            aliased = {**template, "aliases": {f"{start}-{space}": {}}}
            made.append(_index(f"{name}-{space}", f"{start}-{space}-*", aliased, composed, f"{name}@custom", _ALIASED))
    one = {"index": {"number_of_shards": "1", "refresh_interval": "5s", "number_of_replicas": str(replicas)}}
    for name, fields in (("soc-records", _RECORD), ("soc-state", _STATE)):
        plain = {"settings": one, "mappings": _mappings(fields)}
        made.append(_index(name, f"{name}-*", plain, (), f"{name}@custom", _PRIORITY))
    return made


_EVENT: Final = ("soc@settings", "soc@ecs", "soc@vendor", "soc@own")
_ALERT: Final = ("soc@settings", "soc@alert")


def _component(name: str, template: dict[str, Any]) -> Template:
    return Template("component", name, _marked({"template": template}))


def _index(
    name: str, pattern: str, template: dict[str, Any], composed: tuple[str, ...], custom: str, priority: int
) -> Template:
    own = template.get("settings", {}).get("index", {})
    settings = {"index": {"mode": "standard", "codec": "best_compression", **own}}
    body = {
        "index_patterns": [pattern],
        "priority": priority,
        "composed_of": [*composed, custom],
        "ignore_missing_component_templates": [custom],
        "template": {**template, "settings": settings},
    }
    return Template("index", name, _marked(body, whole=True))


def _marked(body: dict[str, Any], whole: bool = False) -> dict[str, Any]:
    """The body with `_meta`; an index template's own mapping says it, too, so that an index tells who made it."""
    meta = {
        "version": VERSION,
        "managed_by": MANAGED_BY,
        "hash": digest(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)),
    }
    if whole:
        mappings = {**body["template"].get("mappings", {}), "_meta": {"managed_by": MANAGED_BY, "version": VERSION}}
        body = {**body, "template": {**body["template"], "mappings": mappings}}
    return {**body, "_meta": meta}


def _settings(shards: int, replicas: int, refresh_s: float) -> dict[str, Any]:
    """Numbers as texts, as the server gives them back."""
    return {
        "index": {
            "number_of_shards": str(shards),
            "number_of_replicas": str(replicas),
            "refresh_interval": f"{round(refresh_s * 1000)}ms",
            "mapping": {"total_fields": {"limit": "3000"}},
            "max_regex_length": "20000",
            "query": {"default_field": _SPOKEN},
        }
    }


def _mappings(fields: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Unknown fields are kept, not indexed: what arrives never changes a mapping."""
    root: dict[str, Any] = {}
    for name, field in sorted(fields.items()):
        node = root
        *parents, leaf = name.split(".")
        for parent in parents:
            node = node.setdefault(parent, {}).setdefault("properties", {})
        node[leaf] = field
    return {"dynamic": "false", "properties": root}
