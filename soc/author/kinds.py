"""Names of fields → the type under which our Elasticsearch templates index them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from soc.normalize.ecs import ecs
from soc.store.elasticsearch.templates import templates


def kind(name: str) -> str:
    """keyword, text, ip, date, boolean, long, double or flattened; "" for what no query can search."""
    return _table().get(name, "")


@cache
def _table() -> Mapping[str, str]:
    types = {name: field.kind for name, field in ecs().fields.items()}
    out: dict[str, str] = {}
    for template in templates(types):
        if template.kind == "component":
            out.update(_walk(template.body["template"].get("mappings", {}).get("properties", {})))
    return out


def _walk(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in properties.items():
        if "type" in field and field.get("index", True):
            yield prefix + name, field["type"]
        yield from _walk(field.get("properties", {}), f"{prefix}{name}.")
