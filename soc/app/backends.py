"""The bus and the store that a configuration names, opened."""

from __future__ import annotations

from soc.app.config import Config
from soc.bus.base import Bus
from soc.store.base import Store


def open_bus(config: Config) -> Bus:
    """Raises TransportError when it cannot be opened."""
    from soc.bus.sqlite import SqliteBus

    return SqliteBus(config.data_dir / "bus", partitions=config.bus.partitions)


def open_store(config: Config) -> Store:
    """Raises TransportError when it cannot be opened."""
    from soc.store.sqlite import SqliteStore

    return SqliteStore(config.data_dir / "store")
