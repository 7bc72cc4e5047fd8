"""`soc doctor`: the running system, looked at the way an operator would; what is wrong comes with what to do.

Each check is a function from the configuration to findings; one that cannot ask says so and stops no other.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from soc.app.backends import elastic_access, kafka_access, open_bus, open_store
from soc.app.books import balanced
from soc.app.config import Config
from soc.app.config_backends import ElasticsearchStoreConfig, KafkaBusConfig
from soc.app.content import load_content
from soc.app.locks import is_running
from soc.app.supervisor import beat_path
from soc.bus.base import DETECTIONS, RAW, REJECTED
from soc.event import ContentErrors, SocError, TransportError

State = Literal["ok", "warn", "fail", "unknown"]

_MIN_FREE_PERCENT: Final = 15
_MAX_LAG: Final = 100_000  # records; about ten seconds of the rate that two cores work off
_MAX_BEAT_S: Final = 120.0
_MAX_SHARDS_PERCENT: Final = 70
_MAX_DISK_PERCENT: Final = 85  # Elasticsearch's low watermark: beyond it no shard is put on the node
_SETTLED: Final = timedelta(minutes=70)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check measured, against which limit, and what to do if it is not ok."""

    id: str
    state: State
    measured: str
    limit: str = ""
    fix: str = ""


def examine(config: Config) -> list[Finding]:
    """Every check's findings, in order."""
    found: list[Finding] = []
    for name, check in _CHECKS.items():
        try:
            found += check(config)
        except TransportError as broken:
            found.append(Finding(name, "fail", str(broken), "answers", "start it, or mend its section of the settings"))
        except ContentErrors as wrong:
            found.append(Finding(name, "fail", str(wrong), "content without mistakes", "soc check"))
        except SocError as wrong:
            found.append(Finding(name, "unknown", str(wrong)))
    return found


def _disk(config: Config) -> Iterator[Finding]:
    folder = next(p for p in (config.data_dir, *config.data_dir.absolute().parents) if p.exists())
    usage = shutil.disk_usage(folder)
    percent = usage.free * 100 // usage.total
    yield Finding(
        "disk.free",
        "ok" if percent >= _MIN_FREE_PERCENT else "fail",
        f"{percent} % of {folder} ({usage.free >> 30} GB)",
        f"{_MIN_FREE_PERCENT} %",
        "make room, or shorten store.retention_days",
    )


def _roles(config: Config) -> Iterator[Finding]:
    """The roles that run on this data directory, by their heartbeats."""
    running = [lock.stem for lock in sorted((config.data_dir / "run").glob("*.lock"))]
    running = [name for name in running if is_running(config.data_dir, name)]
    if not running:
        yield Finding("roles.alive", "warn", "no role runs on this data directory", "all", "soc run all")
    for name in running:
        idle_s = _idle_s(beat_path(config.data_dir, name))
        yield Finding(
            f"roles.alive.{name}",
            "ok" if idle_s < _MAX_BEAT_S else "fail",
            f"turned {idle_s:.0f} s ago",
            f"{_MAX_BEAT_S:.0f} s",
            "the supervisor starts it again; its log says what it waited for",
        )


def _idle_s(beat: Path) -> float:
    return time.time() - beat.stat().st_mtime if beat.exists() else 0.0


def _rules(config: Config) -> Iterator[Finding]:
    rules = load_content(config).rules
    refused = rules.refused
    yield Finding(
        "rules.load",
        "warn" if refused else "ok",
        f"{len(rules.rules) + len(rules.correlations)} loaded, {len(refused)} refused"
        + (f"; the first: {refused[0]}" if refused else ""),
        "0 refused",
        "soc rules lint",
    )


def _bus(config: Config) -> Iterator[Finding]:
    with closing(open_bus(config)) as bus:
        for topic, group in ((RAW, "detect"), (REJECTED, "aside"), (DETECTIONS, "alert")):
            lag = bus.lag(topic, group)
            yield Finding(
                f"bus.lag.{topic}",
                "ok" if lag <= _MAX_LAG else "warn",
                f"{lag} records wait for {group}",
                f"{_MAX_LAG} records",
                "start more detect workers, or see why they are slow: docs/scaling.md",
            )
    if isinstance(config.bus, KafkaBusConfig):
        yield _topics(config.bus)


def _topics(bus: KafkaBusConfig) -> Finding:
    from soc.bus.kafka.access import Cluster
    from soc.bus.kafka.administration import Administration
    from soc.bus.kafka.topics import plan
    from soc.bus.kafka.topics_table import load_topics

    with closing(Administration(Cluster(tuple(bus.bootstrap), kafka_access(bus)))) as cluster:
        made = plan(cluster, load_topics(bus.topics), bus.prefix)
    measured = "; ".join(map(str, (*made.changes, *made.by_hand))) or f"{made.kept} topics, as {bus.topics} says"
    return Finding("kafka.topics", "fail" if made.drift else "ok", measured, "no difference", "soc topics apply")


def _store(config: Config) -> Iterator[Finding]:
    now = datetime.now(UTC)
    with closing(open_store(config)) as store:
        aside = len(store.rejected(since=now - _DAY, limit=1000))
        yield Finding(
            "dlq.size",
            "warn" if aside else "ok",
            f"{aside}{'+' * (aside == 1000)} records set aside in 24 hours",
            "0",
            "soc rejected list; after mending: soc rejected replay",
        )
        short = [r for r in balanced(config, store, now - _DAY, now) if r.deficit and r.hour + _SETTLED < now]
        yield Finding(
            "ledger.balance",
            "fail" if short else "ok",
            f"{sum(r.deficit for r in short)} records missing in {len(short)} rows"
            + (f"; the first: {short[0].source} of {short[0].unit or '-'} at {short[0].hour}" if short else ""),
            "0",
            "soc ledger",
        )
    if isinstance(config.store, ElasticsearchStoreConfig):
        yield from _elasticsearch(config.store)


def _elasticsearch(store: ElasticsearchStoreConfig) -> Iterator[Finding]:
    from soc.app.templates import wanted
    from soc.store.elasticsearch.access import Server
    from soc.store.elasticsearch.apply import drift

    with closing(Server(store.hosts, elastic_access(store))) as server:
        changes = drift(server, wanted(store))
        lines = [f"{change.action} {change.template.name}" for change in changes]
        yield Finding(
            "es.template",
            "fail" if lines else "ok",
            "; ".join(lines) or "as shipped",
            "no difference",
            "soc store apply",
        )
        for sentence in server.lacking():
            yield Finding("es.server", "warn", sentence, "everything", "docs/elasticsearch.md")
        health = server.call("GET", "/_cluster/health")
        yield Finding(
            "es.health",
            {"green": "ok", "yellow": "warn"}.get(health["status"], "fail"),  # type: ignore[arg-type]
            f"{health['status']}, {health['unassigned_shards']} shards without a place",
            "green",
            "on one node store.replicas must be 0; else GET _cluster/allocation/explain",
        )
        settings = server.call(
            "GET", "/_cluster/settings", params={"include_defaults": "true", "flat_settings": "true"}
        )
        each = next(
            int(part["cluster.max_shards_per_node"])
            for part in (settings["transient"], settings["persistent"], settings["defaults"])
            if "cluster.max_shards_per_node" in part
        )
        room = each * health["number_of_data_nodes"]
        yield Finding(
            "es.shards",
            "ok" if health["active_shards"] * 100 <= room * _MAX_SHARDS_PERCENT else "warn",
            f"{health['active_shards']} of {room}",
            f"{_MAX_SHARDS_PERCENT} %",
            "fewer namespaces or days (store.retention_days), or another node",
        )
        for node in server.call("GET", "/_cat/allocation", params={"format": "json"}):
            if node.get("disk.percent") is not None:
                yield Finding(
                    f"es.disk.{node['node']}",
                    "ok" if int(node["disk.percent"]) < _MAX_DISK_PERCENT else "fail",
                    f"{node['disk.percent']} % used",
                    f"{_MAX_DISK_PERCENT} %",
                    "another node, more disk, or a shorter store.retention_days",
                )


def _kibana(config: Config) -> Iterator[Finding]:
    if not config.kibana.url:
        return
    from soc.app.kibana_content import drift

    changes = drift(config)
    measured = "; ".join(f"{change.action} {change.item.title}" for change in changes) or "as this checkout says"
    yield Finding("kibana.content", "warn" if changes else "ok", measured, "no difference", "soc kibana apply")


_CHECKS: Final[dict[str, Callable[[Config], Iterator[Finding]]]] = {
    "disk.free": _disk,
    "roles.alive": _roles,
    "rules.load": _rules,
    "bus.reachable": _bus,
    "store.reachable": _store,
    "kibana.reachable": _kibana,
}
