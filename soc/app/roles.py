"""One role in this process, from its configuration until the stop: what `soc run <role>` does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from soc.app import alerting, detecting
from soc.app.backends import open_bus, open_store
from soc.app.books import balanced
from soc.app.books import member as group_member
from soc.app.config import Config, FileConfig
from soc.app.content import load_content
from soc.app.credentials import as_role
from soc.app.locks import RoleLock
from soc.app.supervisor import Beat
from soc.bus.base import COUNTS, TOPICS, Bus
from soc.event import TransportError
from soc.store.base import Store
from soc.watch import counts

log = logging.getLogger("soc.roles")

_WATCH_EVERY_S: Final = 60.0
#: A row of the ledger is judged once its hour is over for this long: until then records are on their way.
_SETTLED: Final = timedelta(minutes=10)


@contextmanager
def member(config: Config, name: str, stop: threading.Event) -> Iterator[tuple[Bus, Store, Beat]]:
    """Bus, store and heartbeat of a role that nobody else runs on this data directory."""
    lock = RoleLock(config.data_dir, name)
    bus, store = open_bus(config), open_store(config)
    try:
        log.info("started")
        yield bus, store, Beat(config.data_dir, name, stop)
        log.info("stopped")
    finally:
        bus.close()
        store.close()
        lock.close()


def detect(config: Config, stop: threading.Event, number: int = 0) -> None:
    name = f"detect-{number}"
    config = as_role(config, "detect")
    content = load_content(config)
    with member(config, name, stop) as (bus, store, beat):
        detecting.detect(
            bus, store, content, stop, member=group_member(config, name), max_records=config.detect.batch, beat=beat
        )


def alert(config: Config, stop: threading.Event, number: int = 0) -> None:
    name = f"alert-{number}"
    config = as_role(config, "alert")
    content = load_content(config)
    with member(config, name, stop) as (bus, store, beat):
        worker = alerting.AlertWorker(
            bus, store, content, lambda: datetime.now(UTC), lang=config.lang, url=config.console_url
        )
        worker.run(stop, member=group_member(config, name), max_records=config.detect.batch, beat=beat)


def watch(config: Config, stop: threading.Event) -> None:
    """Each minute: what is past its retention is deleted, a deficit of the ledger is told; counts are kept as they
    come."""
    told: set[object] = set()
    config = as_role(config, "watch")
    with member(config, "watch", stop) as (bus, store, beat):
        subscription = bus.subscribe(COUNTS, counts.GROUP, member=group_member(config, "watch"))
        next_turn = 0.0
        try:
            while not stop.wait(1.0):
                beat()
                next_turn -= 1.0
                try:
                    if deliveries := subscription.poll(1000, 0.0):
                        counts.keep(store, deliveries)
                        subscription.commit()
                    if next_turn <= 0:
                        next_turn = _WATCH_EVERY_S
                        _tidy(config, bus, store)
                        _judge(config, store, told)
                except TransportError as broken:
                    next_turn = _WATCH_EVERY_S
                    log.warning("%s; trying again in a minute", broken)
        finally:
            subscription.close()


def _tidy(config: Config, bus: Bus, store: Store) -> None:
    now = datetime.now(UTC)
    oldest = (now - timedelta(days=config.store.retention_days)).date()
    if deleted := store.expire(oldest):
        log.info("retention of %s days: deleted %s", config.store.retention_days, deleted)
    for topic in TOPICS:
        bus.expire(topic, now - config.bus.retention)


def _judge(config: Config, store: Store, told: set[object]) -> None:
    now = datetime.now(UTC)
    for row in balanced(config, store, now - timedelta(days=1), now):
        settled = row.hour + timedelta(hours=1) + _SETTLED < now
        if row.deficit and settled and row not in told:
            told.add(row)
            log.error(
                "ledger: %s records of %s (%s) are missing in the hour of %s",
                row.deficit,
                row.source,
                row.unit,
                row.hour,
            )


def collect(config: Config, stop: threading.Event) -> None:
    from soc.app.collecting import run

    config = as_role(config, "collect")
    lock = RoleLock(config.data_dir, "collect")
    try:
        places = [" ".join(c.paths) if isinstance(c, FileConfig) else c.listen for c in config.collect]
        log.info("started: %s", ", ".join(places))
        run(config, stop, Beat(config.data_dir, "collect", stop))
        log.info("stopped")
    finally:
        lock.close()
