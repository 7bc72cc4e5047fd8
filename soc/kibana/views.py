"""Data views and saved searches: definitions and a Space in, the bodies of Kibana's APIs out.

Data views: https://www.elastic.co/docs/api/doc/kibana/group/endpoint-data-views
Discover sessions: https://www.elastic.co/docs/api/doc/kibana/group/endpoint-discover-sessions
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soc.kibana.definitions import Content, Search, View
from soc.kibana.item import Item, marked
from soc.kibana.setup import Setup, Space

TIME: str = "@timestamp"


def view_id(space: Space, name: str) -> str:
    """Ids are unique over all Spaces of a Kibana, so they begin with the Space's."""
    return f"{space.id}-{name}"


def seen(view: View, space: Space) -> bool:
    return space.staff or not view.staff


def index_pattern(view: View, space: Space, default: str) -> str:
    names = space.namespaces if "{namespace}" in view.index else (default,)
    return ",".join(view.index.replace("{namespace}", name).replace("{default}", name) for name in names)


def data_view(view: View, space: Space, content: Content, setup: Setup) -> Item:
    """`override`: the same request creates and replaces it."""
    formats: dict[str, Any] = {
        name: {"id": "static_lookup", "params": {"lookupEntries": [{"key": k, "value": v} for k, v in words.items()]}}
        for name, words in content.values.items()
    }
    formats |= {name: {"id": "url", "params": {"type": "a", "labelTemplate": "Mở"}} for name in content.links}
    body = {
        "id": view_id(space, view.name),
        "title": index_pattern(view, space, setup.default),
        "name": view.title,
        "timeFieldName": TIME,
        "allowNoIndex": True,
        "fieldAttrs": {name: {"customLabel": label} for name, label in content.labels.items()},
        "fieldFormats": formats,
    }
    return Item("data_view", space.id, str(body["id"]), view.title, marked("data_view", body))


def query(where: str) -> dict[str, str]:
    return {"expression": where, "language": "kql"}


def source(space: Space, name: str) -> dict[str, str]:
    return {"type": "data_view_reference", "ref_id": view_id(space, name)}


def tab(search: Search, space: Space) -> dict[str, Any]:
    """A search as a tab of a Discover session, or of its panel on a dashboard."""
    made: dict[str, Any] = {
        "data_source": source(space, search.view),
        "column_order": list(search.columns),
        "sort": [{"name": TIME, "direction": "desc"}],
    }
    return {**made, "query": query(search.where)} if search.where else made


def discover_session(search: Search, space: Space) -> Item:
    body: Mapping[str, Any] = {
        "title": search.title,
        "description": search.question,
        "tabs": [{"id": "main", "label": search.title, **tab(search, space)}],
    }
    return Item("search", space.id, view_id(space, search.name), search.title, marked("search", body))
