"""A key does its component's work and nothing else, in its namespaces alone: a real server with TLS and security on.

Document-level security is not used (Basic has none): what keeps access groups apart are index names and privileges.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.event import Alert, Event, RawRecord, Rejected, TransportError, digest, rfc3339
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Namespace, Server
from soc.store.elasticsearch.failures import AnswerError
from soc.store.elasticsearch.keys import create, listed, missing, revoke
from soc.store.query import parse_query
from tests.services.access.conftest import HOUR, Keys, Secure, Soc

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = f"{NOON:%Y.%m.%d}"


def event(n: int, **fields: Any) -> Event:
    name = f"{NOON:%Y%m%d}-{digest(n)}"
    stamp = NOON + timedelta(seconds=n)
    document = {"@timestamp": rfc3339(stamp), "event.dataset": "linux_auth", "message": f"dòng {n}"} | fields
    return Event(name, name, stamp, NOON, "linux_auth", (), document, "vn:xa:00001")


def record(n: int) -> RawRecord:
    return RawRecord(f"{NOON:%Y%m%d}-{digest(n)}", b"line", NOON, "linux_auth", "vn:xa:00001")


def rejection(n: int) -> Rejected:
    return Rejected(record(n), "bad_format", "no line of ours", "parse")


def alert(name: str = "a", **fields: Any) -> Alert:
    document = {"@timestamp": rfc3339(NOON), "rule.id": "r", "soc.evidence.ids": [event(0).id]}
    return Alert(name * 24, document | fields)


@pytest.fixture
def namespace() -> str:
    return f"n{secrets.token_hex(4)}"


Open = Callable[[str], ElasticsearchStore]


@pytest.fixture
def opened(keys: Keys, namespace: str) -> Open:
    """The store under a component's key."""
    return lambda component: ElasticsearchStore(
        [keys.secure.hosts], access=keys.access(component, namespace), namespace=namespace
    )


@pytest.fixture(scope="module")
def full(keys: Keys) -> str:
    """A namespace whose every index is there, and can be searched."""
    namespace = f"f{secrets.token_hex(4)}"
    everything = ElasticAccess(user="elastic", password=keys.secure.elastic_password, ca=keys.secure.ca)
    store = ElasticsearchStore([keys.secure.hosts], access=everything, namespace=namespace)
    store.write([event(n) for n in range(3)], [rejection(10)])
    store.create_alert(alert())
    store.save_state("x", b"x")
    store.close()
    show(keys, namespace)
    return namespace


def show(keys: Keys, *namespaces: str) -> None:
    """What was written can be searched, without waiting for the indices' refresh."""
    for namespace in namespaces:
        keys.server.call("POST", f"/*-{namespace}-*,*-{namespace}/_refresh", params={"ignore_unavailable": "true"})


# ---------------------------------------------------------------- each does its work


def test_the_detect_worker_does_its_work_under_its_key(opened: Open) -> None:
    store = opened("detect")
    assert store.write([event(n) for n in range(3)], [rejection(10)], [record(11)]).created == 3
    assert store.write([event(n) for n in range(3)], again=True).existed == 3
    assert store.write([event(10)]).created == 1  # the rejected record is stored after all
    store.write([], [rejection(1)])  # and one that is stored stays so
    fates = store.fates([f"{NOON:%Y%m%d}-{digest(n)}" for n in (0, 1, 10, 11, 12)])
    assert sorted(fates.values()) == ["filtered", "stored", "stored", "stored"]
    many = store.fates([f"{NOON:%Y%m%d}-{digest(n)}" for n in range(3000)])  # looked up by search, not one by one
    assert sorted(many.values()) == ["filtered", *["stored"] * 4]


def test_an_event_that_is_refused_takes_those_of_its_record_along(opened: Open) -> None:
    """Why the detect worker may delete events."""
    store = opened("detect")
    good, bad = event(20), event(21, **{"@timestamp": "no time"})
    good.record_id = bad.record_id = good.id
    bad.id = f"{good.id}-1"
    written = store.write([good, bad])
    assert set(written.refused) == {good.id, bad.id}
    assert store.event(good.id) is None


def test_the_alert_worker_does_its_work_under_its_key(opened: Open) -> None:
    store = opened("alert")
    assert store.create_alert(alert("a"))
    assert store.create_alert(alert("b", **{"soc.mode": "shadow"}))
    found = store.alert("a" * 24)
    assert found is not None
    store.update_alert(found.id, {"soc.evidence.count": 2}, found.version)
    store.save_state("alert/soc.detections/0", b"state")
    assert store.load_state("alert/soc.detections/0") == b"state"
    store.search_alerts(parse_query("rule.id:r"))


def test_the_watch_role_does_its_work_under_its_key(opened: Open) -> None:
    opened("detect").write([event(n) for n in range(3)], [rejection(10)])
    store = opened("watch")
    store.save_state("counts/2026-11-24", b"{}")
    assert store.load_state("counts/2026-11-24") == b"{}"
    deleted = store.expire(date(2026, 12, 1))
    assert deleted == {"host": 3, "rejected": 1}
    assert store.expire(date(2026, 12, 1)) == {}


@pytest.mark.parametrize("component", ["reader", "analyst", "ingest", "doctor"])
def test_whoever_looks_sees_all_that_is_there(keys: Keys, full: str, component: str) -> None:
    store = ElasticsearchStore([keys.secure.hosts], access=keys.access(component, full), namespace=full)
    assert [row.stored for row in store.ledger()] == [3]
    assert [rejected.record.id for rejected in store.rejected()] == [record(10).id]
    assert store.load_state("x") == b"x"
    assert store.search(parse_query("dong")).total == 3  # without marks
    assert store.count_by(parse_query("*"), "event.dataset") == [("linux_auth", 3)]
    assert [row[1] for row in store.sources_seen()] == ["linux_auth"]
    assert store.event(event(0).id) is not None
    if component != "doctor":
        assert store.alert("a" * 24) is not None


def test_an_analyst_triages_and_mutes(opened: Open) -> None:
    opened("alert").create_alert(alert())
    store = opened("analyst")
    found = store.alert("a" * 24)
    assert found is not None
    store.update_alert(found.id, {"soc.triage.status": "closed"}, found.version)
    store.save_state("mutes", b"[]")


def test_ingest_forgets_what_it_has_replayed(opened: Open) -> None:
    opened("detect").write([], [rejection(10)])
    store = opened("ingest")
    store.forget_rejected([record(10).id])
    assert store.fates([record(10).id]) == {}


# ---------------------------------------------------------------- and nothing else

LOGS, RECORDS = f"logs-soc.host-{{}}-{DAY}", f"soc-records-{{}}-{DAY}"
ALERTS, STATE = "soc-alerts-{}-2026", "soc-state-{}"
READ, WRITE, UPDATE = ("POST", "_search"), ("PUT", "_create/x"), ("PUT", "_doc/x")
DROP, MAPPING = ("DELETE", ""), ("PUT", "_mapping")

#: component → what must be refused: index, then method and action.
FORBIDDEN = {
    "detect": [(LOGS, UPDATE), (LOGS, DROP), (ALERTS, READ), (ALERTS, WRITE), (STATE, READ), (STATE, UPDATE)],
    "alert": [(LOGS, READ), (LOGS, WRITE), (RECORDS, READ), (ALERTS, DROP), (STATE, DROP)],
    "watch": [(LOGS, WRITE), (LOGS, UPDATE), (ALERTS, READ), (ALERTS, WRITE), (ALERTS, DROP), (STATE, DROP)],
    "reader": [(i, a) for i in (LOGS, RECORDS, ALERTS, STATE) for a in (WRITE, UPDATE, DROP, MAPPING)],
    "analyst": [(LOGS, WRITE), (LOGS, UPDATE), (RECORDS, UPDATE), (ALERTS, DROP), (LOGS, DROP), (STATE, DROP)],
    "ingest": [(LOGS, WRITE), (ALERTS, UPDATE), (STATE, UPDATE), (RECORDS, DROP)],
    "doctor": [(LOGS, WRITE), (RECORDS, UPDATE), (ALERTS, READ), (STATE, UPDATE), (LOGS, DROP)],
    "admin": [(i, a) for i in (LOGS, RECORDS, ALERTS, STATE) for a in (READ, WRITE, DROP)],
}


def status(server: Server, index: str, how: tuple[str, str]) -> int:
    """HTTP's, of one request: 200 for any success."""
    method, action = how
    body = None if method == "DELETE" else {} if action == "_search" else {"properties": {}}
    body = {"x": 1} if action.endswith("/x") else body
    try:
        server.call(method, f"/{index}/{action}".rstrip("/"), body)
    except AnswerError as refused:
        assert refused.status != 403 or "lacks a privilege" in str(refused)
        return refused.status
    return 200


@pytest.mark.parametrize("component", FORBIDDEN)
def test_a_key_gets_403_for_what_is_not_its_component_s(keys: Keys, full: str, component: str) -> None:
    server = keys.server_of(component, full)
    got = {(index.format("…"), *how): status(server, index.format(full), how) for index, how in FORBIDDEN[component]}
    server.close()
    assert {what: code for what, code in got.items() if code != 403} == {}


@pytest.mark.parametrize("component", ["detect", "alert", "watch", "reader", "analyst", "ingest", "doctor"])
def test_a_key_of_one_namespace_gets_403_on_another(keys: Keys, full: str, namespace: str, component: str) -> None:
    server = keys.server_of(component, namespace)
    for index in (LOGS, RECORDS, ALERTS, STATE):
        for how in (READ, WRITE, UPDATE, DROP):
            assert status(server, index.format(full), how) == 403, (index, how)
    server.close()


@pytest.mark.parametrize("component", ["detect", "alert", "watch", "reader", "analyst", "ingest", "doctor"])
def test_no_key_of_a_component_changes_security_or_templates(keys: Keys, full: str, component: str) -> None:
    server = keys.server_of(component, full)
    for path, body in (
        ("/_security/user/mallory", {"password": "long-enough", "roles": ["superuser"]}),
        ("/_security/role/mallory", {"cluster": ["all"]}),
        ("/_index_template/mallory", {"index_patterns": ["mallory-*"]}),
        ("/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": 1}}),
    ):
        with pytest.raises(AnswerError) as refused:
            server.call("PUT", path, body)
        assert refused.value.status == 403
    server.close()


def test_a_key_cannot_make_a_key_with_rights(keys: Keys) -> None:
    server = keys.server_of("admin", "tinh")
    with pytest.raises(AnswerError):
        create(server, keys.components["reader"], ["tinh"], "tinh", HOUR)
    server.close()


def test_access_groups_do_not_see_each_other(keys: Keys) -> None:
    """One pipeline files by unit; each group's reader, configured for its own namespace, finds what is its own."""
    some = secrets.token_hex(3)
    mine, theirs, rest = f"mine{some}", f"theirs{some}", f"rest{some}"
    groups = [Namespace(mine, ("vn:xa:1",)), Namespace(theirs, ("vn:xa:2",))]

    def pipeline(component: str) -> ElasticsearchStore:
        access = keys.access(component, rest, mine, theirs, rest)
        return ElasticsearchStore([keys.secure.hosts], access=access, namespace=rest, namespaces=groups)

    units = {mine: "vn:xa:1", theirs: "vn:xa:2", rest: "vn:xa:3"}
    events = {space: event(n, **{"soc.unit.uid": unit}) for n, (space, unit) in enumerate(units.items())}
    alerts = {space: alert(str(n), **{"soc.unit.uid": unit}) for n, (space, unit) in enumerate(units.items())}
    assert pipeline("detect").write(list(events.values())).created == 3
    for one in alerts.values():
        pipeline("alert").create_alert(one)
    everybody = pipeline("reader")
    show(keys, mine, theirs, rest)
    assert everybody.search(parse_query("*")).total == everybody.search_alerts(parse_query("*"))[0] == 3
    group = ElasticsearchStore([keys.secure.hosts], access=keys.access("reader", rest, mine), namespace=mine)
    assert group.search(parse_query("*")).total == 1
    assert [found.id for found in group.search_alerts(parse_query("*"))[1]] == [alerts[mine].id]
    for space in units:
        assert (group.event(events[space].id) is not None) is (space == mine)
        assert (group.alert(alerts[space].id) is not None) is (space == mine)
    curious = ElasticsearchStore([keys.secure.hosts], access=keys.access("reader", rest, mine), namespace=theirs)
    with pytest.raises(TransportError):
        curious.event(events[theirs].id)
    with pytest.raises(TransportError):
        curious.load_state("mutes")
    assert curious.search(parse_query("*")).total == 0


def test_rights_by_document_or_field_are_not_part_of_the_table(keys: Keys) -> None:
    for component in keys.components.values():
        for row in component.descriptor(["a", "b"], "a")["indices"]:
            assert set(row) == {"names", "privileges"}


# ---------------------------------------------------------------- who is at the door


def test_a_wrong_ca_is_named_and_nothing_else(secure: Secure, strangers_ca: Path) -> None:
    access = ElasticAccess(user="elastic", password=secure.elastic_password, ca=strangers_ca)
    with pytest.raises(TransportError) as refused:
        Server([secure.hosts], access).call("GET", "/")
    assert "certificate" in str(refused.value)
    assert "`ca`" in str(refused.value)
    assert "password" not in str(refused.value)


def test_a_wrong_password_is_named_and_nothing_else(secure: Secure) -> None:
    with pytest.raises(TransportError) as refused:
        Server([secure.hosts], ElasticAccess(user="elastic", password="not-this-one", ca=secure.ca)).call("GET", "/")
    assert "the user elastic with this password" in str(refused.value)
    assert "certificate" not in str(refused.value)
    assert "not-this-one" not in str(refused.value)


def test_a_revoked_key_is_told_so(keys: Keys) -> None:
    key, secret = create(keys.server, keys.components["reader"], ["tinh"], "tinh", HOUR)
    server = Server([keys.secure.hosts], ElasticAccess(api_key=secret, ca=keys.secure.ca))
    server.call("GET", "/")
    assert revoke(keys.server, [key.id]) == [key.id]
    assert revoke(keys.server, [key.id]) == []
    with pytest.raises(TransportError, match="does not accept the API key: wrong, expired or revoked"):
        server.call("GET", "/_cluster/health")
    assert {one.state for one in listed(keys.server, datetime.now(UTC)) if one.id == key.id} == {"revoked"}


def test_an_expired_key_is_told_so(keys: Keys) -> None:
    key, secret = create(keys.server, keys.components["reader"], ["tinh"], "tinh", timedelta(seconds=1))
    assert key.expires is not None
    server = Server([keys.secure.hosts], ElasticAccess(api_key=secret, ca=keys.secure.ca))
    deadline = time.monotonic() + 20
    told = ""
    while not told:
        assert time.monotonic() < deadline, "the key never expires"
        try:
            server.call("GET", "/_cluster/health")
            time.sleep(0.1)
        except TransportError as refused:
            told = str(refused)
    assert "does not accept the API key: wrong, expired or revoked" in told
    assert {one.state for one in listed(keys.server, key.expires) if one.id == key.id} == {"expired"}


def test_a_key_knows_what_it_lacks(keys: Keys, namespace: str) -> None:
    server = keys.server_of("reader", namespace)
    assert missing(server, keys.components["reader"], [namespace], namespace) == []
    lacking = missing(server, keys.components["analyst"], [namespace], namespace)
    assert f"index on soc-alerts-{namespace}-*" in lacking
    assert missing(server, keys.components["reader"], [namespace, "other"], namespace)
    server.close()


# ---------------------------------------------------------------- the commands


@pytest.fixture
def admin_config(secure: Secure, tmp_path: Path) -> Path:
    password = tmp_path / "elastic.password"
    password.write_text(secure.elastic_password)
    config = tmp_path / "admin.yaml"
    config.write_text(
        f"store: {{type: elasticsearch, hosts: ['{secure.hosts}'], user: elastic, password_file: '{password}',"
        f" ca: '{secure.ca}', namespace: cli}}\n"
    )
    return config


def test_a_key_goes_into_its_file_and_nowhere_else(soc: Soc, keys: Keys, admin_config: Path, tmp_path: Path) -> None:
    out = tmp_path / "detect.key"
    made = soc("store", "keys", "create", "detect", "--out", out, "--expires", "2h", "--config", admin_config)
    assert made.code == 0, made.err
    secret = out.read_text().strip()
    assert secret not in made.out + made.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert out.stat().st_uid == os.getuid()
    role = tmp_path / "role.yaml"
    role.write_text(
        f"store: {{type: elasticsearch, hosts: ['{keys.secure.hosts}'], api_key_file: '{tmp_path}/{{role}}.key',"
        f" ca: '{keys.secure.ca}', namespace: cli}}\n"
    )
    assert soc("store", "keys", "check", "detect", "--config", role).code == 0
    again = soc("store", "keys", "create", "detect", "--out", out, "--config", admin_config)
    assert again.code == 2
    assert "exists" in again.err
    assert out.read_text().strip() == secret
    (listed_key,) = [k for k in soc("store", "keys", "list", "--json", "--config", admin_config).json["keys"]
                     if k["namespaces"] == ["cli"]]  # fmt: skip
    assert (listed_key["component"], listed_key["state"]) == ("detect", "active")
    assert soc("store", "keys", "revoke", listed_key["id"], "--config", admin_config).code == 0
    assert soc("store", "keys", "revoke", listed_key["id"], "--config", admin_config).code == 1
    refused = soc("store", "keys", "check", "detect", "--config", role)
    assert refused.code == 4
    assert "expired or revoked" in refused.err


def test_a_wrong_component_leaves_no_file(soc: Soc, admin_config: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.key"
    made = soc("store", "keys", "create", "detct", "--out", out, "--config", admin_config)
    assert made.code == 2
    assert "detect" in made.err
    assert not out.exists()
