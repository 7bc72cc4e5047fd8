"""The store on an Elasticsearch cluster: plain indices per class, namespace and day (docs/elasticsearch.md).

What needs the client is loaded when it is first asked for: tables of names and fields are of use without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from soc.store.elasticsearch.access import ElasticAccess, Server
    from soc.store.elasticsearch.names import Namespace
    from soc.store.elasticsearch.store import ElasticsearchStore

_WHERE: Final = {
    "ElasticAccess": "access",
    "Server": "access",
    "Namespace": "names",
    "ElasticsearchStore": "store",
}

__all__ = ["ElasticAccess", "ElasticsearchStore", "Namespace", "Server"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
