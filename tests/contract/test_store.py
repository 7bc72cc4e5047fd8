"""What every store must do. A new implementation adds an opener to BACKENDS; nothing else here knows which one runs.

A store may show what was written only after a while: tests call `refresh` before they look.
Also a program: `python test_store.py ROLE SPEC` is the other process that the tests kill or read from.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.event import Alert, Event, Fields, RawRecord, Rejected, digest, rfc3339
from soc.store.base import LedgerRow, Store, VersionConflictError
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def open_sqlite(spec: dict[str, Any]) -> Store:
    return SqliteStore(Path(spec["folder"]))


def open_elasticsearch(spec: dict[str, Any]) -> Store:
    from soc.store.elasticsearch import ElasticsearchStore, Namespace

    groups = [Namespace(f"{spec['namespace']}.group", units=("vn:xa:99999",))]
    return ElasticsearchStore([spec["url"]], namespace=spec["namespace"], namespaces=groups)


#: name → opens a store from a JSON-able spec.
BACKENDS: dict[str, Callable[[dict[str, Any]], Store]] = {"sqlite": open_sqlite, "elasticsearch": open_elasticsearch}
#: Backends that are servers, on which every test has a namespace of its own.
SERVICES = {"elasticsearch"}


class Backend:
    """One store under test, opened as often as needed, by this process and by others."""

    def __init__(self, name: str, **spec: str) -> None:
        self.spec = {"backend": name, **spec}
        self.opened: list[Store] = []

    def open(self) -> Store:
        self.opened.append(BACKENDS[self.spec["backend"]](self.spec))
        return self.opened[-1]

    @contextmanager
    def process(self, role: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, __file__, role, json.dumps(self.spec)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()


PARAMETERS = [pytest.param(n, marks=[pytest.mark.services] if n in SERVICES else []) for n in sorted(BACKENDS)]


@pytest.fixture(params=PARAMETERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "elasticsearch":
        url = request.getfixturevalue("applied")
        made = Backend("elasticsearch", url=url, namespace=f"contract.{secrets.token_hex(6)}")
    else:
        made = Backend(request.param, folder=str(tmp_path))
    yield made
    for store in made.opened:
        store.close()
    if request.param == "elasticsearch":
        urllib.request.urlopen(urllib.request.Request(f"{url}/*-{made.spec['namespace']}*", method="DELETE")).close()


@pytest.fixture(scope="session")
def applied(elasticsearch: str) -> str:
    """The server's URL, once our templates are there."""
    from soc.normalize.ecs import ecs
    from soc.store.elasticsearch import ElasticAccess, Server
    from soc.store.elasticsearch.apply import apply, changes
    from soc.store.elasticsearch.templates import templates

    server = Server([elasticsearch], ElasticAccess())
    apply(server, changes(server, templates({name: field.kind for name, field in ecs().fields.items()})))
    server.close()
    return elasticsearch


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.open()


def refresh(store: Store) -> None:
    """Make what was written visible to searches, where a store does not do so at once."""
    if (visible := getattr(store, "refresh", None)) is not None:
        visible()


# ---------------------------------------------------------------- helpers


def event(n: int, fields: Fields | None = None, *, received: datetime = NOON, **changes: Any) -> Event:
    """The n-th event: one a second, unless told otherwise."""
    timestamp = changes.pop("timestamp", received + n * SECOND)
    name = f"{received:%Y%m%d}-{digest(n)}"
    document = {
        "@timestamp": rfc3339(timestamp),
        "event.dataset": "linux_auth",
        "event.kind": "event",
        "event.category": ["authentication"],
        "host.name": f"PC-{n % 3:04d}",
        "event.original": f"line {n}",
    }
    made = Event(name, name, timestamp, received, "linux_auth", (), document | (fields or {}), "vn:xa:00001")
    return replace(made, **changes)


def record(n: int, received: datetime = NOON, source: str = "linux_auth") -> RawRecord:
    """The record of which `event(n)` was made."""
    name = f"{received:%Y%m%d}-{digest(n)}"
    facts = {"path": "/var/log/auth.log", "offset": str(n)}
    return RawRecord(name, b"line \xff%d" % n, received, source, "vn:xa:00001", "192.0.2.1", "tcp", facts)


def rejection(n: int, code: str = "bad_format", **changes: Any) -> Rejected:
    return Rejected(record(n, **changes), code, "expected something else", "parse")


def found(store: Store, query: str, **span: Any) -> list[str]:
    """event.original of the hits, newest first."""
    refresh(store)
    page = store.search(parse_query(query), limit=1000, **span)
    assert page.total == len(page.hits)
    return [hit["event.original"] for hit in page.hits]


def fates(store: Store) -> tuple[int, int, int, int]:
    """(stored, filtered, rejected, late) over the whole ledger."""
    refresh(store)
    rows = store.ledger()
    assert all(min(r.stored, r.filtered, r.rejected, r.late) >= 0 for r in rows)
    return (
        sum(r.stored for r in rows),
        sum(r.filtered for r in rows),
        sum(r.rejected for r in rows),
        sum(r.late for r in rows),
    )


# ---------------------------------------------------------------- events


def test_an_event_is_read_by_its_id_as_it_was_written(store: Store) -> None:
    fields = {"vendor.x": [1, 2.5, True, None, "Đ"], "vendor.o": [{"a": {"b": ["c"]}}], "vendor.n": None}
    one = event(1, fields)
    store.write([one])
    refresh(store)
    assert store.event(one.id) == {**one.fields, "event.id": one.id}
    assert store.event(event(2).id) is None
    assert store.event("no such id") is None


def test_an_event_is_created_once(store: Store) -> None:
    events = [event(n) for n in range(5)]
    first = store.write(events)
    again = store.write([*events, event(5)])
    changed = store.write([event(0, {"host.name": "other"})])
    assert (first.created, first.existed) == (5, 0)
    assert (again.created, again.existed) == (1, 5)
    assert (changed.created, changed.existed) == (0, 1)
    assert len(found(store, "")) == 6
    assert found(store, "host.name:other") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"event.dataset": "nginx_access", "event.category": ["web"]},
        {"soc.unit.uid": "vn:xa:99999", "soc.unit.path": ["vn:tinh:34", "vn:xa:99999"]},
    ],
)
def test_an_event_that_says_something_else_now_is_not_written_again(store: Store, changes: Fields) -> None:
    days = [NOON + timedelta(days=d) for d in (0, 0, 1)]
    store.write([event(n, received=day) for n, day in enumerate(days)])
    other = [event(n, changes, received=day) for n, day in enumerate(days)]
    written = store.write([*other, event(7, changes)], again=True)
    assert (written.created, written.existed) == (1, 3)
    assert len(found(store, "")) == 4
    assert fates(store) == (4, 0, 0, 0)
    assert store.event(event(0).id) == {**event(0).fields, "event.id": event(0).id}


def test_a_batch_may_hold_several_days(store: Store) -> None:
    days = [NOON + timedelta(days=d) for d in range(3)]
    written = store.write(
        [event(n, received=day) for n, day in enumerate(days)],
        [rejection(10 + n, received=day) for n, day in enumerate(days)],
        [record(20 + n, received=day) for n, day in enumerate(days)],
    )
    assert written.created == 3
    assert fates(store) == (3, 3, 3, 0)
    assert [row.hour for row in store.ledger()] == days
    wanted = {record(n + 10 * kind, received=days[n]).id: fate for n in range(3) for kind, fate in enumerate(FATES)}
    assert store.fates([*wanted, record(99).id, "no such id", "20991231-x"]) == wanted


FATES = ("stored", "rejected", "filtered")


def test_an_event_twice_in_one_batch_is_created_once(store: Store) -> None:
    written = store.write([event(1), event(1)])
    assert (written.created, written.existed) == (1, 1)
    assert len(found(store, "")) == 1


def test_written_events_outlive_a_killed_writer(backend: Backend) -> None:
    with backend.process("write_forever") as child:
        assert child.stdout is not None
        acknowledged = 0
        while acknowledged < 200:
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        acknowledged = int((child.stdout.read().split() or [str(acknowledged)])[-1])
    store = backend.open()
    stored, deadline = -1, time.monotonic() + 20
    while fates(store) != (stored, 0, 0, 0) and time.monotonic() < deadline:  # a server may finish what it was sent
        stored = len(found(store, ""))
    assert stored >= acknowledged
    assert fates(store) == (stored, 0, 0, 0)
    store.write([event(n) for n in range(stored + 20)])
    assert fates(store) == (stored + 20, 0, 0, 0)


def test_reads_go_on_while_another_process_writes(backend: Backend) -> None:
    store = backend.open()
    with backend.process("write_forever") as child:
        assert child.stdout is not None
        child.stdout.readline()
        totals: list[int] = []
        deadline = time.monotonic() + 20
        while len(set(totals)) < 4 and time.monotonic() < deadline:
            refresh(store)
            page = store.search(parse_query("host.name:PC-0001"), limit=1)
            assert len(page.hits) == 1
            totals.append(page.total)
    assert totals == sorted(totals)
    assert len(set(totals)) >= 4


def test_a_document_that_json_cannot_say_is_refused_and_the_rest_is_written(store: Store) -> None:
    bad, fellow = event(1, {"vendor.x": "\ud800"}), event(2)
    fellow.record_id = bad.record_id
    written = store.write([bad, fellow, event(3)])
    assert written.created == 1
    assert set(written.refused) == {bad.id, fellow.id}  # a record is stored with all its events, or not at all
    assert fates(store) == (1, 0, 0, 0)


# ---------------------------------------------------------------- search

SAMPLES: list[tuple[str, Fields]] = [
    ("root", {"user.name": "root", "source.ip": "203.0.113.7", "event.severity": 21, "message": "Failed password"}),
    ("nva", {"user.name": "NVA", "source.ip": "10.1.2.3", "event.severity": 73, "tags": ["unit:vn:xa:1", "b c"]}),
    ("vi", {"message": "Đăng nhập thất bại", "source.ip": "2001:db8::5", "event.severity": 47}),
    ("path", {"process.executable": "C:\\Windows\\System32\\cmd.exe", "vendor.size": 1500, "host.name": "SRV-9"}),
    ("list", {"related.ip": ["10.1.2.3", "198.51.100.9"], "vendor.zone": "dmz", "event.outcome": "failure"}),
]
ALL = {name for name, _ in SAMPLES}


@pytest.fixture
def samples(store: Store) -> Store:
    store.write([event(n, {**fields, "event.original": name}) for n, (name, fields) in enumerate(SAMPLES)])
    refresh(store)
    return store


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ALL),
        ("user.name:root", {"root"}),
        ("user.name:nva", {"nva"}),  # without regard to case
        ("user.name:roo", set()),
        ('tags:"unit:vn:xa:1"', {"nva"}),
        ('tags:"b c" AND event.severity:>=73', {"nva"}),
        ("event.severity:[47 TO 73}", {"vi"}),
        ("event.severity:<47", {"root"}),
        ("vendor.size:>1000", {"path"}),
        ("source.ip:10.0.0.0/8", {"nva"}),
        ("source.ip:2001:db8::/32", {"vi"}),
        ("source.ip:2001:DB8:0::5", {"vi"}),
        ("related.ip:198.51.100.0/24", {"list"}),
        ("source.ip:[10.0.0.0 TO 203.0.113.255]", {"root", "nva"}),
        ("user.name:ro*", {"root"}),
        ("process.executable:*\\\\cmd.exe", {"path"}),
        ("process.executable:C:\\Windows\\\\*", {"path"}),
        ("vendor.zone:d?z", {"list"}),
        ("_exists_:user.name", {"root", "nva"}),
        ("vendor.zone:*", {"list"}),
        ('"dang nhap that bai"', {"vi"}),
        ("message:nhap", {"vi"}),
        ("ĐĂNG", {"vi"}),
        ('"nhap bai"', set()),
        ("passw*", {"root"}),
        ("system32", {"path"}),
        ("NOT (user.name:* OR message:*)", {"path", "list"}),
        ("user.name:(root OR nva)", {"root", "nva"}),
        ("event.outcome:failure", {"list"}),
        ("event.category:authentication AND -event.outcome:failure", ALL - {"list"}),
        ("host.name:SRV-9 failed", set()),
        ("@timestamp:2026-11-24T12:00:01", {"nva"}),
        ("@timestamp:>=2026-11-24T12:00:03", {"path", "list"}),
    ],
)
def test_search_finds(samples: Store, query: str, names: set[str]) -> None:
    assert set(found(samples, query)) == names


def test_search_is_by_event_time_newest_first_or_oldest_first(store: Store) -> None:
    store.write([event(n) for n in (3, 1, 4, 0, 2)])
    refresh(store)
    newest = [h["event.original"] for h in store.search(parse_query(""), limit=2).hits]
    assert newest == ["line 4", "line 3"]
    oldest = store.search(parse_query(""), limit=2, offset=1, oldest_first=True)
    assert (oldest.total, [h["event.original"] for h in oldest.hits]) == (5, ["line 1", "line 2"])


def test_since_is_included_and_until_is_not(store: Store) -> None:
    store.write([event(n) for n in range(10)])
    span = {"since": NOON + 3 * SECOND, "until": NOON + 6 * SECOND}
    assert found(store, "", **span) == ["line 5", "line 4", "line 3"]
    assert found(store, "host.name:PC-0001", **span) == ["line 4"]
    assert found(store, "vendor.none:*", **span) == []


def test_a_search_spans_days_of_receipt(store: Store) -> None:
    days = [NOON + timedelta(days=d) for d in range(3)]
    store.write([event(n, received=day) for n, day in enumerate(days)])
    assert found(store, "") == ["line 2", "line 1", "line 0"]
    assert found(store, "line", since=days[1]) == ["line 2", "line 1"]
    refresh(store)
    page = store.search(parse_query("event.dataset:linux_auth"), limit=1, offset=1)
    assert (page.total, [h["event.original"] for h in page.hits]) == (3, ["line 1"])


def test_counts_by_field_are_most_frequent_first_then_by_text(samples: Store) -> None:
    def counts(query: str, name: str, **more: Any) -> list[tuple[str, int]]:
        return samples.count_by(parse_query(query), name, **more)

    assert counts("", "event.category") == [("authentication", 5)]
    assert counts("", "related.ip") == [("10.1.2.3", 1), ("198.51.100.9", 1)]
    assert counts("", "host.name", limit=2) == [("PC-0000", 1), ("PC-0001", 2)][::-1]
    assert counts("event.severity:>40", "user.name") == [("NVA", 1)]
    assert counts("vendor.size:*", "vendor.size") == [("1500", 1)]
    assert counts("", "event.outcome", since=NOON, until=NOON + 3 * SECOND) == []


@pytest.mark.parametrize("query", ["", "event.dataset:linux_auth", "line", "vendor.none:* OR host.name:PC*"])
def test_counts_by_time_give_each_step_also_the_empty_ones(store: Store, query: str) -> None:
    store.write([event(n) for n in (0, 59, 60, 250)])
    refresh(store)
    steps = store.count_by_time(parse_query(query), MINUTE, since=NOON, until=NOON + 5 * MINUTE)
    assert steps == [(NOON + i * MINUTE, n) for i, n in enumerate([2, 1, 0, 0, 1])]
    odd = store.count_by_time(parse_query(query), 100 * SECOND, since=NOON + SECOND, until=NOON + 200 * SECOND)
    assert odd == [(NOON + SECOND, 2), (NOON + 101 * SECOND, 0)]


# ---------------------------------------------------------------- the ledger


def test_the_ledger_counts_records_by_unit_source_and_hour_of_receipt(store: Store) -> None:
    late = event(2, {"soc.late": True}, received=NOON + HOUR)
    store.write(
        [event(0), event(1), late, event(3, unit="vn:xa:00002", source="nginx_access")],
        [rejection(4)],
        [record(5)],
    )
    refresh(store)
    one = {"unit": "vn:xa:00001", "source": "linux_auth"}
    assert store.ledger() == [
        LedgerRow(**one, hour=NOON, stored=2, filtered=1, rejected=1, late=0),
        LedgerRow("vn:xa:00002", "nginx_access", NOON, stored=1, filtered=0, rejected=0, late=0),
        LedgerRow(**one, hour=NOON + HOUR, stored=1, filtered=0, rejected=0, late=1),
    ]
    assert [row.hour for row in store.ledger(since=NOON + HOUR)] == [NOON + HOUR]


def test_a_record_of_several_events_counts_once(store: Store) -> None:
    first = event(1)
    more = [replace(first, id=f"{first.id}-{i}", fields=dict(first.fields)) for i in (1, 2)]
    assert store.write([first, *more]).created == 3
    assert store.write([first, *more]).existed == 3
    assert fates(store) == (1, 0, 0, 0)
    assert store.event(more[1].id) == {**more[1].fields, "event.id": more[1].id}


def test_a_redelivered_batch_changes_nothing(store: Store) -> None:
    batch = ([event(0), event(1, {"soc.late": True})], [rejection(2)], [record(3)])
    for _ in range(3):
        store.write(*batch)
        assert fates(store) == (2, 1, 1, 1)
    assert len(store.rejected()) == 1
    assert store.sources_seen() == [("vn:xa:00001", "linux_auth", NOON, NOON, 2)]


STORED = ([event(1)], [], [])
FILTERED = ([], [], [record(1)])
REJECTED = ([], [rejection(1)], [])


@pytest.mark.parametrize(
    ("one", "two", "fate"),
    [
        (STORED, FILTERED, (1, 0, 0, 0)),
        (STORED, REJECTED, (1, 0, 0, 0)),
        (FILTERED, STORED, (1, 0, 0, 0)),
        (FILTERED, REJECTED, (0, 1, 0, 0)),
        (REJECTED, STORED, (1, 0, 0, 0)),
        (REJECTED, FILTERED, (0, 1, 0, 0)),
        (REJECTED, REJECTED, (0, 0, 1, 0)),
    ],
)
def test_a_record_has_one_fate_stored_before_filtered_before_rejected(
    store: Store, one: Any, two: Any, fate: tuple[int, int, int, int]
) -> None:
    store.write(*one)
    store.write(*two)
    assert fates(store) == fate
    assert len(store.rejected()) == fate[2]
    store.write(*one)
    assert fates(store) == fate


def test_a_record_stored_under_another_source_leaves_the_old_ones_count(store: Store) -> None:
    store.write([], [rejection(1, source="auto")])
    store.write([event(1)])
    refresh(store)
    assert [(r.source, r.stored, r.rejected) for r in store.ledger()] == [("linux_auth", 1, 0)]


def test_rejected_records_come_back_whole_newest_first(store: Store) -> None:
    items = [rejection(n, received=NOON + n * HOUR) for n in (2, 0, 1, 30)]
    store.write([], items)
    refresh(store)
    newest_first = sorted(items, key=lambda item: item.record.received, reverse=True)
    assert store.rejected() == newest_first
    assert store.rejected(limit=2) == newest_first[:2]
    assert store.rejected(since=NOON + HOUR) == newest_first[:3]


def test_a_forgotten_rejection_is_gone_until_its_replay_has_a_fate(store: Store) -> None:
    store.write([], [rejection(1), rejection(2)])
    store.forget_rejected([record(1).id, "20261124-unknown", "20991231-unknown"])
    assert fates(store) == (0, 0, 1, 0)
    refresh(store)
    assert [item.record for item in store.rejected()] == [record(2)]
    store.write([event(1)])
    assert fates(store) == (1, 0, 1, 0)


@pytest.mark.parametrize("replayed", [STORED, FILTERED, ([], [rejection(1, "bad_value")], [])])
@pytest.mark.parametrize("forget_first", [True, False])
def test_forgetting_before_or_after_the_replay_is_done_comes_to_the_same(
    store: Store, replayed: Any, forget_first: bool
) -> None:
    store.write([], [rejection(1)])
    steps = [lambda: store.forget_rejected([record(1).id]), lambda: store.write(*replayed)]
    for step in steps if forget_first else steps[::-1]:
        step()
    assert fates(store) == (len(replayed[0]), len(replayed[2]), len(replayed[1]), 0)
    assert [item.code for item in store.rejected()] == [item.code for item in replayed[1]]


def test_sources_seen_tells_first_and_last_receipt(store: Store) -> None:
    store.write([event(0), event(1, received=NOON + 30 * HOUR), event(2, source="nginx_access", unit="")])
    refresh(store)
    assert store.sources_seen() == [
        ("", "nginx_access", NOON, NOON, 1),
        ("vn:xa:00001", "linux_auth", NOON, NOON + 30 * HOUR, 2),
    ]


# ---------------------------------------------------------------- retention


def test_expire_deletes_whole_days_of_receipt(backend: Backend) -> None:
    store, other = backend.open(), backend.open()
    days = [NOON + timedelta(days=d) for d in range(3)]
    store.write([event(n, received=day) for n, day in enumerate(days)], [rejection(9, received=days[0])])
    assert len(found(other, "")) == 3
    removed = store.expire(date(2026, 11, 26))
    assert sum(removed.values()) == 3
    for reader in (store, other):
        assert found(reader, "") == ["line 2"]
        assert reader.rejected() == []
        assert reader.event(event(0, received=days[0]).id) is None
    assert sum(store.expire(date(2026, 11, 26)).values()) == 0


def test_an_expired_day_begins_anew_for_every_process(backend: Backend) -> None:
    store, other = backend.open(), backend.open()
    other.write([event(0), event(1)])
    store.expire(date(2027, 1, 1))
    assert other.write([event(0)]).created == 1
    assert found(store, "") == ["line 0"]
    assert fates(store) == (1, 0, 0, 0)


# ---------------------------------------------------------------- alerts


def alert(n: int, **fields: Any) -> Alert:
    document = {"@timestamp": rfc3339(NOON + n * SECOND), "event.kind": "alert", "event.severity": 73}
    return Alert(digest("alert", n), {**document, "event.id": digest("alert", n), **fields})


def test_an_alert_is_created_once(store: Store) -> None:
    assert store.create_alert(alert(1))
    assert not store.create_alert(alert(1, message="another"))
    got = store.alert(alert(1).id)
    assert got is not None
    assert got.document == alert(1).document
    assert got.version


def test_an_alert_is_found_by_an_unambiguous_prefix(store: Store) -> None:
    for name in ("abcdefgh1", "abcdefgh2", "zzzzzzzzz"):
        store.create_alert(Alert(name, alert(1).document))
    refresh(store)

    def name(prefix: str) -> str | None:
        got = store.alert(prefix)
        return got and got.id

    assert [name(p) for p in ("abcdefgh1", "zzzzzzzz", "abcdefgh", "zzz", "absent000", "")] == [
        "abcdefgh1", "zzzzzzzzz", None, None, None, None,
    ]  # fmt: skip


def test_an_update_sets_fields_and_gives_a_new_version(store: Store) -> None:
    store.create_alert(alert(1))
    first = store.alert(alert(1).id)
    assert first is not None
    version = store.update_alert(first.id, {"soc.triage.status": "open", "event.severity": 99}, first.version)
    assert version != first.version
    second = store.alert(first.id)
    assert second is not None
    assert second.version == version
    assert second.document == {**first.document, "soc.triage.status": "open", "event.severity": 99}


def test_an_update_of_an_old_version_is_refused(store: Store) -> None:
    store.create_alert(alert(1))
    first = store.alert(alert(1).id)
    assert first is not None
    store.update_alert(first.id, {"message": "mine"}, first.version)
    with pytest.raises(VersionConflictError):
        store.update_alert(first.id, {"message": "yours"}, first.version)
    with pytest.raises(VersionConflictError):
        store.update_alert(alert(2).id, {"message": "nobody's"}, first.version)
    now = store.alert(first.id)
    assert now is not None
    assert now.document["message"] == "mine"


def test_of_updates_from_many_processes_none_is_lost(backend: Backend) -> None:
    store = backend.open()
    store.create_alert(alert(1, **{"soc.count": 0}))
    with backend.process("count_up") as one, backend.process("count_up") as two:
        assert [one.wait(60), two.wait(60)] == [0, 0]
    now = store.alert(alert(1).id)
    assert now is not None
    assert now.document["soc.count"] == 50


def test_alerts_are_searched_by_what_they_are_now(store: Store) -> None:
    for n in range(4):
        store.create_alert(
            alert(n, **{"soc.triage.status": "open", "tags": ["unit:vn:xa:1"], "message": "Dò mật khẩu"})
        )
    first = store.alert(alert(0).id)
    assert first is not None
    store.update_alert(first.id, {"soc.triage.status": "closed", "message": "đã xong"}, first.version)
    refresh(store)

    def ids(query: str, **more: Any) -> tuple[int, list[str]]:
        total, page = store.search_alerts(parse_query(query), **more)
        return total, [one.id for one in page]

    everything = [alert(n).id for n in (3, 2, 1, 0)]
    assert ids("") == (4, everything)
    assert ids("soc.triage.status:open AND event.severity:>=73", limit=2) == (3, everything[:2])
    assert ids('tags:"unit:vn:xa:1" -soc.triage.status:closed', offset=1) == (3, everything[1:3])
    assert ids("soc.triage.status:closed") == (1, [first.id])
    assert ids('"do mat khau"')[0] == 3
    assert ids('"da xong"') == (1, [first.id])
    assert ids("", since=NOON + SECOND, until=NOON + 3 * SECOND) == (2, everything[1:3])
    got = store.search_alerts(parse_query("soc.triage.status:closed"))[1][0]
    assert got == store.alert(first.id)


def test_alerts_outlive_the_retention_of_events(store: Store) -> None:
    store.create_alert(alert(1))
    store.expire(date(2027, 1, 1))
    assert store.alert(alert(1).id) is not None


# ---------------------------------------------------------------- state


def test_state_is_what_was_saved_last(backend: Backend) -> None:
    store = backend.open()
    assert store.load_state("alert/0") is None
    store.save_state("alert/0", b"\x00one")
    store.save_state("alert/0", b"two" * 100_000)
    assert backend.open().load_state("alert/0") == b"two" * 100_000


# ---------------------------------------------------------------- the other process


def write_forever(store: Store) -> None:
    at = 0
    while True:
        store.write([event(n) for n in range(at, at + 10)])
        at += 10
        print(at, flush=True)


def count_up(store: Store) -> None:
    done = 0
    while done < 25:
        now = store.alert(alert(1).id)
        assert now is not None
        try:
            store.update_alert(now.id, {"soc.count": now.document["soc.count"] + 1}, now.version)
        except VersionConflictError:
            continue
        done += 1


if __name__ == "__main__":
    role, spec = sys.argv[1:]
    given = json.loads(spec)
    ROLES: dict[str, Callable[[Store], None]] = {"write_forever": write_forever, "count_up": count_up}
    ROLES[role](BACKENDS[given["backend"]](given))
