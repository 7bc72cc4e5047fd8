"""Promotion rules: what may alert in, Kibana detection rules that copy our alerts into Elastic Security out.

`single`: one rule for everything. `per-rule`: one for each Sigma rule that may alert, which brings guide, ATT&CK, false
positives, exceptions and metrics of its own, and one for what none of them takes; each alert is taken by exactly one.
Sources: https://www.elastic.co/docs/api/doc/kibana/group/endpoint-security-detections-api,
kibana build_severity_from_mapping.ts (severity values are texts, the field a number)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from soc.alert import words
from soc.alert.build import SEVERITY, RuleFacts, said
from soc.alert.policy import Policy
from soc.detect import Correlation, Rule, RuleSet
from soc.kibana import kql
from soc.kibana.attack import Matrix
from soc.kibana.item import TAG, Item, marked
from soc.kibana.setup import MOST_RULES, Setup, Space

QUERY: Final = 'event.kind:alert and event.module:soc and tags:"mode:live"'
#: Muted in our console: stored, and not shown anew here.
MUTED: Final = {"meta": {"alias": "đã tạm ẩn", "negate": True, "disabled": False}, "query": {"term": {"tags": "muted"}}}
INTERVAL: Final = "1m"
FROM: Final = "now-3m"
MAX_SIGNALS: Final = 1000
_SEVERITIES: Final = {"21": "low", "47": "medium", "73": "high", "99": "critical"}
_USELESS: Final = frozenset({"unknown", "unlikely", "none"})
#: Shown first in an alert's flyout, where the rule has nothing of its own to say.
_HIGHLIGHTED: Final = ("event.reason", "host.name", "user.name", "source.ip", "organization.name", "event.url")


@dataclass(frozen=True, slots=True)
class Alerting:
    """A Sigma rule or correlation that may alert, with the level of its alerts."""

    facts: RuleFacts
    level: str


def alerting(rules: RuleSet, policy: Policy) -> list[Alerting]:
    """What may make live alerts, in the order of ids: as soc.app.detecting decides it for each detection."""
    found = []
    both: list[Rule | Correlation] = [*rules.rules.values(), *rules.correlations]
    for one in both:
        asked = policy.decide(one.id, one.path if one.id in rules.rules else None)  # as may_alert does
        live = policy.decide(one.id, one.path).mode == "live"
        if one.id not in rules.silent and live and asked.alerts(one.level):
            found.append(Alerting(one, one.level))
    return sorted(found, key=lambda a: a.facts.id)


def promotion(space: Space, rules: Sequence[Alerting], matrix: Matrix, setup: Setup) -> list[Item]:
    """The rules of one Space, ordered by id."""
    per_rule = setup.mode == "per-rule" or (setup.mode == "auto" and len(rules) <= MOST_RULES)
    if not per_rule:
        return [_item(space, _single(space, setup))]
    rest = {
        **_single(space, setup),
        "rule_id": f"soc-promotion-{setup.default}-other",
        "name": "SOC: cảnh báo khác",
        "description": "Cảnh báo của hệ thống mà không luật nào ở đây nhận: mô hình bất thường, luật mới thêm.",
    }
    if rules:
        ids = sorted(one.facts.id for one in rules)
        rest["query"] = f"{QUERY} and not {kql.one_of('rule.id', ids)}"
    bodies = [rest, *(_one(space, one, matrix, setup) for one in rules)]
    return [_item(space, body) for body in sorted(bodies, key=lambda body: str(body["rule_id"]))]


def _item(space: Space, body: Mapping[str, Any]) -> Item:
    return Item("rule", space.id, str(body["rule_id"]), str(body["name"]), marked("rule", body))


def _single(space: Space, setup: Setup) -> dict[str, Any]:
    """The fields of workflows: the promotion rule, and what an import asks for beside them."""
    return {
        "rule_id": f"soc-promotion-{setup.default if space.staff else space.namespaces[0]}",
        "name": "SOC: cảnh báo từ hệ thống",
        "description": "Đưa cảnh báo của hệ thống giám sát vào Elastic Security; bản gốc và lịch sử xử lý ở bàn trực.",
        "type": "query",
        "language": "kuery",
        "index": [f"soc-alerts-{namespace}*" for namespace in space.namespaces],
        "query": QUERY,
        "filters": [MUTED],
        "interval": INTERVAL,
        "from": FROM,
        "to": "now",
        "max_signals": MAX_SIGNALS,
        "timestamp_override": "event.ingested",
        "rule_name_override": "rule.name",
        "severity": "medium",
        "risk_score": 47,
        "risk_score_mapping": [{"field": "event.risk_score", "operator": "equals", "value": ""}],
        "severity_mapping": [
            {"field": "event.severity", "operator": "equals", "value": value, "severity": name}
            for value, name in _SEVERITIES.items()
        ],
        "investigation_fields": {"field_names": list(_HIGHLIGHTED)},
        "enabled": True,
        "author": ["SOC"],
        "license": "",
        "tags": [TAG],
        "references": [],
        "false_positives": [],
        "threat": [],
        "note": "",
    }


def _one(space: Space, rule: Alerting, matrix: Matrix, setup: Setup) -> dict[str, Any]:
    facts, lang = rule.facts, setup.lang
    base = _single(space, setup)
    severity = SEVERITY.get(rule.level, 47)
    return {
        **base,
        "rule_id": f"{base['rule_id']}-{facts.id}",
        "name": str(said(facts, "title", lang) or facts.title),
        "description": str(said(facts, "description", lang) or facts.description or facts.title),
        "query": f"{QUERY} and rule.id:{kql.quoted(facts.id)}",
        "severity": _SEVERITIES[str(severity)],
        "risk_score": severity,
        "author": [facts.author or "SOC"],
        "tags": [TAG, *(tag for tag in facts.tags if not tag.startswith(TAG))],
        "references": [one for one in facts.references if one.startswith(("https://", "http://"))],
        "false_positives": _false_positives(facts, lang),
        "threat": matrix.threat(facts.tags, setup.attack),
        "note": _note(facts, rule.level, lang),
    }


def _false_positives(facts: RuleFacts, lang: str) -> list[str]:
    known = said(facts, "falsepositives", lang) or facts.falsepositives
    return [str(text) for text in known if str(text).casefold() not in _USELESS]


def _note(facts: RuleFacts, level: str, lang: str) -> str:
    """The guide: the rule's own questions, each with its query; `%host.name%` in it is the alert's value."""
    steps = said(facts, "steps", lang) or said(facts, "steps", "en")
    lines = ["## Làm gì bây giờ?", ""] if lang == "vi" else ["## What now?", ""]
    for number, step in enumerate((s for s in steps if isinstance(s, Mapping) and "q" in s) if steps else (), 1):
        lines.append(f"{number}. {step['q']}")
        if asked := str(step.get("query", "")):
            lines.append(f"   `{asked}`")
    word = words.LEVELS_VI.get(level, level) if lang == "vi" else level
    lines += (
        ["", f"Mức độ: {word}. `event.url` mở cảnh báo trong bàn trực: bằng chứng, chủ máy, lịch sử, đóng có kết luận."]
        if lang == "vi"
        else ["", f"Level: {word}. `event.url` opens the alert in the console: evidence, owner, history, verdict."]
    )
    return "\n".join(lines)
