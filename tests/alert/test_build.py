"""The alert document: what an analyst must find in it within a minute."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from soc.alert import build
from soc.alert.entity import entity
from soc.alert.episodes import Episodes
from soc.event import Detection, Matched, nested

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


@dataclass
class Rule:
    id: str = "5e2a"
    title: str = "Encoded PowerShell"
    version: str = "v7"
    description: str = "Somebody hides a command."
    author: str = "SOC"
    tags: tuple[str, ...] = ("attack.execution", "attack.t1059.001", "attack.stealth")
    falsepositives: tuple[str, ...] = ("Unknown", "SCCM")
    references: tuple[str, ...] = ("https://soc.example/runbook/5e2a",)
    custom: dict[str, Any] = field(
        default_factory=lambda: {
            "soc": {
                "title_vi": "PowerShell mã hoá",
                "steps_vi": [
                    {"q": "Tiến trình cha là gì?", "query": 'host.name:"%host.name%" AND process.pid:%process.pid%'},
                    {"q": "Ai gửi?", "query": "email.from.address:%email.from.address%"},
                ],
            }
        }
    )


def detection(**fields: Any) -> Detection:
    return Detection(
        rule_id="5e2a",
        title="Encoded PowerShell",
        level="high",
        matched=(Matched("CommandLine", "process.command_line", "contains", " -enc ", "powershell -enc SQBF"),),
        id="d1",
        timestamp=NOW,
        event_id="e1",
        fields={
            "host.name": "PC-0001",
            "process.pid": 4242,
            "process.command_line": "powershell -enc SQBF",
            "event.category": ["process"],
            "soc.unit.uid": "vn:xa:99999@2025-07-01",
            "soc.unit.level": "xa",
            "soc.unit.name": "Xã A",
            "soc.unit.path": ["vn:trung_uong:VN@2024-09-01", "vn:tinh:99@2025-07-01", "vn:xa:99999@2025-07-01"],
            "event.original": "x" * 5000,
            **fields,
        },
    )


def made(found: Detection, lang: str = "vi", rule: Rule | None = None) -> dict[str, Any]:
    episodes = Episodes(lambda r: timedelta(hours=1))
    (change,) = episodes.add([(found, "u", entity(found))])
    return build.document(found, change.episode, rule or Rule(), mode="live", lang=lang, now=NOW, history={})


def test_the_message_names_rule_host_unit_and_reason_in_vietnamese() -> None:
    assert made(detection())["message"] == (
        "PowerShell mã hoá trên PC-0001 (Xã A): CommandLine chứa ' -enc ' (giá trị: 'powershell -enc SQBF')"
    )


def test_english_is_there_for_who_asks() -> None:
    assert made(detection(), "en")["event.reason"] == "CommandLine contains ' -enc ' (value: 'powershell -enc SQBF')"


def test_severity_is_an_integer_of_kibanas_four() -> None:
    assert made(detection())["event.severity"] == 73


def test_an_important_machine_raises_the_score_and_the_parts_say_so() -> None:
    doc = made(detection(**{"soc.asset.criticality": "high"}))
    assert (doc["event.risk_score"], doc["soc.score.parts"]) == (83, {"rule": 73, "asset": 10})


def test_unit_ancestors_level_and_mode_are_tags() -> None:
    assert made(detection())["tags"] == [
        "soc",
        "mode:live",
        "kind:rule",
        "level:xa",
        "unit:vn:xa:99999@2025-07-01",
        "under:vn:trung_uong:VN@2024-09-01",
        "under:vn:tinh:99@2025-07-01",
    ]


def test_attack_ids_are_listed_and_unknown_ids_left_out() -> None:
    doc = made(detection())
    assert doc["threat.tactic.id"] == ["TA0002"]
    assert doc["threat.tactic.name"] == ["Execution", "Stealth"]
    assert doc["threat.technique.subtechnique.id"] == ["T1059.001"]


def test_steps_are_filled_from_the_event_and_those_that_cannot_be_are_left_out() -> None:
    assert made(detection())["soc.steps"] == [
        {"q": "Tiến trình cha là gì?", "query": 'host.name:"PC-0001" AND process.pid:4242'}
    ]


def test_false_positives_that_say_nothing_are_not_shown() -> None:
    assert made(detection())["soc.falsepositives"] == ["SCCM"]


def test_the_rule_of_an_ids_event_does_not_pass_for_ours() -> None:
    doc = made(detection(**{"rule.name": "ET SCAN"}))
    assert (doc["rule.name"], doc["soc.event.rule.name"]) == ("PowerShell mã hoá", "ET SCAN")


def test_the_document_stays_under_8_kb_whatever_the_event_holds() -> None:
    doc = made(detection(**{"process.command_line": "y" * 100_000, "event.reason": "z" * 9000}))
    assert len(orjson.dumps(nested(doc))) <= 8192
    assert len(doc["event.hash"]) == 24


def test_web_alerts_are_about_the_peer_and_host_alerts_about_the_host() -> None:
    both = {"source.ip": "203.0.113.5", "host.name": "web01"}
    web = Detection("r", "r", "low", fields={**both, "event.category": ["web"]})
    host = Detection("r", "r", "low", fields={**both, "event.category": ["process"]})
    assert (entity(web), entity(host)) == ({"source.ip": "203.0.113.5"}, {"host.name": "web01"})
    assert entity(host, ["user.name", "source.ip"]) == {"source.ip": "203.0.113.5"}


def test_a_correlation_says_how_many_in_what_time_of_whom() -> None:
    found = Detection(
        "c", "Guessing", "medium", id="d", kind="correlation", timestamp=NOW, event_id="e", count=12,
        group={"source.ip": "203.0.113.5"}, first=NOW - timedelta(minutes=4), last=NOW, evidence=("e1", "e2"),
    )  # fmt: skip
    doc = made(found, rule=Rule(custom={}))
    assert doc["event.reason"] == "12 sự kiện trong 4 phút với source.ip = 203.0.113.5"
    assert (doc["soc.evidence.count"], doc["soc.evidence.ids"]) == (12, ["e1", "e2"])
