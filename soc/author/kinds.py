"""Names of fields → the type under which our Elasticsearch templates index them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from soc.normalize.ecs import ecs
from soc.store.elasticsearch.fields import event_fields


def kind(name: str) -> str:
    """keyword (in small letters), exact (a keyword whose case counts), text, ip, date, boolean, long or double.

    "" for what no query finds under its own name.
    """
    return _table().get(name, "")


@cache
def _table() -> Mapping[str, str]:
    fields = event_fields({name: field.kind for name, field in ecs().fields.items()})
    return {
        name: "exact" if field["type"] == "keyword" and "normalizer" not in field else str(field["type"])
        for name, field in fields.items()
        if field.get("index", True)
    }
