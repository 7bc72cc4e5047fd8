"""The collect role: the collectors of the configuration, onto the bus, until the stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from soc.app.backends import open_bus
from soc.app.books import node
from soc.app.check import collector_mistakes
from soc.app.config import CollectConfig, Config, FileConfig, SyslogConfig
from soc.app.content import load_units_of
from soc.app.paths import existing
from soc.app.reading import framing_of
from soc.collect.base import Collecting, CollectorConfig
from soc.collect.file import FileSource
from soc.collect.http import HttpListener
from soc.collect.syslog import SyslogListener
from soc.event import ContentErrors, TransportError
from soc.normalize import Sources, load_sources
from soc.watch.counts import Reporter

#: A loop that has not turned for so long is stuck; waiting for the bus is a turn.
_STUCK_S: Final = 60.0
#: How late the ledger of other machines knows what arrived here.
_REPORT_EVERY_S: Final = 15.0


def run(config: Config, stop: threading.Event, beat: Callable[[], None]) -> None:
    """Raises ContentErrors for a collector that cannot be right, TransportError for a port that is taken."""
    sources = load_sources(existing(config.sources, "sources"))
    if wrong := list(collector_mistakes(config, sources, load_units_of(config))):
        raise ContentErrors(wrong)
    bus = open_bus(config)
    try:
        collecting = Collecting(
            [collector(c, sources) for c in config.collect],
            bus=bus,
            folder=config.data_dir / "collect",
            framing_of=framing_of(sources, "auto"),
            max_spool_bytes=config.spool.max_mb << 20,
            min_free_percent=config.spool.min_free_percent,
        )
        beating = threading.Thread(target=_beat, args=(stop, beat, collecting), name="beat", daemon=True)
        beating.start()
        if config.bus.type != "sqlite":  # elsewhere the ledger cannot read our folder
            reporter = Reporter(bus, node(config), config.data_dir / "collect")
            threading.Thread(target=_report, args=(stop, reporter), name="report", daemon=True).start()
        collecting.run(stop)
    finally:
        bus.close()


def _report(stop: threading.Event, reporter: Reporter) -> None:
    while not stop.wait(_REPORT_EVERY_S):
        with suppress(TransportError):  # the forwarding thread says what is wrong with the bus
            reporter.report(datetime.now(UTC))


def _beat(stop: threading.Event, beat: Callable[[], None], collecting: Collecting) -> None:
    """As long as every loop turns; else the watchdog starts the collectors again."""
    while not stop.wait(1.0):
        if collecting.idle_s() < _STUCK_S:
            beat()


def collector(config: CollectConfig, sources: Sources) -> CollectorConfig:
    """A section of the configuration as its collector takes it."""
    if isinstance(config, SyslogConfig):
        return SyslogListener(
            config.listen,
            config.transport,
            config.source,
            config.unit,
            config.priority,
            tls_cert=config.tls_cert or "",
            tls_key=config.tls_key or "",
            tls_ca=config.tls_ca or "",
        )
    if isinstance(config, FileConfig):
        framings = sources.get(config.source).framings if config.source != "auto" else ()
        return FileSource(
            config.paths,
            config.source,
            config.unit,
            config.priority,
            host=config.host,
            multiline=config.multiline or "",
            framing=framings[0] if len(framings) == 1 else "auto",
        )
    return HttpListener(
        config.listen,
        config.tokens_file or "",
        config.source,
        config.unit,
        config.priority,
        config.max_body_mb,
        tls_cert=config.tls_cert or "",
        tls_key=config.tls_key or "",
        tls_ca=config.tls_ca or "",
    )
