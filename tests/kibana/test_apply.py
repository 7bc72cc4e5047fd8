"""`soc kibana apply` against a local double: order, headers, idempotence, what changes and what is left alone."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from soc.event import ContentError, TransportError
from soc.kibana import DOING, Alerting, Change, Content, Item, Kibana, Setup, apply, everything, plan
from tests.kibana.double import KEY, Double, served


@pytest.fixture
def double() -> Double:
    return Double()


@pytest.fixture
def url(double: Double) -> Iterator[str]:
    with served(double, base="/kibana") as url:
        yield url


@pytest.fixture
def kibana(url: str) -> Kibana:
    return Kibana(url, KEY, timeout_s=10)


@pytest.fixture
def items(content: Content, may_alert: list[Alerting], setup: Setup) -> list[Item]:
    return everything(content, may_alert[:3], setup)


def actions(changes: Sequence[Change]) -> dict[str, int]:
    return dict(Counter(change.action for change in changes))


def applied(kibana: Kibana, items: Sequence[Item], setup: Setup, **options: Any) -> list[Change]:
    changes = plan(kibana, items, setup, **options)
    apply(kibana, changes)
    return changes


def test_everything_is_created_in_the_order_in_which_it_refers_to_each_other(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    assert actions(applied(kibana, items, setup)) == {"create": len(items)}
    order = ["spaces", "security", "data_views", "discover_sessions", "dashboards", "detection_engine"]
    seen = [path.split("/")[2] for _, _, path in double.writes()]
    assert seen == sorted(seen, key=order.index)
    assert len(double.rules) == sum(item.kind == "rule" for item in items)
    assert set(double.spaces) == {"default", "soc", "soc-y-te", "soc-xa-yen-son"}


def test_every_request_bears_its_headers(kibana: Kibana, double: Double, items: list[Item], setup: Setup) -> None:
    applied(kibana, items, setup)
    for request in double.requests:
        assert request.headers["Authorization"] == f"ApiKey {KEY}"
        assert request.headers["Elastic-Api-Version"] == "2023-10-31"
        assert ("kbn-xsrf" in request.headers) == (request.method != "GET")
    (imported, *_) = [r for r in double.requests if r.path.endswith("_import")]
    assert (imported.space, imported.params) == ("soc", {"overwrite": "true"})
    assert imported.headers["Content-Type"].startswith("multipart/form-data; boundary=")


def test_applying_again_changes_nothing(kibana: Kibana, double: Double, items: list[Item], setup: Setup) -> None:
    applied(kibana, items, setup)
    written = len(double.writes())
    assert actions(applied(kibana, items, setup)) == {"same": len(items)}
    assert len(double.writes()) == written


def test_planning_writes_nothing(kibana: Kibana, double: Double, items: list[Item], setup: Setup) -> None:
    plan(kibana, items, setup)
    assert double.writes() == []


@pytest.mark.parametrize("kind", ["space", "role", "data_view", "search", "dashboard", "rule"])
def test_content_that_changed_is_one_update(
    kibana: Kibana, double: Double, content: Content, may_alert: list[Alerting], setup: Setup, kind: str
) -> None:
    applied(kibana, everything(content, may_alert[:3], setup), setup)
    spaces = (replace(setup.spaces[0], title="SOC Tuyên Quang"), *setup.spaces[1:])
    first = content.dashboards[0]
    changed: dict[str, tuple[Content, Setup]] = {
        "space": (content, replace(setup, spaces=spaces)),
        "role": (replace(content, staff=replace(content.staff, description="Trực")), setup),
        "data_view": (
            replace(content, views={**content.views, "records": replace(content.views["records"], title="Bị loại")}),
            setup,
        ),
        "search": (
            replace(
                content,
                searches={**content.searches, "rejected": replace(content.searches["rejected"], question="Vì sao?")},
            ),
            setup,
        ),
        "dashboard": (replace(content, dashboards=[replace(first, last="14d"), *content.dashboards[1:]]), setup),
        "rule": (content, setup),
    }
    there, asked = changed[kind]
    rules = may_alert[:3]
    if kind == "rule":
        rules = [replace(rules[0], level="critical"), *rules[1:]]
    changes = applied(kibana, everything(there, rules, asked), asked)
    doing = [change.item for change in changes if change.action in DOING]
    assert {item.kind for item in doing} == {kind}
    assert {change.action for change in changes} == {"same", "update"}
    # a dashboard stands in each of the three Spaces, a rule in the two that are promoted into
    assert len(doing) == {"dashboard": 3, "rule": 2}.get(kind, 1)
    assert actions(plan(kibana, everything(there, rules, asked), asked)) == {"same": len(changes)}


def test_what_an_analyst_changed_is_told_and_left_alone(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    applied(kibana, items, setup)
    double.objects[("dashboard", "soc", "soc-unit")]["title"] = "Bảng của tôi"
    (edited,) = [change for change in plan(kibana, items, setup) if change.action != "same"]
    assert (edited.action, edited.item.id, edited.why) == ("edited", "soc-unit", ("title",))
    applied(kibana, items, setup)
    assert double.objects[("dashboard", "soc", "soc-unit")]["title"] == "Bảng của tôi"
    applied(kibana, items, setup, overwrite=True)
    assert double.objects[("dashboard", "soc", "soc-unit")]["title"] == "SOC 2. Một đơn vị"
    assert actions(plan(kibana, items, setup)) == {"same": len(items)}


def test_a_role_that_was_widened_by_hand_is_put_back(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    applied(kibana, items, setup)
    double.roles["soc-y-te-viewer"]["elasticsearch"]["indices"][0]["names"].append("logs-*")
    (change,) = [change for change in applied(kibana, items, setup) if change.action != "same"]
    assert (change.action, change.item.id) == ("update", "soc-y-te-viewer")
    assert "logs-*" not in double.roles["soc-y-te-viewer"]["elasticsearch"]["indices"][0]["names"]


def test_the_order_of_names_in_a_role_means_nothing(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    applied(kibana, items, setup)
    double.roles["soc-analyst"]["elasticsearch"]["indices"][0]["names"].reverse()
    assert actions(plan(kibana, items, setup)) == {"same": len(items)}


# ---------------------------------------------------------------- rules


def test_an_update_keeps_what_analysts_decided_about_a_rule(
    kibana: Kibana, double: Double, content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    applied(kibana, everything(content, may_alert[:3], setup), setup)
    key = ("soc", f"soc-promotion-tinh-{may_alert[0].facts.id}")
    exceptions = [{"id": "e1", "list_id": "l1", "type": "rule_default", "namespace_type": "single"}]
    double.rules[key] |= {"enabled": False, "exceptions_list": exceptions}
    assert actions(plan(kibana, everything(content, may_alert[:3], setup), setup)).keys() == {"same"}
    rules = [replace(may_alert[0], level="critical"), *may_alert[1:3]]
    applied(kibana, everything(content, rules, setup), setup)
    assert double.rules[key]["severity"] == "critical"
    assert (double.rules[key]["enabled"], double.rules[key]["exceptions_list"]) == (False, exceptions)


def test_a_new_api_key_is_given_to_every_rule(kibana: Kibana, double: Double, items: list[Item], setup: Setup) -> None:
    """A rule runs with the key that imported it."""
    applied(kibana, items, setup)
    changes = applied(kibana, items, setup, renew=True)
    renewed = [change for change in changes if change.action == "update"]
    assert [change.item.kind for change in renewed] == ["rule"] * len(double.rules)
    assert [r.space for r in double.requests if r.path.endswith("_import")] == ["soc", "soc-y-te"] * 2


def test_another_mode_takes_the_rules_of_the_first_away(
    kibana: Kibana, double: Double, content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    """Else every alert would be in Kibana twice. A person's own rules stay."""
    applied(kibana, everything(content, may_alert, replace(setup, mode="per-rule")), setup)
    double.rules[("soc", "mine")] = {"rule_id": "mine", "name": "Của tôi", "tags": ["soc"]}
    single = replace(setup, mode="single")
    changes = applied(kibana, everything(content, may_alert, single), single)
    assert sorted(double.rules) == [
        ("soc", "mine"),
        ("soc", "soc-promotion-tinh"),
        ("soc-y-te", "soc-promotion-y_te"),
    ]
    assert actions(changes)["remove"] == 2 * (len(may_alert) + 1)
    writes = [(method, path) for method, _, path in double.writes() if "detection_engine" in path]
    last = len(writes) - 1 - writes[::-1].index(("DELETE", "/api/detection_engine/rules"))
    assert ("POST", "/api/detection_engine/rules/_import") in writes[last:], "removed before the import"


def test_more_rules_than_a_page_are_found_again(
    kibana: Kibana, double: Double, content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    from tests.kibana.test_promotion import Facts

    many = [replace(may_alert[0], facts=Facts(id=f"r{number}")) for number in range(120)]
    items = everything(content, many, setup)
    applied(kibana, items, setup)
    assert actions(plan(kibana, items, setup)) == {"same": len(items)}


def test_rules_that_kibana_refuses_are_named(kibana: Kibana, double: Double, items: list[Item], setup: Setup) -> None:
    double.refused_rules = {"soc-promotion-tinh-other"}
    with pytest.raises(TransportError, match=r"refused 1 of 4 rules: soc-promotion-tinh-other: Invalid query"):
        applied(kibana, items, setup)
    double.refused_rules = set()
    assert actions(applied(kibana, items, setup))["create"] == 5  # that one, and the four of the second Space


# ---------------------------------------------------------------- what a Kibana lacks


def test_a_kibana_without_discover_sessions_skips_searches_and_has_them_in_dashboards(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    double.sessions = False
    changes = applied(kibana, items, setup)
    assert {change.item.kind for change in changes if change.action == "skipped"} == {"search"}
    assert not any(kind == "search" for kind, _, _ in double.objects)
    assert b'"discover_session"' in b"".join(r.body for r in double.requests if "dashboards" in r.path)
    assert set(actions(plan(kibana, items, setup))) == {"same", "skipped"}


def test_elastic_security_that_is_switched_off_is_a_sentence(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup
) -> None:
    double.security = False
    with pytest.raises(TransportError, match=r"has no POST .*_import.*switched off"):
        applied(kibana, items, setup)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("9.3.4", "Kibana 9.3 has no Dashboards API; it takes 9.4"),
        ("9.4.0", "is 9.4, which brings ATT&CK v18; the content is made for 9.5 .v19.: set kibana.version to 9.4"),
        ("next", "'next' is no version"),
    ],
)
def test_a_version_that_does_not_fit_is_refused_before_anything_is_written(
    kibana: Kibana, double: Double, items: list[Item], setup: Setup, version: str, why: str
) -> None:
    double.version = version
    with pytest.raises(TransportError, match=why):
        plan(kibana, items, setup)
    assert double.writes() == []


# ---------------------------------------------------------------- failures


def test_a_wrong_key_is_a_sentence(url: str) -> None:
    with pytest.raises(TransportError, match="does not accept the API key: wrong, expired or revoked"):
        Kibana(url, "bm90OnRoaXM=").version()


def test_a_key_may_be_written_as_id_and_secret(url: str) -> None:
    assert Kibana(url, "soc:secret").version() == (9, 5)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, {"message": "forbidden"}), "lacks a privilege for GET /api/status: forbidden"),
        ((404, {"message": "Not Found"}), "a wrong base path in kibana.url"),
        ((302, b""), "sends GET /api/status elsewhere"),
        ((503, b"Kibana server is not ready yet"), "overloaded or not ready .503.: Kibana server is not ready yet"),
        ((500, {"message": "boom"}), "refused GET /api/status .500.: boom"),
        ((200, b"<html>"), "is no Kibana"),
        ((200, {"status": {}}), "does not tell its version"),
    ],
)
def test_every_refusal_is_a_sentence(kibana: Kibana, double: Double, answer: Any, why: str) -> None:
    double.answers["/api/status"] = answer
    with pytest.raises(TransportError, match=why):
        kibana.version()


def test_nobody_at_the_address_is_a_sentence() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(TransportError, match="does not answer"):
        Kibana(f"http://127.0.0.1:{port}", KEY).version()


def test_a_server_that_never_answers_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(TransportError, match=r"no answer in 0.2 s"),
    ):
        Kibana(f"http://127.0.0.1:{silent.getsockname()[1]}", KEY, timeout_s=0.2).version()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[str]:
    """URL of a server that says over TLS, to each who trusts it, that it is Kibana 9.5. Its CA is ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    answer = b'{"version": {"number": "9.5.0"}}'
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_the_configured_authority_is_trusted_and_no_other(secure: str, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "stranger.pem")
    assert Kibana(secure, KEY, ca=tmp_path / "ca.pem", timeout_s=5).version() == (9, 5)
    for ca in (tmp_path / "stranger.pem", None):
        with pytest.raises(TransportError, match="not the authority that signed its certificate"):
            Kibana(secure, KEY, ca=ca, timeout_s=5).version()
    with pytest.raises(ContentError, match="cannot be read"):
        Kibana(secure, KEY, ca=tmp_path / "absent.pem")
