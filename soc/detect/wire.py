"""Detections on the bus: Detection ⇄ message of topic soc.detections (JSON, times as RFC 3339)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import orjson

from soc.bus.base import Delivery, Message
from soc.event import Detection, Event, Matched, RecordError, digest, parse_rfc3339, rfc3339

#: A detection carries its event, so that correlation and alert need not ask the store; long texts are cut here.
_MAX_TEXT: Final = 8_192
#: What is left of a text where even that is too much.
_SHORT: Final = 256


def detection_id(rule_id: str, rule_version: str, event_id: str) -> str:
    """Id of a single-event detection: the same event and rule give the same id, however often it is redelivered."""
    return digest(rule_id, rule_version, event_id)


def completed(match: Detection, event: Event) -> Detection:
    """A match of `RuleSet.match` with its id and the event that it was found in."""
    return replace(
        match,
        id=detection_id(match.rule_id, match.rule_version, event.id),
        timestamp=event.timestamp,
        event_id=event.id,
        fields=event.fields,
    )


def to_message(detection: Detection, key: bytes) -> Message:
    """`key` decides the partition: correlation and group for a copy that feeds one, else rule and entity."""
    body: dict[str, Any] = {
        "id": detection.id,
        "kind": detection.kind,
        "rule": detection.rule_id,
        "version": detection.rule_version,
        "title": detection.title,
        "level": detection.level,
        "timestamp": _text(detection.timestamp),
        "event": detection.event_id,
        "matched": [[m.field, m.ecs, m.op, m.pattern, m.actual] for m in detection.matched],
        "fields": {
            name: value[:_MAX_TEXT] if type(value) is str and len(value) > _MAX_TEXT else value
            for name, value in detection.fields.items()
        },
        "feeds": detection.feeds,
    }
    if detection.kind == "correlation":
        body |= {
            "group": detection.group,
            "count": detection.count,
            "first": _text(detection.first),
            "last": _text(detection.last),
            "evidence": detection.evidence,
        }
    return Message(key, orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS))


def lighter(message: Message) -> Message:
    """The same detection with what identifies it and short texts only: for a topic that does not take the whole."""
    body = orjson.loads(message.value)
    for name, value in body["fields"].items():
        if not isinstance(value, str | int | float):
            text = orjson.dumps(value)
            body["fields"][name] = value if len(text) <= _SHORT else "…"
        elif isinstance(value, str):
            body["fields"][name] = value[:_SHORT]
    body["matched"] = [[str(text)[:_SHORT] for text in found] for found in body["matched"]]
    return replace(message, value=orjson.dumps(body))


def from_delivery(delivery: Delivery) -> Detection:
    """Raises RecordError("bad_format") for bytes that are no detection."""
    try:
        body = orjson.loads(delivery.value)
        return Detection(
            rule_id=body["rule"],
            title=body["title"],
            level=body["level"],
            matched=tuple(Matched(*m) for m in body["matched"]),
            rule_version=body["version"],
            id=body["id"],
            kind=body["kind"],
            timestamp=parse_rfc3339(body["timestamp"]),
            event_id=body["event"],
            fields=_mapping(body["fields"]),
            group=_mapping(body.get("group", {})),
            count=body.get("count", 1),
            first=_moment(body.get("first")),
            last=_moment(body.get("last")),
            evidence=tuple(body.get("evidence", ())),
            feeds=body["feeds"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError("bad_format", f"not a detection: {error}") from error


def _text(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment is not None else None


def _moment(text: str | None) -> datetime | None:
    return parse_rfc3339(text) if text else None


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("expected an object")
    return value
