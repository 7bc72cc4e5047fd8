"""Whatever an event holds is stored, read back as it was and found; everything lies in the index where it belongs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from soc.event import Alert, Fields, rfc3339
from soc.store.elasticsearch import ElasticsearchStore, Namespace, Server
from soc.store.elasticsearch import search as search_module
from soc.store.elasticsearch.names import Names
from soc.store.elasticsearch.state import State
from soc.store.query import parse_query
from tests.services.elasticsearch.samples import NOON, event

pytestmark = pytest.mark.services

ODD: dict[str, Fields] = {
    "object below a typed name": {"winlog.event_data.CommandLine.#text": "whoami", "user.name.x": "y"},
    "object in a typed field": {"winlog.event_data.Image": [{"a": "b"}, "c"], "source.ip": {"text": "10.1.2.3"}},
    "text where the mapping has an object": {"host": "PC-1", "winlog": ["x", "y"]},
    "object where the mapping has one": {"host": [{"name": "PC-2"}, {"ip": "10.9.8.7"}], "soc.group": {"a.b": 1}},
    "names that no document may have": {"": 1, " ": 2, "a..b": 3, ".c": 4, "d.": 5, ".": 6, "x\x00y": 7, "*": 8},
    "names of the server's own": {"_id": "x", "_source": {"a": 1}, "_ignored": ["host.name"], "_doc_count": "many"},
    "a value and a parent": {"vendor.a": 1, "vendor.a.b": 2, "vendor.a.b.c": {"d": 3}},
    "names apart by case": {"vendor.Id": "one", "vendor.ID": "two"},
    "values that do not fit": {
        "source.ip": "localhost",
        "source.port": "http",
        "event.start": "yesterday",
        "soc.late": 5,
    },
    "numbers that do not fit": {"source.port": 2**63, "event.severity": 0.5, "vendor.big": -(2**63)},
    "long values": {"process.command_line": "é" * 40_000, "vendor.long": "x" * 40_000, "message": "y" * 70_000},
    "nothing": {"vendor.none": None, "vendor.empty": [], "vendor.object": {}, "tags": [None, ""], "user.name": ""},
    "deep": {"vendor.deep": [[[["a"]]], {"b": {"c": [{"d": [1, {"e": None}]}]}}]},
    "very deep": {"vendor.deep": __import__("functools").reduce(lambda inner, n: {str(n): inner}, range(60), "found")},
    "times far away": {"event.start": "1601-01-01T00:00:00.000000Z", "event.end": "9999-12-31T23:59:59.999999Z"},
}


@pytest.fixture(scope="module")
def odd(store: ElasticsearchStore) -> dict[str, Fields]:
    events = [event(n, fields) for n, fields in enumerate(ODD.values())]
    written = store.write(events)
    assert (written.refused, written.created) == ({}, len(ODD))
    store.refresh()
    return {name: {**one.fields, "event.id": one.id} for name, one in zip(ODD, events, strict=True)}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_document_is_stored_and_read_back_as_it_was(
    store: ElasticsearchStore, odd: dict[str, Fields], name: str
) -> None:
    assert store.event(odd[name]["event.id"]) == odd[name]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("winlog.event_data.CommandLine.#text:whoami", "object below a typed name"),
        ("user.name.x:Y whoami", "object below a typed name"),
        ("winlog.event_data.Image.a:b", "object in a typed field"),
        ("winlog.event_data.Image:c", "object in a typed field"),
        ("host:pc-1", "text where the mapping has an object"),
        ("host.ip:10.9.0.0/16", "object where the mapping has one"),
        ("a..b:3", "names that no document may have"),
        ("_id:x _doc_count:many", "names of the server's own"),
        ("vendor.a.b:2", "a value and a parent"),
        ("vendor.id:* OR vendor.Id:one", "names apart by case"),
        ("source.ip:localhost source.port:http event.start:yesterday", "values that do not fit"),
        ("source.port:>9223372036854775807", "numbers that do not fit"),
        ("vendor.long:xxx* process.command_line:ÉÉ*", "long values"),
        ("user.name:* vendor.none:* OR user.name:\"\"", "nothing"),
        ("vendor.deep.b.c.d:1", "deep"),
        ("vendor.deep:found", "very deep"),
        ("event.start:1601-01-01 event.end:>=9999-12-31", "times far away"),
    ],
)  # fmt: skip
def test_an_odd_document_is_found_by_what_it_holds(
    store: ElasticsearchStore, odd: dict[str, Fields], query: str, name: str
) -> None:
    assert [hit["event.id"] for hit in store.search(parse_query(query)).hits] == [odd[name]["event.id"]]


@pytest.mark.parametrize("year", [1, 1601, 1969, 1970, 2262, 2300, 9999])
def test_an_event_of_any_year_is_kept_in_its_order(store: ElasticsearchStore, year: int) -> None:
    moments = [datetime(year, 6, 1, 12, 0, 0, us, tzinfo=UTC) for us in (999, 0, 1000, 1)]
    events = [event(10_000 * year + n) for n in range(4)]
    for one, moment in zip(events, moments, strict=True):
        one.timestamp, one.fields["@timestamp"] = moment, rfc3339(moment)
    assert store.write(events).refused == {}
    store.refresh()
    span = {"since": moments[3], "until": moments[2]}
    page = store.search(parse_query(""), **span, oldest_first=True)
    assert [hit["@timestamp"] for hit in page.hits] == [rfc3339(moments[3]), rfc3339(moments[0])]
    steps = store.count_by_time(parse_query(""), timedelta(microseconds=500), **span)
    assert [count for _, count in steps] == [1, 1]
    whole = store.search(parse_query(f"@timestamp:{year:04d}-06-01"), oldest_first=True)
    assert [hit["@timestamp"][-7:] for hit in whole.hits] == ["000000Z", "000001Z", "000999Z", "001000Z"]


def test_a_name_that_is_the_stores_own_is_refused(store: ElasticsearchStore) -> None:
    one = event(77, {"soc.record.unit": "mine"})
    assert store.write([one]).refused == {
        one.id: f"event {one.id} cannot be written: the field soc.record.unit is the store's own"
    }


def test_hits_far_down_are_reached(store: ElasticsearchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write([event(5_000 + n, {"vendor.page": "far"}) for n in range(40)])
    store.refresh()
    monkeypatch.setattr(search_module, "_WINDOW", 10)
    monkeypatch.setattr(search_module, "_PAGE", 7)
    query = parse_query("vendor.page:far")
    wanted = [f"line {5_000 + n}" for n in reversed(range(40))]
    for offset, limit in [(0, 40), (0, 5), (12, 20), (33, 100), (40, 3), (2, 0)]:
        page = store.search(query, limit=limit, offset=offset)
        assert (page.total, [h["event.original"] for h in page.hits]) == (40, wanted[offset : offset + limit])


def test_counts_over_several_shards_are_exact(store: ElasticsearchStore) -> None:
    """Each shard alone would leave values out of its top."""
    days = [NOON + timedelta(days=day) for day in range(3)]
    for day, received in enumerate(days):
        store.write(
            [
                event(20_000 + n, {"user.name": f"u{n // (1 + (n + day) % 2)}", "vendor.shard": "x"}, received=received)
                for n in range(3_000)
            ]
        )
    store.refresh()
    counted = dict(store.count_by(parse_query("vendor.shard:x"), "user.name", limit=100_000))
    assert sum(counted.values()) == 9_000
    top = store.count_by(parse_query("vendor.shard:x"), "user.name", limit=20)
    assert top == sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:20]


# ---------------------------------------------------------------- namespaces

GROUPS = [Namespace("a", units=("vn:xa:1", "vn:huyen:2")), Namespace("b", system_level=4, retention_days=400)]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "rest"),
        ({"soc.unit.uid": "vn:xa:1"}, "a"),
        ({"soc.unit.uid": "vn:xa:9", "soc.unit.path": ["vn:tinh:3", "vn:huyen:2"]}, "a"),
        ({"soc.unit.uid": "vn:xa:9", "soc.asset.system_level": 4}, "b"),
        ({"soc.unit.uid": "vn:xa:9", "soc.asset.system_level": 3}, "rest"),
        ({"soc.unit.uid": "vn:xa:1", "soc.asset.system_level": 5}, "a"),
        ({"soc.unit.path": "vn:xa:1", "soc.asset.system_level": "5"}, "rest"),
    ],
)
def test_the_first_namespace_that_takes_a_unit_and_level_has_it(fields: Fields, name: str) -> None:
    names = Names("rest", GROUPS)
    assert names.namespace(fields) == name
    assert names.event_index({**fields, "event.dataset": "zeek"}, "20261124") == f"logs-soc.network-{name}-2026.11.24"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"event.dataset": "nginx_access", "event.category": ["network"]}, "web"),
        ({"event.dataset": "cef", "event.category": ["network", "web"]}, "web"),
        ({"event.category": ["intrusion_detection"]}, "network"),
        ({"event.category": "database"}, "application"),
        ({"event.category": ["process", "email"]}, "application"),
        ({"event.dataset": ["x"], "event.category": [{"a": 1}]}, "host"),
    ],
)
def test_the_class_of_an_event_follows_from_what_it_is(fields: Fields, kind: str) -> None:
    names = Names("rest", [])
    for _ in range(2):
        assert names.event_index(fields, "20261124") == f"logs-soc.{kind}-rest-2026.11.24"


def test_a_namespace_with_days_of_its_own_is_kept_by_them(elasticsearch: str, namespace: str) -> None:
    groups = [
        Namespace(f"{namespace}.long", units=("long",), retention_days=400),
        Namespace(f"{namespace}.short", units=("short",), retention_days=10),
    ]
    store = ElasticsearchStore([elasticsearch], namespace=f"{namespace}.x", namespaces=groups, retention_days=90)
    then = datetime(2025, 3, 1, tzinfo=UTC)
    units = ["long", "short", "other"]
    store.write([event(n, {"soc.unit.uid": unit}, received=then) for n, unit in enumerate(units)])
    days = {"long": 0, "short": 0, "other": 0}
    for age in (9, 10, 11, 89, 90, 91, 399, 400, 401):
        now = then.date() + timedelta(days=age)
        store.expire(now - timedelta(days=90))
        for n, unit in enumerate(units):
            if store.event(event(n, received=then).id) is not None:
                days[unit] = age
    assert days == {"long": 400, "short": 10, "other": 90}
    store.close()


# ---------------------------------------------------------------- alerts and state


def alert(name: str, **fields: Any) -> Alert:
    document = {"@timestamp": rfc3339(NOON), "event.kind": "alert", "soc.mode": "live", "soc.triage.verdict": None}
    return Alert(name, {**document, "soc.score.parts": {"rule": 73}, "soc.match": [{"field": "a"}], **fields})


def test_an_alert_lies_in_the_year_of_its_first_event_under_the_namespaces_alias(
    store: ElasticsearchStore, server: Server, namespace: str
) -> None:
    first = {"soc.evidence.ids": ["20251231-abc", "20260101-def"]}
    for given, name in ((alert("alert-of-2025", **first), "2025"), (alert("alert-of-2026"), "2026")):
        assert store.create_alert(given)
        got = store.alert(given.id)
        assert got is not None
        assert got.document == given.document
        assert got.version.startswith(f"soc-alerts-{namespace}-{name}|")
    store.refresh()
    hits = server.call("GET", f"/soc-alerts-{namespace}/_search", {"query": {"ids": {"values": ["alert-of-2025"]}}})
    assert hits["hits"]["total"]["value"] == 1
    assert hits["hits"]["hits"][0]["_source"]["soc"]["score"] == {"parts": {"rule": 73}}


def test_an_alert_is_created_once_though_it_would_go_elsewhere_now(elasticsearch: str, namespace: str) -> None:
    group = Namespace(f"{namespace}.g", units=("vn:xa:1",))
    store = ElasticsearchStore([elasticsearch], namespace=f"{namespace}.x", namespaces=[group])
    assert store.create_alert(alert("alert-moved", **{"soc.unit.uid": "vn:xa:1"}))
    assert not store.create_alert(alert("alert-moved", **{"soc.unit.uid": "vn:xa:2"}))
    assert not store.create_alert(alert("alert-moved", **{"soc.evidence.ids": ["20240101-x"]}))
    store.close()


def test_shadow_hits_lie_apart_and_go_with_the_events(store: ElasticsearchStore, namespace: str) -> None:
    shadow = alert("alert-shadow", **{"soc.mode": "shadow", "event.kind": "event"})
    assert store.create_alert(shadow)
    got = store.alert("alert-shadow")
    assert got is not None
    assert got.version.startswith(f"soc-shadow-{namespace}-2026.11|")
    store.refresh()
    assert [a.id for a in store.search_alerts(parse_query("soc.mode:shadow"))[1]] == ["alert-shadow"]
    assert "shadow" not in store.expire(date(2026, 11, 30))
    assert store.expire(date(2026, 12, 1))["shadow"] == 1
    assert store.alert("alert-shadow") is None


def test_a_large_state_is_kept_in_parts(store: ElasticsearchStore, server: Server, namespace: str) -> None:
    state = State(server, store._indices, f"soc-state-{namespace}", part=1000)
    large = b"".join(n.to_bytes(4, "big") for n in range(5_000))
    for saved in (b"small", large, large[: len(large) // 2], b"", large):
        state.save("worker/0", saved)
        assert state.load("worker/0") == saved
    store.refresh()
    server.call("POST", f"/soc-state-{namespace}/_refresh")
    listed = server.call("POST", f"/soc-state-{namespace}/_search", {"_source": False, "size": 100})["hits"]["hits"]
    names = {hit["_id"] for hit in listed}
    state.save("worker/0", b"small")
    server.call("POST", f"/soc-state-{namespace}/_refresh")
    assert len(names) > 5
    assert server.call("GET", f"/soc-state-{namespace}/_count")["count"] == 1


# ---------------------------------------------------------------- siblings


def test_a_record_that_was_stored_whole_stays_though_its_replay_is_refused(store: ElasticsearchStore) -> None:
    first = event(900)
    second = replace(event(901), id=f"{first.id}-1", record_id=first.id)
    assert store.write([first, second]).created == 2
    worse = replace(second, fields={**second.fields, "vendor.x": "\ud800"})
    assert set(store.write([first, worse]).refused) == {first.id, second.id}
    assert store.event(first.id) is not None
    assert store.event(second.id) is not None
