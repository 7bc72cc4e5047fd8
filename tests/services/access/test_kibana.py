"""The Elasticsearch part of our roles on a real server with security on: who reads what, and who changes nothing."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soc.kibana import Alerting, Content, Group, Setup, everything, spaces
from tests.kibana.conftest import content, may_alert, rules
from tests.services.access.conftest import Secure

__all__ = ["content", "may_alert", "rules"]

pytestmark = pytest.mark.services

PASSWORD = "mat-khau-thu-1"
INDICES = {
    "tinh": ("logs-soc.host-tinh-2026.11.24", "soc-alerts-tinh-2026", "soc-shadow-tinh-2026.11"),
    "y_te": ("logs-soc.host-y_te-2026.11.24", "soc-alerts-y_te-2026", "soc-shadow-y_te-2026.11"),
}
EVERY = (*INDICES["tinh"], *INDICES["y_te"], "soc-records-tinh-2026.11.24")
PATTERNS = ("logs-soc.*-tinh-*", "logs-soc.*-y_te-*", "soc-alerts-*")
PEOPLE = ("soc-analyst", "soc-y-te-viewer")


Ask = Callable[[str, str, str, Any], tuple[int, Any]]  # who, method, path, body → status, answer


@pytest.fixture(scope="module")
def ask(secure: Secure, content: Content, may_alert: list[Alerting]) -> Ask:
    """Asks the server as somebody. One person for each role is there, and a document in each index."""
    context = ssl.create_default_context(cafile=str(secure.ca))

    def asking(who: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        password = secure.elastic_password.strip() if who == "elastic" else PASSWORD
        request = urllib.request.Request(secure.hosts + path, method=method)
        request.add_header("Authorization", f"Basic {b64encode(f'{who}:{password}'.encode()).decode()}")
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=60, context=context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    setup = Setup(spaces("soc", "SOC", "tinh", [Group("y_te")], Path("soc.yaml")), "tinh")
    for index in EVERY:
        assert asking("elastic", "PUT", f"/{index}/_doc/1?refresh=true", {"x": 1})[0] == 201
    for item in everything(content, may_alert, setup):
        if item.kind == "role":
            assert asking("elastic", "PUT", f"/_security/role/{item.id}", item.body["elasticsearch"])[0] == 200
            user = {"password": PASSWORD, "roles": [item.id]}
            assert asking("elastic", "PUT", f"/_security/user/{item.id}", user)[0] == 200
    return asking


def reads(ask: Ask, who: str, index: str) -> bool:
    status, answer = ask(who, "GET", f"/{index}/_count", None)
    assert status in (200, 403)
    return status == 200 and answer["count"] == 1


def test_a_group_reads_its_own_events_and_alerts_and_nothing_else(ask: Ask) -> None:
    assert {index for index in EVERY if reads(ask, "soc-y-te-viewer", index)} == set(INDICES["y_te"][:2])


def test_a_pattern_over_everything_shows_a_group_its_own(ask: Ask) -> None:
    """What Discover asks for when somebody widens a data view by hand."""
    counts = [ask(who, "GET", f"/{','.join(PATTERNS)}/_count", None)[1]["count"] for who in (*PEOPLE, "elastic")]
    assert counts[:2] == [4, 2]
    assert counts[2] >= 4  # other tests' alerts, too


def test_staff_read_every_group(ask: Ask) -> None:
    assert [index for index in EVERY if not reads(ask, "soc-analyst", index)] == []


@pytest.mark.parametrize("who", PEOPLE)
def test_nobody_changes_what_the_pipeline_wrote(ask: Ask, who: str) -> None:
    attempts = [
        ("PUT", f"/{INDICES['y_te'][1]}/_doc/2", {"x": 2}),
        ("POST", f"/{INDICES['y_te'][1]}/_update/1", {"doc": {"x": 2}}),
        ("DELETE", f"/{INDICES['y_te'][0]}", None),
        ("PUT", "/_cluster/settings", {"persistent": {"search.max_buckets": 70000}}),
        ("PUT", "/_security/role/mine", {"cluster": ["all"]}),
    ]
    assert [(path, ask(who, method, path, body)[0]) for method, path, body in attempts] == [
        (path, 403) for _, path, _ in attempts
    ]


def test_alerts_of_elastic_security_can_be_closed_where_they_are_promoted(ask: Ask) -> None:
    index = ".internal.alerts-security.alerts-soc-000001"
    assert ask("elastic", "PUT", f"/{index}/_doc/1?refresh=true", {"x": 1})[0] == 201
    closed = {"doc": {"kibana.alert.workflow_status": "closed"}}
    assert ask("soc-analyst", "POST", f"/{index}/_update/1", closed)[0] == 200
    assert ask("soc-y-te-viewer", "GET", f"/{index}/_doc/1", None)[0] == 403
