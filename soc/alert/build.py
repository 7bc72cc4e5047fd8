"""The alert document: an episode, its detection and its rule in; the flat ECS fields of the 60-second alert out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from soc.alert import words
from soc.alert.attack import threat
from soc.alert.entity import where
from soc.alert.episodes import Episode
from soc.event import Detection, Fields, digest, rfc3339, text_of

#: Sigma level → event.severity, the four numbers that Kibana's severity mapping compares with, as integers.
SEVERITY: Final = {"informational": 21, "low": 21, "medium": 47, "high": 73, "critical": 99}

#: Bonus to the risk score for what the host is worth (assets.csv, column criticality).
CRITICALITY: Final = {"low": -5, "medium": 0, "high": 10, "critical": 15}

#: Evidence fields that stand on the alert as on the event; Kibana's Reason column and filters read them.
_COPIED: Final = (
    "event.category",
    "event.type",
    "event.action",
    "event.outcome",
    "event.code",
    "event.provider",
    "organization.id",
    "organization.name",
    "network.protocol",
    "network.transport",
    "network.direction",
    "http.request.method",
    "http.response.status_code",
    "http.response.body.bytes",
    "winlog.channel",
    "winlog.event_id",
    "winlog.logon.type",
)
_COPIED_ROOTS: Final = (
    "host.",
    "user.",
    "source.",
    "destination.",
    "process.",
    "file.",
    "registry.",
    "dns.",
    "url.",
    "user_agent.",
    "related.",
    "observer.",
    "service.",
    "rule.",
    "soc.asset.",
)
_MAX_ORIGINAL: Final = 2_000
_MAX_FIELD: Final = 1_024


class RuleFacts(Protocol):
    """What a document says of its rule; soc.detect's Rule and Correlation have it."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def falsepositives(self) -> Sequence[str]: ...
    @property
    def references(self) -> Sequence[str]: ...
    @property
    def custom(self) -> Mapping[str, Any]: ...


def said(rule: RuleFacts | None, name: str, lang: str) -> Any:
    """A text of the rule's own `soc:` block in the language, such as title_vi; None where it has none."""
    own = rule.custom.get("soc") if rule else None
    return own.get(f"{name}_{lang}") if isinstance(own, Mapping) else None


def document(
    detection: Detection,
    episode: Episode,
    rule: RuleFacts | None,
    *,
    mode: str,
    lang: str,
    now: datetime,
    history: Mapping[str, Any],
    url: str = "",
) -> Fields:
    """A new alert, complete. `history` is soc.history.* without prefix; `now` is event.created and event.ingested."""
    fields = detection.fields
    title = said(rule, "title", lang) or detection.title
    unit = {name: fields.get(f"soc.unit.{name}") for name in ("uid", "level", "name", "path")}
    doc: Fields = _copied(fields)
    _remember_rule_of_event(doc)
    doc |= {
        "@timestamp": rfc3339(detection.timestamp or episode.last),
        "event.id": episode.alert_id,
        "event.kind": "alert" if mode == "live" else "event",
        "event.module": "soc",
        "event.dataset": "soc.alert",
        "event.severity": SEVERITY.get(detection.level, 47),
        "event.created": rfc3339(now),
        "event.ingested": rfc3339(now),
        "rule.id": detection.rule_id,
        "rule.name": title,
        "rule.version": detection.rule_version,
        "soc.level": detection.level,
        "soc.kind": detection.kind,
        "soc.mode": mode,
        "soc.source": text_of(fields.get("event.dataset", "")),
        "soc.group": dict(episode.key[2]),
        "soc.match": [_match(m) for m in detection.matched],
        "soc.unit.uid": unit["uid"] or "",
        "soc.unit.level": unit["level"] or "",
        "soc.unit.name": unit["name"] or "",
        "soc.unit.path": unit["path"] or [],
        "soc.steps": _steps(rule, fields, lang),
        "soc.triage.status": "open",
        "soc.triage.verdict": None,
        "soc.triage.assignee": None,
        "soc.triage.history": [],
        "tags": _tags(detection, mode, unit),
    }
    doc |= {f"soc.history.{name}": value for name, value in history.items()}
    doc |= threat(rule.tags if rule else ())
    if rule is not None:
        doc |= _rule_fields(rule, lang)
    if url:
        doc["event.url"] = f"{url.rstrip('/')}/a/{episode.alert_id}"
    doc |= _original(fields)
    return doc | growth(detection, episode, fields, title, lang)


def growth(detection: Detection, episode: Episode, fields: Mapping[str, Any], title: str, lang: str) -> Fields:
    """The fields that change while an episode goes on: sentence, count, first and last, evidence, score."""
    why = words.reason(detection, episode.count, episode.first, episode.last, lang)
    parts = {"rule": SEVERITY.get(detection.level, 47)}
    if bonus := CRITICALITY.get(text_of(fields.get("soc.asset.criticality", "")), 0):
        parts["asset"] = bonus
    if episode.count >= 10:
        parts["count"] = min(9, 3 * int(math.log10(episode.count)))
    return {
        "message": words.headline(title, where(fields), text_of(fields.get("soc.unit.name", "")), why, lang),
        "event.reason": why,
        "event.start": rfc3339(episode.first),
        "event.end": rfc3339(episode.last),
        "event.risk_score": max(0, min(100, sum(parts.values()))),
        "soc.score.parts": parts,
        "soc.evidence.ids": list(episode.evidence),
        "soc.evidence.count": episode.count,
        "soc.evidence.first": rfc3339(episode.first),
        "soc.evidence.last": rfc3339(episode.last),
    }


def _match(matched: Any) -> dict[str, str]:
    return {
        "field": matched.field,
        "ecs": matched.ecs,
        "op": matched.op,
        "pattern": matched.pattern[:_MAX_FIELD],
        "actual": matched.actual[:_MAX_FIELD],
    }


def _copied(fields: Mapping[str, Any]) -> Fields:
    doc: Fields = {}
    for name, value in fields.items():
        if name in _COPIED or name.startswith(_COPIED_ROOTS):
            doc[name] = value[:_MAX_FIELD] if isinstance(value, str) else value
    return doc


def _remember_rule_of_event(doc: Fields) -> None:
    """rule.* of the evidence (an IDS signature, say) makes room for rule.* of the alert."""
    for name in [n for n in doc if n.startswith("rule.")]:
        doc[f"soc.event.{name}"] = doc.pop(name)


def _original(fields: Mapping[str, Any]) -> Fields:
    original = fields.get("event.original")
    if not isinstance(original, str):
        return {}
    if len(original) <= _MAX_ORIGINAL:
        return {"event.original": original}
    return {"event.original": original[:_MAX_ORIGINAL] + "…", "event.hash": digest(original)}


def _tags(detection: Detection, mode: str, unit: Mapping[str, Any]) -> list[str]:
    tags = ["soc", f"mode:{mode}", f"kind:{detection.kind}"]
    if unit["level"]:
        tags.append(f"level:{unit['level']}")
    if unit["uid"]:
        tags.append(f"unit:{unit['uid']}")
    tags += [f"under:{uid}" for uid in unit["path"] or () if uid != unit["uid"]]
    return tags


def _rule_fields(rule: RuleFacts, lang: str) -> Fields:
    out: Fields = {"rule.description": str(said(rule, "description", lang) or rule.description)[:_MAX_FIELD]}
    if rule.author:
        out["rule.author"] = [rule.author]
    if rule.references:
        out["rule.reference"] = rule.references[0]
    known = said(rule, "falsepositives", lang) or rule.falsepositives
    if useful := [str(text) for text in known if str(text).casefold() not in {"unknown", "unlikely", "none"}]:
        out["soc.falsepositives"] = useful
    return out


def _steps(rule: RuleFacts | None, fields: Mapping[str, Any], lang: str) -> list[dict[str, str]]:
    """At most five questions, each with a query filled from the event; two general ones where the rule has none."""
    own = said(rule, "steps", lang) or said(rule, "steps", "en")
    steps: list[dict[str, str]] = []
    for step in own if isinstance(own, list) else []:
        if isinstance(step, Mapping) and "q" in step:
            steps.append({"q": str(step["q"]), "query": _filled(str(step.get("query", "")), fields)})
    if not steps:
        asked = (
            {"host.name": "Máy này còn sự kiện nào khác?", "source.ip": "Địa chỉ này còn chạm tới máy nào khác?"}
            if lang == "vi"
            else {"host.name": "What else did this host do?", "source.ip": "What else did this address touch?"}
        )
        steps = [
            {"q": q, "query": _filled(f'{name}:"%{name}%"', fields)} for name, q in asked.items() if fields.get(name)
        ]
    return [step for step in steps if "%" not in step["query"]][:5]


def _filled(query: str, fields: Mapping[str, Any]) -> str:
    """`%host.name%` replaced by the event's value; a placeholder without value stays."""
    for name in query.split("%")[1::2]:
        value = fields.get(name)
        if value not in (None, "", []):
            text = text_of(value[0] if isinstance(value, list) else value)
            query = query.replace(f"%{name}%", text.replace("\\", "\\\\").replace('"', '\\"'))
    return query
