"""The bus and the store that a configuration names, opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from soc.app.config import Config
from soc.app.config_backends import ElasticsearchStoreConfig, KafkaBusConfig
from soc.bus.base import RAW, Bus
from soc.event import ContentError
from soc.store.base import Store

if TYPE_CHECKING:  # a client library is loaded where its server is used
    from soc.bus.kafka import KafkaAccess
    from soc.store.elasticsearch import ElasticAccess


def open_bus(config: Config) -> Bus:
    """Raises TransportError when it cannot be opened, ContentError for a secret that cannot be read."""
    bus = config.bus
    if isinstance(bus, KafkaBusConfig):
        from soc.bus.kafka import KafkaBus

        return KafkaBus(
            bus.bootstrap, access=kafka_access(bus), prefix=bus.prefix, session_timeout_s=bus.session_timeout_s
        )
    from soc.bus.sqlite import SqliteBus

    backlog = {RAW: bus.max_backlog_mb << 20}
    return SqliteBus(config.data_dir / "bus", partitions=bus.partitions, max_backlog_bytes=backlog)


def kafka_access(bus: KafkaBusConfig) -> KafkaAccess:
    """How to reach the brokers, with the password read."""
    from soc.bus.kafka import KafkaAccess

    return KafkaAccess(bus.protocol, bus.mechanism, bus.user, _secret(bus.password_file), bus.ca)


def stored(config: Config) -> Store:
    """The store for a command that only looks: says so where there is nothing to look at. Raises TransportError."""
    if config.store.type == "sqlite" and not (config.data_dir / "store").exists():
        typer.echo(
            f"{config.data_dir} holds no data (yet): `soc run all`, `soc ingest` or `soc demo` fill it", err=True
        )
    return open_store(config)


def open_store(config: Config) -> Store:
    """Raises TransportError when it cannot be opened, ContentError for a secret that cannot be read."""
    store = config.store
    if isinstance(store, ElasticsearchStoreConfig):
        from soc.store.elasticsearch import ElasticsearchStore, Namespace

        return ElasticsearchStore(
            store.hosts,
            access=elastic_access(store),
            namespace=store.namespace,
            namespaces=[Namespace(n.name, tuple(n.units), n.system_level, n.retention_days) for n in store.namespaces],
            retention_days=store.retention_days,
        )
    from soc.store.sqlite import SqliteStore

    return SqliteStore(config.data_dir / "store")


def elastic_access(store: ElasticsearchStoreConfig) -> ElasticAccess:
    """How to reach the cluster, with the key or password read."""
    from soc.store.elasticsearch import ElasticAccess

    return ElasticAccess(_secret(store.api_key_file), store.user, _secret(store.password_file), store.ca)


def _secret(path: Path | None) -> str:
    """What a file of one secret holds, without the line's end; "" where none is configured."""
    if path is None:
        return ""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as wrong:
        raise ContentError(path, 0, f"the secret cannot be read: {wrong}") from wrong
