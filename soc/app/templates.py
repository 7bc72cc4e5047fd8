"""The templates that a configuration's Elasticsearch must have."""

from __future__ import annotations

from soc.app.config_backends import ElasticsearchStoreConfig
from soc.normalize.ecs import ecs
from soc.store.elasticsearch.templates import Template, templates


def wanted(store: ElasticsearchStoreConfig) -> list[Template]:
    """In the order in which the server takes them."""
    kinds = {name: field.kind for name, field in ecs().fields.items()}
    spaces = [*(group.name for group in store.namespaces), store.namespace]
    return templates(kinds, namespaces=spaces, replicas=store.replicas, refresh_s=store.refresh.total_seconds())
