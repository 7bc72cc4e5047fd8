"""The ledger of a configuration: this machine's collectors, and those of others where they share a Kafka."""

from __future__ import annotations

import socket
from datetime import datetime, timedelta

from soc.app.config import Config
from soc.store.base import Store
from soc.watch.counts import kept
from soc.watch.ledger import Balance, balance


def node(config: Config) -> str:
    """Name of this machine and data directory; stable over restarts."""
    return f"{socket.gethostname()}:{config.data_dir.resolve()}"


def member(config: Config, name: str) -> str:
    """Name of a worker within its group: its own on this machine, and unlike those of others on a shared Kafka."""
    return name if config.bus.type == "sqlite" else f"{socket.gethostname()}-{name}"


def balanced(config: Config, store: Store, since: datetime | None, now: datetime) -> list[Balance]:
    """Rows of `soc.watch.ledger.balance`. Raises TransportError."""
    elsewhere = []
    if config.bus.type != "sqlite":
        oldest = now - timedelta(days=config.store.retention_days)
        elsewhere = kept(store, max(since or oldest, oldest), now, without=node(config))
    return balance(store, config.data_dir / "collect", since, elsewhere)
