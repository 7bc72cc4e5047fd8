"""Promotion rules: exactly what Kibana reads, each alert taken once, and alerts that carry it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.alert import build
from soc.alert.entity import entity
from soc.alert.episodes import Episodes
from soc.alert.policy import Policy
from soc.detect import RuleSet, load_rules
from soc.event import Detection, Fields, Matched, text_of
from soc.kibana import Alerting, Content, Item, Setup, alerting, everything, kql
from soc.kibana.attack import Matrix
from soc.kibana.promotion import QUERY

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)


def promoted(content: Content, rules: list[Alerting], setup: Setup, space: str = "soc") -> list[Item]:
    return [item for item in everything(content, rules, setup) if item.kind == "rule" and item.space == space]


def meets(node: kql.Node, document: Fields) -> bool:
    match node:
        case kql.All(parts):
            return all(meets(part, document) for part in parts)
        case kql.Any(parts):
            return any(meets(part, document) for part in parts)
        case kql.Not(part):
            return not meets(part, document)
        case kql.Compare(name, ":", value):
            held = document.get(name)
            return value in [text_of(one) for one in (held if isinstance(held, list) else [held])]
    raise AssertionError(node)


def takes(rule: Item, document: Fields) -> bool:
    """What Kibana would find with the rule's query and filters."""
    negated = [f["query"]["term"] for f in rule.body["filters"] if f["meta"]["negate"]]
    muted = any(value in document.get(name, ()) for term in negated for name, value in term.items())
    return meets(kql.parse(str(rule.body["query"])), document) and not muted


# ---------------------------------------------------------------- single


def test_one_rule_for_everything_has_exactly_these_fields(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    (rule,) = promoted(content, may_alert, replace(setup, mode="single"))
    body = dict(rule.body)
    assert {key: body[key] for key in ("rule_id", "name", "type", "language", "query")} == {
        "rule_id": "soc-promotion-tinh",
        "name": "SOC: cảnh báo từ hệ thống",
        "type": "query",
        "language": "kuery",
        "query": 'event.kind:alert and event.module:soc and tags:"mode:live"',
    }
    assert body["index"] == ["soc-alerts-tinh*", "soc-alerts-y_te*", "soc-alerts-xa.yen_son*"]
    assert (body["interval"], body["from"], body["max_signals"]) == ("1m", "now-3m", 1000)
    assert (body["timestamp_override"], body["rule_name_override"]) == ("event.ingested", "rule.name")
    assert (body["severity"], body["risk_score"]) == ("medium", 47)
    assert body["risk_score_mapping"] == [{"field": "event.risk_score", "operator": "equals", "value": ""}]
    assert body["severity_mapping"] == [
        {"field": "event.severity", "operator": "equals", "value": value, "severity": severity}
        for value, severity in (("21", "low"), ("47", "medium"), ("73", "high"), ("99", "critical"))
    ]


def test_a_group_that_works_in_elastic_security_has_its_own_rule(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    single = replace(setup, mode="single")
    (rule,) = promoted(content, may_alert, single, "soc-y-te")
    assert (rule.id, rule.body["index"]) == ("soc-promotion-y_te", ["soc-alerts-y_te*"])
    assert promoted(content, may_alert, single, "soc-xa-yen-son") == []


# ---------------------------------------------------------------- per rule


def test_each_rule_that_may_alert_has_a_rule_of_its_own(
    content: Content, may_alert: list[Alerting], setup: Setup, rules: RuleSet
) -> None:
    made = promoted(content, may_alert, replace(setup, mode="per-rule"))
    assert len(made) == len(may_alert) + 1
    one = next(rule for rule in made if rule.id == "soc-promotion-tinh-2bc31e6e-7c4a-4228-8736-b044cc8a14ba")
    body = one.body
    assert body["name"] == "Dò mật khẩu SSH vào một máy chủ"
    assert body["query"] == f'{QUERY} and rule.id:"2bc31e6e-7c4a-4228-8736-b044cc8a14ba"'
    assert (body["severity"], body["risk_score"]) == ("medium", 47)
    assert body["false_positives"] == [
        "Script hoặc tác vụ sao lưu còn dùng mật khẩu cũ",
        "Đợt quét lỗ hổng được phép (tạm ẩn trong thời gian đã thông báo)",
    ]
    assert body["references"] == ["https://attack.mitre.org/techniques/T1110/001/"]
    assert "1. Địa chỉ này đã đăng nhập thành công lần nào chưa?" in body["note"]
    assert 'source.ip:"%source.ip%" AND event.action:ssh_login' in body["note"]
    assert {"attack.credential-access", "soc-promotion"} <= set(body["tags"])
    (threat,) = body["threat"]
    assert threat["tactic"]["id"] == "TA0006"
    assert threat["technique"][0]["id"] == "T1110"
    assert [sub["name"] for sub in threat["technique"][0]["subtechnique"]] == ["Password Guessing"]


def test_rules_that_only_feed_correlations_or_are_too_low_have_none(
    content: Content, may_alert: list[Alerting], setup: Setup, rules: RuleSet
) -> None:
    ids = {one.facts.id for one in may_alert}
    assert ids.isdisjoint(rules.silent)
    levels = {rule.id: rule.level for rule in (*rules.rules.values(), *rules.correlations)}
    assert {levels[i] for i in ids} == {"low", "medium", "high", "critical"}
    assert ids < set(levels)


def test_what_runs_in_shadow_or_is_off_is_not_promoted(root: Path, tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text("mode: shadow\nfolders: {web: {mode: live}}\nrules: {}\n", "utf-8")
    for folder in ("web", "linux"):
        shutil.copytree(root / "rules" / folder, tmp_path / folder)
    loaded = load_rules([tmp_path])
    found = alerting(loaded, Policy.load([tmp_path]))
    paths = {rule.id: rule.path for rule in (*loaded.rules.values(), *loaded.correlations)}
    assert found
    assert {paths[one.facts.id].parent.name for one in found} == {"web"}


def test_the_mode_follows_the_number_of_rules(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    few = (may_alert * 4)[:150]
    assert len(promoted(content, few[: len(may_alert)], setup)) == len(may_alert) + 1
    many = [replace(one, facts=Facts(id=f"r{number}")) for number, one in enumerate((may_alert * 5)[:151])]
    assert [rule.id for rule in promoted(content, many, setup)] == ["soc-promotion-tinh"]
    assert len(promoted(content, many[:150], setup)) == 151


def test_every_live_alert_is_taken_by_exactly_one_rule(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    known = alert(detection(may_alert[0].facts.id))
    unknown = alert(detection("anomaly:logon-hours"))
    muted = {**known, "tags": [*known["tags"], "muted"]}
    shadow = alert(detection(may_alert[0].facts.id), mode="shadow")
    for mode in ("single", "per-rule"):
        made = promoted(content, may_alert, replace(setup, mode=mode))
        counts = [sum(takes(rule, document) for rule in made) for document in (known, unknown, muted, shadow)]
        assert counts == [1, 1, 0, 0]


def test_the_same_content_is_the_same_bytes(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    from soc.kibana import files

    once = files(everything(content, may_alert, setup), setup)
    again = files(everything(content, list(reversed(may_alert)), setup), setup)
    assert once == again
    assert list(once) == sorted(once)


# ---------------------------------------------------------------- ATT&CK


@pytest.mark.parametrize(
    ("version", "tactic", "technique"),
    [
        (18, ("TA0005", "Defense Evasion"), ("T1070", "T1070.001", "Clear Windows Event Logs")),
        (19, ("TA0112", "Defense Impairment"), ("T1685", "T1685.005", "Clear Windows Event Logs")),
    ],
)
def test_threat_speaks_the_version_that_kibana_knows(
    content: Content, version: int, tactic: tuple[str, str], technique: tuple[str, str, str]
) -> None:
    (threat,) = content.attack.threat(["attack.defense-impairment", "attack.t1685.005"], version)
    assert (threat["tactic"]["id"], threat["tactic"]["name"]) == tactic
    (parent,) = threat["technique"]
    (sub,) = parent["subtechnique"]
    assert (parent["id"], sub["id"], sub["name"]) == technique
    assert sub["reference"] == f"https://attack.mitre.org/techniques/{sub['id'].replace('.', '/')}/"


def test_a_technique_stands_under_the_tactics_that_it_belongs_to(content: Content) -> None:
    tags = ["attack.impact", "attack.defense-impairment", "attack.t1490", "attack.t1685.005"]
    found = {t["tactic"]["name"]: [x["id"] for x in t["technique"]] for t in content.attack.threat(tags, 19)}
    assert found == {"Impact": ["T1490"], "Defense Impairment": ["T1685"]}


def test_one_that_belongs_to_none_of_them_is_not_lost() -> None:
    matrix = Matrix({"impact": ("TA0040", "Impact")}, {}, {"T9999": ("execution",)}, {})
    (threat,) = matrix.threat(["attack.impact", "attack.t9999.001"], 19)
    assert threat["technique"][0]["subtechnique"][0]["name"] == "T9999.001"


def test_every_technique_of_our_rules_has_a_name(content: Content, rules: RuleSet) -> None:
    for version in (18, 19):
        for rule in (*rules.rules.values(), *rules.correlations):
            for threat in content.attack.threat(rule.tags, version):
                for technique in threat["technique"]:
                    named = [technique, *technique["subtechnique"]]
                    assert [one["id"] for one in named if one["name"] == one["id"]] == [], rule.path


# ---------------------------------------------------------------- the alert's side


@dataclass(frozen=True)
class Facts:
    id: str = "r1"
    title: str = "A rule"
    version: str = "1"
    description: str = ""
    author: str = ""
    tags: tuple[str, ...] = ("attack.execution", "attack.t1059.001")
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ("https://soc.tinh.example/runbook/r1",)
    custom: dict[str, Any] = field(default_factory=dict)


def detection(rule_id: str, level: str = "high", **fields: Any) -> Detection:
    return Detection(
        rule_id,
        "A rule",
        level,
        (Matched("CommandLine", "process.command_line", "contains", "x" * 900, "y" * 900),) * 3,
        id="d1",
        timestamp=NOW,
        event_id="20261124-e1",
        fields={
            "host.name": "PC-0001",
            "host.ip": ["192.0.2.7"],
            "user.name": "nva",
            "process.name": "powershell.exe",
            "process.parent.name": "winword.exe",
            "file.name": "a.doc",
            "source.ip": "198.51.100.7",
            "destination.ip": "203.0.113.7",
            "event.category": ["process"],
            "soc.unit.uid": "vn:xa:02215@2025-07-01",
            "soc.unit.level": "xa",
            "soc.unit.name": "Phường Minh Xuân",
            "soc.unit.path": ["vn:tinh:08@2025-07-01", "vn:xa:02215@2025-07-01"],
            **fields,
        },
    )


def alert(found: Detection, mode: str = "live", now: datetime = NOW) -> Fields:
    (change,) = Episodes(lambda rule: timedelta(hours=6)).add([(found, "u", entity(found))])
    return build.document(
        found, change.episode, Facts(), mode=mode, lang="vi", now=now, history={}, url="https://soc.tinh.example"
    )


def test_an_alert_carries_everything_that_promotion_and_kibanas_reason_column_read() -> None:
    document = alert(detection("r1"))
    assert (document["event.kind"], document["event.module"]) == ("alert", "soc")
    assert "mode:live" in document["tags"]
    assert document["event.severity"] == 73 and type(document["event.severity"]) is int
    assert 0 <= document["event.risk_score"] <= 100
    assert len(document["event.reason"]) <= 1000
    assert document["message"] and document["rule.name"]
    assert document["event.url"] == f"https://soc.tinh.example/a/{document['event.id']}"
    copied = (
        "host.name",
        "user.name",
        "process.name",
        "process.parent.name",
        "file.name",
        "source.ip",
        "destination.ip",
    )
    assert [name for name in (*copied, "event.category") if name not in document] == []
    assert [name for name in document if name.startswith(("kibana.", "signal.", "threshold_result"))] == []


@pytest.mark.parametrize(("level", "severity"), [("informational", 21), ("low", 21), ("medium", 47), ("critical", 99)])
def test_levels_are_the_numbers_that_the_mapping_compares_with(level: str, severity: int) -> None:
    assert alert(detection("r1", level))["event.severity"] == severity


def test_growth_leaves_the_time_of_ingest_alone() -> None:
    """timestamp_override: an alert that grows is not promoted a second time."""
    found = detection("r1")
    (change,) = Episodes(lambda rule: timedelta(hours=6)).add([(found, "u", entity(found))])
    grown = build.growth(found, change.episode, found.fields, "A rule", "vi")
    assert {"event.ingested", "event.created", "event.kind", "event.severity", "tags"}.isdisjoint(grown)
