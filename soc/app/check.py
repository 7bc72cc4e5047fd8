"""`soc check`: the configuration, everything that it names, and (unless told otherwise) this machine."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soc.app.config import CollectConfig, Config, FileConfig, HttpConfig, SyslogConfig
from soc.app.content import load_content
from soc.app.detecting import Content
from soc.app.locks import is_running
from soc.app.paths import existing
from soc.content import unknown
from soc.event import ContentError, ContentErrors
from soc.normalize import Sources, load_sources
from soc.org import Org

_MIN_FREE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Report:
    """`errors`: content that cannot be used. `findings`: refused rules, what is lacking. `content`: as loaded."""

    errors: list[ContentError]
    findings: list[str]
    content: Content | None


def check(config: Config, environment: bool = True) -> Report:
    """Loads everything as the workers do; then, with `environment`, looks at folders, ports and free disk."""
    errors: list[ContentError] = []
    content = None
    try:
        content = load_content(config)
    except ContentErrors as wrong:
        errors += wrong.errors
    findings: list[str] = []
    if content is not None:
        errors += collector_mistakes(config, content.sources, content.org)
        findings += [f"rule refused: {refused}" for refused in content.rules.refused]
    if environment:
        findings += _environment(config)
    return Report(errors, findings, content)


def collector_mistakes(config: Config, sources: Sources, org: Org) -> Iterator[ContentError]:
    """Collectors that name a source or unit that does not exist, or lack what their transport needs."""
    for number, collector in enumerate(config.collect):
        where = f"collect.{number}"
        if collector.source != "auto" and collector.source not in sources.names:
            yield ContentError(where, 0, f"no source {collector.source!r}; `soc sources list` shows those there are")
        if collector.unit and (wrong := unknown_unit(org, collector.unit)):
            yield ContentError(where, 0, wrong)
        if _lacks_certificate(collector):
            yield ContentError(where, 0, "transport tls needs tls_cert and tls_key")
        for name in ("tls_cert", "tls_key", "tls_ca", "tokens_file"):
            path = getattr(collector, name, None)
            if path is not None and not path.is_file():
                yield ContentError(where, 0, f"{name}: {path} is no file")


def _lacks_certificate(collector: CollectConfig) -> bool:
    tls = isinstance(collector, SyslogConfig) and "tls" in collector.transport
    return tls and not (getattr(collector, "tls_cert", None) and getattr(collector, "tls_key", None))


def unknown_source(config: Config, name: str) -> str:
    """Sentence for a source that does not exist; "" for one that does, and for auto."""
    if name == "auto":
        return ""
    names = load_sources(existing(config.sources, "sources")).names
    return "" if name in names else unknown(name, names, "source")


def unknown_unit(org: Org, uid: str) -> str:
    """Sentence for a unit uid that does not exist, with the nearest one that does; "" for one that does."""
    if org.units.get(uid) is not None:
        return ""
    near = org.units.nearest(uid)
    return f"no administrative unit {uid!r}" + (f"; did you mean {near!r}?" if near else "")


def _environment(config: Config) -> Iterator[str]:
    folder = config.data_dir
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not os.access(existing, os.W_OK):
        yield f"data_dir {folder}: {existing} is not writable for this user"
    free = shutil.disk_usage(existing).free
    if free < _MIN_FREE_BYTES:
        yield f"data_dir {folder}: {free >> 20} MB are free; at least {_MIN_FREE_BYTES >> 20} MB are needed"
    running = folder.exists() and is_running(folder, "collect")
    for collector in config.collect:
        if isinstance(collector, FileConfig):
            yield from _files(collector)
        elif not running:
            yield from _ports(collector)


def _files(collector: FileConfig) -> Iterator[str]:
    for pattern in collector.paths:
        folder = Path(pattern).parent
        if not any(c in str(folder) for c in "*?[") and not folder.exists():
            yield f"watched files {pattern}: {folder} does not exist (yet)"


def _ports(collector: SyslogConfig | HttpConfig) -> Iterator[str]:
    host, _, port = collector.listen.rpartition(":")
    kinds = [socket.SOCK_STREAM]
    if isinstance(collector, SyslogConfig):
        kinds = [socket.SOCK_DGRAM if t == "udp" else socket.SOCK_STREAM for t in collector.transport]
    for kind in dict.fromkeys(kinds):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as error:
                name = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
                yield f"{collector.listen} ({name}): {error.strerror}"
