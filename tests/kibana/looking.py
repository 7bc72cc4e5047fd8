"""Looks into objects: their fields and what the store's templates say of them, and values by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from soc.kibana import Item
from soc.kibana.kql import fields, parse
from soc.normalize.ecs import ecs
from soc.store.elasticsearch.templates import templates

NUMBERS = {"long", "double", "float", "integer"}


@dataclass(frozen=True)
class Use:
    """A field that something in an item uses, and what for: group, number, time, column, filter, control."""

    view: str
    field: str
    use: str


def mapping_of(pattern: str) -> dict[str, dict[str, Any]]:
    """Dotted field → its mapping, of the index template whose pattern takes the view's index pattern."""
    made = {template.name: template.body for template in templates({n: f.kind for n, f in ecs().fields.items()})}
    index = pattern.split(",")[0].replace("*", "host", 1) if pattern.startswith("logs-soc.*") else pattern.split(",")[0]
    body = next(
        body for body in made.values() if any(fnmatchcase(index, wanted) for wanted in body.get("index_patterns", ()))
    )
    found: dict[str, dict[str, Any]] = {}
    for part in [*(made[name] for name in body["composed_of"] if name in made), body]:
        found |= dict(flattened(part["template"].get("mappings", {}).get("properties", {})))
    return found


def flattened(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in properties.items():
        if "type" in field:
            yield prefix + name, dict(field)
        yield from flattened(field.get("properties", {}), f"{prefix}{name}.")


def panels(item: Item) -> Iterator[dict[str, Any]]:
    """Every panel of a dashboard, with those of its sections."""
    for one in item.body["panels"]:
        yield from one.get("panels", [one])


def uses(item: Item) -> Iterator[Use]:
    """Of a search or a dashboard."""
    if item.kind == "search":
        for tab in item.body["tabs"]:
            yield from tab_uses(tab)
        return
    for control in item.body["pinned_panels"]:
        yield Use(control["config"]["data_view_id"], control["config"]["field_name"], "control")
    for panel in panels(item):
        if panel["type"] == "discover_session":
            for tab in panel["config"]["tabs"]:
                yield from tab_uses(tab)
        elif panel["type"] == "vis":
            yield from chart_uses(panel["config"])


def tab_uses(tab: Mapping[str, Any]) -> Iterator[Use]:
    view = tab["data_source"]["ref_id"]
    yield from (Use(view, column, "column") for column in tab["column_order"])
    yield from (Use(view, one["name"], "time") for one in tab["sort"])
    yield from query_uses(view, tab.get("query"))


def chart_uses(config: Mapping[str, Any]) -> Iterator[Use]:
    layers: Sequence[Mapping[str, Any]] = config.get("layers", [config])
    for layer in layers:
        view = layer["data_source"]["ref_id"]
        yield from query_uses(view, config.get("query"))
        buckets = [*layer.get("rows", ()), *(layer[key] for key in ("x", "breakdown_by") if key in layer)]
        for bucket in buckets:
            yield from bucket_uses(view, bucket)
        for measure in [*layer.get("metrics", ()), *layer.get("y", ())]:
            yield from query_uses(view, measure.get("filter"))
            if "field" in measure:
                counted = measure["operation"] == "unique_count"
                yield Use(view, measure["field"], "group" if counted else "number")


def bucket_uses(view: str, bucket: Mapping[str, Any]) -> Iterator[Use]:
    match bucket["operation"]:
        case "terms":
            yield from (Use(view, name, "group") for name in bucket["fields"])
        case "date_histogram":
            yield Use(view, bucket["field"], "time")
        case "filters":
            for part in bucket["filters"]:
                yield from query_uses(view, part["filter"])


def query_uses(view: str, query: Mapping[str, str] | None) -> Iterator[Use]:
    if query:
        yield from (Use(view, found.field, "filter") for found in fields(parse(query["expression"])))


def made_of(item: Item, key: str) -> list[Any]:
    """Every value of a key in the object, wherever it stands; lists are taken apart."""
    return list(_values(item.body, key))


def _values(node: Any, key: str) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == key:
                yield from value if isinstance(value, list) else [value]
            yield from _values(value, key)
    elif isinstance(node, list):
        for member in node:
            yield from _values(member, key)
