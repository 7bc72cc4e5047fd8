"""The bus and the store that a configuration names, opened."""

from __future__ import annotations

import typer

from soc.app.config import Config
from soc.bus.base import RAW, Bus
from soc.store.base import Store


def open_bus(config: Config) -> Bus:
    """Raises TransportError when it cannot be opened."""
    from soc.bus.sqlite import SqliteBus

    backlog = {RAW: config.bus.max_backlog_mb << 20}
    return SqliteBus(config.data_dir / "bus", partitions=config.bus.partitions, max_backlog_bytes=backlog)


def stored(config: Config) -> Store:
    """The store for a command that only looks: says so where there is nothing to look at. Raises TransportError."""
    if not (config.data_dir / "store").exists():
        typer.echo(
            f"{config.data_dir} holds no data (yet): `soc run all`, `soc ingest` or `soc demo` fill it", err=True
        )
    return open_store(config)


def open_store(config: Config) -> Store:
    """Raises TransportError when it cannot be opened."""
    from soc.store.sqlite import SqliteStore

    return SqliteStore(config.data_dir / "store")
