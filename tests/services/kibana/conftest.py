"""A province's day on the real server: events of five sources, alerts of every level and state, rejected records."""

from __future__ import annotations

import itertools
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.alert import build
from soc.alert.entity import entity
from soc.alert.episodes import Episodes
from soc.event import Alert, Detection, Event, Fields, Matched, RawRecord, Rejected, record_id, rfc3339
from soc.kibana import Alerting, Content, Item, Setup, everything, spaces
from soc.normalize.ecs import ecs
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Server
from soc.store.elasticsearch.apply import apply, changes
from soc.store.elasticsearch.templates import templates
from tests.kibana.conftest import CONSOLE, content, may_alert, rules

__all__ = ["content", "may_alert", "rules"]

UNITS = (
    ("vn:tinh:08@2025-07-01", "tinh", "Tỉnh Tuyên Quang"),
    ("vn:xa:02215@2025-07-01", "xa", "Phường Minh Xuân"),
    ("vn:xa:02473@2025-07-01", "xa", "Xã Yên Sơn"),
)
HOSTS = ("TTDL-AD01", "MX-PC01", "YS-MOTCUA")


@dataclass(frozen=True)
class World:
    """The namespace, what was written there, and the objects that show it."""

    server: Server
    namespace: str
    setup: Setup
    items: list[Item]
    alerts: list[Fields]

    def pattern(self, view_id: str) -> str:
        (view,) = [item for item in self.items if item.kind == "data_view" and item.id == view_id]
        return str(view.body["title"])

    def search(self, view_id: str, body: dict[str, Any]) -> Any:
        return self.server.call(
            "POST", f"/{self.pattern(view_id)}/_search", body, params={"ignore_unavailable": "true"}
        )


@pytest.fixture(scope="module")
def world(elasticsearch: str, content: Content, may_alert: list[Alerting]) -> Iterator[World]:
    server = Server([elasticsearch], ElasticAccess())
    wanted = templates({name: field.kind for name, field in ecs().fields.items()})
    apply(server, changes(server, wanted))
    namespace = f"kibana.{secrets.token_hex(6)}"
    store = ElasticsearchStore([elasticsearch], namespace=namespace)
    now = datetime.now(UTC)
    written = store.write(list(_events(now)), list(_rejected(now)))
    assert written.refused == {}
    alerts = list(_alerts(now, [one.facts.id for one in may_alert]))
    assert all(store.create_alert(Alert(str(document["event.id"]), document)) for document in alerts)
    server.call("POST", f"/*{namespace}*/_refresh")
    setup = Setup(spaces("soc", "SOC", namespace, [], Path("soc.yaml")), namespace, console_url=CONSOLE)
    yield World(server, namespace, setup, everything(content, may_alert, setup), alerts)
    store.close()
    server.close()
    urllib.request.urlopen(urllib.request.Request(f"{elasticsearch}/*-{namespace}*", method="DELETE")).close()


def place(number: int) -> Fields:
    uid, level, name = UNITS[number % len(UNITS)]
    return {
        "host.name": HOSTS[number % len(HOSTS)],
        "soc.unit.uid": uid,
        "soc.unit.level": level,
        "soc.unit.name": name,
        "soc.unit.path": [UNITS[0][0], uid],
        "soc.asset.role": "máy chủ thư mục",
        "soc.asset.criticality": "critical",
        "organization.name": name,
    }


KINDS: tuple[tuple[str, Fields], ...] = (
    (
        "windows",
        {
            "event.category": ["process"],
            "event.action": "process_started",
            "process.name": "powershell.exe",
            "process.command_line": "powershell -enc SQBF",
            "user.name": "nva",
        },
    ),
    (
        "linux_auth",
        {
            "event.category": ["authentication"],
            "event.action": "ssh_login",
            "event.outcome": "failure",
            "user.name": "root",
            "source.ip": "198.51.100.7",
        },
    ),
    (
        "linux_auth",
        {
            "event.category": ["authentication"],
            "event.action": "ssh_login",
            "event.outcome": "success",
            "user.name": "ttmau",
            "source.ip": "192.0.2.9",
        },
    ),
    (
        "fortigate",
        {
            "event.category": ["network"],
            "event.action": "deny",
            "source.ip": "192.0.2.41",
            "destination.ip": "203.0.113.9",
            "destination.port": 23,
        },
    ),
    ("nginx_access", {"event.category": ["web"], "url.original": "/login", "source.ip": "198.51.100.8"}),
)


def _events(now: datetime) -> Iterator[Event]:
    for number in range(60):
        source, fields = KINDS[number % len(KINDS)]
        at = now - timedelta(minutes=3 * number)
        late = number % 10 == 0
        own: Fields = {**fields, **place(number), "@timestamp": rfc3339(at), "event.dataset": source}
        own |= {"message": f"sự kiện {number}", "soc.late": True} if late else {"message": f"sự kiện {number}"}
        if number % 6 == 0:
            own["soc.rules"] = ["2bc31e6e-7c4a-4228-8736-b044cc8a14ba"]
        event_id = record_id(now, "kibana", number)
        yield Event(event_id, event_id, at, now, source, (), own, unit=str(own["soc.unit.uid"]), registered=source)


def _rejected(now: datetime) -> Iterator[Rejected]:
    for number, code in enumerate(("bad_format", "bad_timestamp", "bad_format")):
        record = RawRecord(
            record_id(now, "rejected", number), b"?", now, source="iis_w3c", unit=UNITS[1][0], sender="x", stream="y"
        )
        yield Rejected(record, code, "thử", "parse")


LEVELS = ("critical", "high", "medium", "low")
STATES: tuple[Fields, ...] = (
    {"soc.triage.status": "open"},
    {"soc.triage.status": "acknowledged", "soc.triage.assignee": "an"},
    {"soc.triage.status": "closed", "soc.triage.verdict": "false_positive"},
    {"soc.triage.status": "closed", "soc.triage.verdict": "true_positive"},
    {"soc.triage.status": "closed", "soc.triage.verdict": "benign_positive"},
    {"soc.triage.status": "closed", "soc.triage.verdict": "duplicate"},
)


@dataclass(frozen=True)
class Facts:
    id: str
    title: str
    version: str = "1"
    description: str = "Thử"
    author: str = "SOC"
    tags: tuple[str, ...] = ("attack.execution", "attack.t1059.001")
    falsepositives: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    custom: Fields | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "custom", {})


def _alerts(now: datetime, ids: list[str]) -> Iterator[Fields]:
    """Every level in every state; some an hour old, some days; muted ones, shadow ones, one of no Sigma rule."""
    for number, (level, state) in enumerate(itertools.product(LEVELS, STATES)):
        age = timedelta(hours=1) if number % 2 else timedelta(days=3)
        yield {**_alert(number, level, now - age, ids[number % 7], "live"), **state}
    muted = _alert(100, "low", now - timedelta(hours=2), ids[0], "live")
    yield {**muted, "tags": [*muted["tags"], "muted"], "soc.triage.status": "closed", "soc.triage.verdict": "other"}
    yield _alert(101, "high", now - timedelta(hours=1), "anomaly:logon-hours", "live")
    for number in range(3):
        yield _alert(200 + number, "medium", now - timedelta(hours=5), ids[9], "shadow")


def _alert(number: int, level: str, at: datetime, rule_id: str, mode: str) -> Fields:
    found = Detection(
        rule_id,
        f"Luật {rule_id[:4]}",
        level,
        (Matched("CommandLine", "process.command_line", "contains", " -enc ", "powershell -enc SQBF"),),
        id=f"d{number}",
        timestamp=at,
        event_id=record_id(at, "alert", number),
        fields={**KINDS[0][1], **place(number), "event.original": "powershell -enc SQBF"},
    )
    (change,) = Episodes(lambda rule: timedelta(hours=6)).add([(found, place(number)["soc.unit.uid"], entity(found))])
    facts = Facts(rule_id, f"Luật {rule_id[:4]}")
    return build.document(
        found, change.episode, facts, mode=mode, lang="vi", now=at, history={"rule_fires_30d": 1}, url=CONSOLE
    )
