"""What these tests share: the server with our templates, and stores with a namespace of their own."""

from __future__ import annotations

import secrets
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from soc.normalize.ecs import ecs
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Server
from soc.store.elasticsearch.apply import apply, changes
from soc.store.elasticsearch.templates import Template, templates

Open = Callable[..., ElasticsearchStore]


def wanted(**settings: Any) -> list[Template]:
    return templates({name: field.kind for name, field in ecs().fields.items()}, **settings)


@pytest.fixture(scope="session")
def server(elasticsearch: str) -> Iterator[Server]:
    """The shared server, once our templates are there."""
    made = Server([elasticsearch], ElasticAccess())
    apply(made, changes(made, wanted()))
    yield made
    made.close()


@pytest.fixture(scope="module")
def namespace(server: Server, elasticsearch: str) -> Iterator[str]:
    """A namespace of the module's own; its indices are deleted afterwards."""
    name = f"test.{secrets.token_hex(6)}"
    yield name
    urllib.request.urlopen(urllib.request.Request(f"{elasticsearch}/*-{name}*", method="DELETE")).close()


@pytest.fixture(scope="module")
def store(namespace: str, elasticsearch: str) -> Iterator[ElasticsearchStore]:
    made = ElasticsearchStore([elasticsearch], namespace=namespace)
    yield made
    made.close()
