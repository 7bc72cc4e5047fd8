"""The file of topics (deploy/kafka/topics.yaml) → what each topic should be; mistakes with line and nearest word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from soc.bus.base import TOPICS
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors

#: Topic settings of Kafka 4 that need nothing else to be configured. https://kafka.apache.org/documentation/#topicconfigs
SETTINGS: Final = frozenset(
    {
        "cleanup.policy",
        "compression.gzip.level",
        "compression.lz4.level",
        "compression.type",
        "compression.zstd.level",
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "follower.replication.throttled.replicas",
        "index.interval.bytes",
        "leader.replication.throttled.replicas",
        "local.retention.bytes",
        "local.retention.ms",
        "max.compaction.lag.ms",
        "max.message.bytes",
        "message.timestamp.after.max.ms",
        "message.timestamp.before.max.ms",
        "message.timestamp.type",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "preallocate",
        "remote.storage.enable",
        "retention.bytes",
        "retention.ms",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    }
)
_MIN_INSYNC: Final = "min.insync.replicas"
_MOST_PARTITIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it should be. `settings` are Kafka's words and texts."""

    name: str
    partitions: int
    factor: int
    settings: Mapping[str, str]


def load_topics(path: Path) -> list[TopicSpec]:
    """The table's topics in its order. Raises ContentErrors with every mistake."""
    content = read_yaml(path)
    errors: list[ContentError] = []
    topics = content.get("topics") if isinstance(content, Mapped) else None
    if not isinstance(content, Mapped) or not isinstance(topics, Mapped):
        raise ContentErrors([ContentError(path, 0, "expected topics: {name: {partitions, and settings}}")])
    known = ("replication", "settings", "topics")
    errors += [ContentError(path, content.at(key), unknown(key, known)) for key in content if key not in known]
    factor, insync = _replication(content, path, errors)
    common = {_MIN_INSYNC: insync} | _settings(
        content.get("settings"), "settings", content.at("settings"), path, errors
    )
    found = []
    for name in topics:
        line, entry = topics.at(name), topics[name]
        if name not in TOPICS:
            errors.append(ContentError(path, line, unknown(name, TOPICS, "topic")))
        if not isinstance(entry, Mapped):
            errors.append(ContentError(path, line, f"{name}: expected a mapping with partitions, and settings"))
            continue
        partitions = _whole(entry, "partitions", _MOST_PARTITIONS, f"{name}: ", path, errors)
        own = Mapped({key: value for key, value in entry.items() if key != "partitions"})
        own.line, own.lines = entry.line, entry.lines
        settings = common | _settings(own, name, line, path, errors)
        found.append(TopicSpec(name, partitions, factor, settings))
    errors += [
        ContentError(path, topics.line, f"topic {name} is missing: the pipeline writes to it")
        for name in TOPICS
        if name not in topics
    ]
    if errors:
        raise ContentErrors(sorted(errors, key=lambda error: error.line))
    return found


def _replication(content: Mapped, path: Path, errors: list[ContentError]) -> tuple[int, str]:
    """Replication factor, and how many replicas must have a record before it is acknowledged."""
    entry = content.get("replication")
    if not isinstance(entry, Mapped):
        line = content.at("replication")
        errors.append(ContentError(path, line, "replication: expected {factor: 3, min.insync.replicas: 2}, say"))
        return 1, "1"
    known = ("factor", _MIN_INSYNC)
    errors += [ContentError(path, entry.at(key), unknown(key, known)) for key in entry if key not in known]
    factor = _whole(entry, "factor", 100, "replication.", path, errors)
    insync = _whole(entry, _MIN_INSYNC, 100, "replication.", path, errors)
    if insync > factor:
        errors.append(
            ContentError(path, entry.at(_MIN_INSYNC), f"{_MIN_INSYNC} {insync} is more than the {factor} replicas")
        )
    return factor, str(insync)


def _whole(entry: Mapped, key: str, most: int, where: str, path: Path, errors: list[ContentError]) -> int:
    value = entry.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    said = "is missing" if value is None else f"is {value!r}"
    errors.append(ContentError(path, entry.at(key), f"{where}{key} {said}; expected a whole number from 1 to {most}"))
    return 1


def _settings(entry: Any, where: str, line: int, path: Path, errors: list[ContentError]) -> dict[str, str]:
    if entry is None:
        return {}
    if not isinstance(entry, Mapped):
        errors.append(ContentError(path, line, f"{where}: expected a mapping of Kafka's topic settings"))
        return {}
    found = {}
    for key, value in entry.items():
        if key not in SETTINGS:
            errors.append(ContentError(path, entry.at(key), unknown(key, SETTINGS, "setting")))
        elif not isinstance(value, (str, int, float, bool)):
            errors.append(ContentError(path, entry.at(key), f"{key}: expected one value"))
        else:
            found[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
