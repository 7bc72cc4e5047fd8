"""The embedded store beyond the contract: its files, full disks, damage, the roll-up, and what its index answers."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest

from soc.event import Event, Fields, RawRecord, Rejected, TransportError, digest, rfc3339
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore, documents, terms

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path)
    yield opened
    opened.close()


def event(n: int, fields: Fields, received: datetime = NOON) -> Event:
    name, moment = f"{received:%Y%m%d}-{digest(n)}", received + n * timedelta(seconds=7)
    return Event(name, name, moment, received, "s", (), {"@timestamp": rfc3339(moment), **fields}, "u")


def total(store: SqliteStore, query: str, **more: Any) -> int:
    return store.search(parse_query(query), **more).total


def limited(monkeypatch: pytest.MonkeyPatch, pages: int) -> list[sqlite3.Connection]:
    """Files opened from now on are full at that many pages; the connections, to lift the limit."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def small(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        opened.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    return opened


# ---------------------------------------------------------------- files


def test_each_day_of_receipt_is_a_file(store: SqliteStore, tmp_path: Path) -> None:
    store.write([event(0, {}), event(1, {}), event(2, {}, NOON + timedelta(days=1))])
    days = sorted(path.name.split("-")[1] for path in tmp_path.glob("events-*.sqlite"))
    assert days == ["20261124", "20261125"]
    store.expire((NOON + timedelta(days=1)).date())
    assert [path.name.split("-")[1] for path in tmp_path.glob("events-*")] == ["20261125"] * 3  # with -wal and -shm


def test_what_a_crash_left_of_an_expired_day_is_swept_up(store: SqliteStore, tmp_path: Path) -> None:
    store.write([event(0, {})])
    left = tmp_path / "events-20260101-00000000.sqlite"
    for suffix in ("", "-wal", "-shm"):
        left.with_name(left.name + suffix).write_bytes(b"")
    store.expire(NOON.date())
    assert not list(tmp_path.glob("events-2026010*"))
    assert total(store, "") == 1


def test_a_reader_creates_no_file_for_a_day_that_another_process_deletes(store: SqliteStore, tmp_path: Path) -> None:
    store.write([event(0, {})])
    reader = SqliteStore(tmp_path)
    reader._catalog.days()
    (path,) = tmp_path.glob("events-*.sqlite")
    store.close()
    path.unlink()
    assert (total(reader, ""), reader.event(event(0, {}).id), reader.ledger()) == (0, None, [])
    assert not list(tmp_path.glob("events-*.sqlite"))
    reader.close()


def test_a_writer_that_waited_for_retention_begins_the_day_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, writer = SqliteStore(tmp_path), SqliteStore(tmp_path)
    keeper.write([event(0, {})])
    asked, file_of = threading.Event(), writer._catalog.file_of

    def told(day: str) -> str:
        name = file_of(day)
        asked.set()
        return name

    monkeypatch.setattr(writer._catalog, "file_of", told)
    thread = threading.Thread(target=lambda: writer.write([event(1, {})]))
    with keeper._writing("20261124") as day:  # as `expire` does, with a writer that knows the file's name already
        thread.start()
        assert asked.wait(20)
        keeper._catalog.remove("20261124")
    keeper._discard(day)
    thread.join()
    assert [hit["event.id"] for hit in keeper.search(parse_query("")).hits] == [event(1, {}).id]
    assert len(list(tmp_path.glob("events-*.sqlite"))) == 1
    keeper.close()
    writer.close()


def test_an_event_whose_id_names_no_day_is_refused(store: SqliteStore) -> None:
    strange = event(1, {})
    strange.id = strange.record_id = "x"
    assert list(store.write([strange]).refused) == ["x"]


def test_ids_of_other_forms_are_kept(store: SqliteStore) -> None:
    for name in ("20261124-soc.raw-3-18422", "20261124-" + "AB" * 12, "20261124-" + "ab" * 12 + "-17", "20261124-ü'"):
        one = event(1, {})
        one.id = one.record_id = name
        store.write([one])
        assert store.event(name) == {**one.fields, "event.id": name}
        assert store.search(parse_query(f'event.id:"{name}"')).hits == [store.event(name)]


def test_the_senders_own_event_id_is_kept_and_found(store: SqliteStore) -> None:
    store.write([event(0, {"event.id": "20261124-Own"}), event(1, {"event.id": 77}), event(2, {})])
    assert [total(store, f"event.id:{text}") for text in ("20261124-own", "77", event(2, {}).id, event(0, {}).id)] == [
        1, 1, 1, 0,
    ]  # fmt: skip
    one = store.event(event(0, {}).id)
    assert one is not None
    assert one["event.id"] == "20261124-Own"


def test_a_full_disk_is_said_and_a_later_write_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = limited(monkeypatch, 200)
    store = SqliteStore(tmp_path)
    store.write([event(0, {"host.name": "a"})])
    big = [event(n, {"host.name": f"h{n}", "x": os.urandom(2_000).hex()}) for n in range(1, 400)]
    rejected = Rejected(RawRecord("20261124-r", b"", NOON), "bad_format", "", "parse")
    with pytest.raises(TransportError, match="is full: free space"):
        store.write(big, [rejected])
    assert (total(store, ""), store.rejected(), sum(row.stored for row in store.ledger())) == (1, [], 1)
    for connection in opened:
        connection.execute("PRAGMA max_page_count = 100000")
    assert store.write(big, [rejected]).created == 399
    assert (total(store, "host.name:h7"), total(store, ""), len(store.rejected())) == (1, 400, 1)
    store.close()


@pytest.mark.parametrize("pattern", ["events-*.sqlite", "alerts.sqlite", "store.sqlite"])
def test_a_damaged_file_is_named(tmp_path: Path, pattern: str) -> None:
    first = SqliteStore(tmp_path)
    first.write([event(0, {})])
    first.close()
    (path,) = tmp_path.glob(pattern)
    path.write_bytes(b"not a database at all " * 300)

    def use() -> None:
        SqliteStore(tmp_path).search(parse_query(""))

    with pytest.raises(TransportError, match=rf"{path.name} is damaged"):
        use()


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    first.write([event(0, {})])
    first.close()
    (path,) = tmp_path.glob("events-*.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(TransportError, match="format 99"):
        SqliteStore(tmp_path).search(parse_query(""))


def test_what_files_are_made_of_changes_only_with_their_format() -> None:
    """A change of these lists makes old files lie; raise FORMAT, then write the new digest here."""
    made_of = repr((documents.SCHEMA, documents.ROLLED, documents.COUNTED, terms.TERM_FIELDS, terms.TERM_LENGTH))
    assert (documents.FORMAT, sha256(made_of.encode()).hexdigest()[:16]) == (2, "af2d2178fb45a7a6")


def test_each_term_field_has_a_letter_of_its_own() -> None:
    assert list(terms.LETTER) == list(terms.TERM_FIELDS)
    assert all(letter.isalnum() and letter.isascii() for letter in terms.LETTER.values())


def test_writers_of_one_new_day_share_its_file(tmp_path: Path) -> None:
    stores = [SqliteStore(tmp_path) for _ in range(4)]
    gate = threading.Barrier(4)

    def work(number: int) -> None:
        gate.wait()
        for start in range(0, 200, 20):  # half of what each writes, its neighbour writes, too
            batch = [
                event(n, {"event.outcome": f"o{n % 5}"}) for n in range(start + 50 * number, start + 50 * number + 20)
            ]
            stores[number].write(batch)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("events-*.sqlite"))) == 1
    assert [total(store, "") for store in stores] == [350] * 4
    assert total(stores[0], "event.outcome:o3") == 70
    assert sum(row.stored for row in stores[1].ledger()) == 350
    for store in stores:
        store.close()


def test_documents_are_compressed_by_a_dictionary_of_their_source_and_read_by_any_process(tmp_path: Path) -> None:
    rng = Random(1)
    first = SqliteStore(tmp_path)
    fields = [{"host.name": f"h{n}", "x": "một câu dài " * 9 + str(rng.random())} for n in range(600)]
    first.write([event(n, fields[n]) for n in range(300)])
    first.write([event(n, fields[n]) for n in range(300, 600)])
    second = SqliteStore(tmp_path)
    hits = second.search(parse_query(""), limit=600, oldest_first=True).hits
    assert [hit["x"] for hit in hits] == [f["x"] for f in fields]
    (path,) = tmp_path.glob("events-*.sqlite")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM dictionary").fetchone() == (1,)
        plain, packed = 150, connection.execute("SELECT avg(length(document)) FROM body").fetchone()[0]
    assert packed < plain / 2
    first.close()
    second.close()


# ---------------------------------------------------------------- search


@pytest.mark.parametrize(
    "query",
    [
        "",
        "host.name:pc-1",
        "host.name:pc*",
        "source.ip:10.0.0.0/9",
        "source.ip:10.1.*",
        "destination.port:[1 TO 1023]",
        "process.executable:*\\\\cmd.exe",
        "tags:x OR user.name:*",
        "failed",
        '"failed password for"',
        "passw*",
        "message:failed AND event.original:password",
        "event.category:authentication AND NOT event.outcome:success",
        "@timestamp:>2026-11-24 event.severity:>=73",
        "NOT (failed OR soc.rules:*)",
    ],
)
def test_the_index_answers_without_a_look_at_the_documents(store: SqliteStore, query: str) -> None:
    store.write([event(n, {"host.name": "pc-1", "source.ip": "10.1.2.3", "message": "failed"}) for n in range(3)])
    (day,) = store._days()
    assert day.documents.plan(parse_query(query)).exact


@pytest.mark.parametrize(
    "query",
    [
        "vendor.x:abc",
        "vendor.x:4242",
        "event.id:20261124-zzz",
        '"a b" vendor.y:c',
        "vendor.x:*\\\\a.exe",
        "vendor.x:ab*",
    ],
)
def test_an_equality_or_a_whole_word_on_any_field_looks_at_candidates_only(store: SqliteStore, query: str) -> None:
    store.write([event(n, {"vendor.x": n}) for n in range(5)])
    (day,) = store._days()
    plan = day.documents.plan(parse_query(query))
    assert plan.match or plan.where


def test_a_wildcard_within_words_finds_values_of_any_kind(store: SqliteStore) -> None:
    values = [
        "run VSSADMIN.exe",
        "\u212aey-\u0130d",
        1e-07,
        10**15,
        "a\\vssadmin\n",
        "other",
        ["x", "yvssadminy"],
        True,
    ]
    store.write([event(n, {"vendor.x": value}) for n, value in enumerate(values)])
    asked = {"*vssadmin*": 3, "*key-*": 1, "*e-07": 1, "*e*2": 0, "*000*": 1, "t*ue": 1, "*v?sadmin*x*": 1, "*dmin": 0}
    assert {text: total(store, f"vendor.x:{text}") for text in asked} == asked


def test_words_never_span_two_values(store: SqliteStore) -> None:
    store.write([event(0, {"vendor.a": "a b", "vendor.b": ["c d", "é f"], "message": "g", "event.original": "h"})])
    assert [total(store, f'"{text}"') for text in ("a b", "e f", "b c", "d e", "f g", "g h", "h a")] == [1, 1] + [0] * 5


def test_the_roll_up_counts_what_the_documents_count(store: SqliteStore) -> None:
    """Each query is asked twice: as it is, and with a clause that is always true and only the documents can judge."""
    rng = Random(3)
    days = [NOON, NOON + timedelta(days=1)]
    kinds = [["authentication"], ["network", "session"], "process", None, []]
    made = [
        event(
            n,
            {
                "event.category": rng.choice(kinds),
                "event.outcome": rng.choice(["success", "failure", None]),
                "soc.unit.uid": f"vn:xa:{n % 3}",
                "event": [{"kind": "odd"}] if n % 9 == 0 else None,
            },
            rng.choice(days),
        )
        for n in range(200)
    ]
    for start in range(0, 200, 30):
        store.write(made[start : start + 40])
    for text in ("*", "event.category:network", "event.outcome:* -soc.unit.uid:vn:xa:1", "event.kind:odd"):
        for since, until in ((None, None), (NOON + 3 * MINUTE, days[1] + 5 * MINUTE)):
            quick, slow = parse_query(text), parse_query(f"({text}) -vendor.absent:?")
            span = {"since": since, "until": until}
            assert store.search(quick, **span).total == store.search(slow, **span).total
            for name in ("event.category", "event.kind", "soc.unit.uid", "host.name"):
                assert store.count_by(quick, name, **span) == store.count_by(slow, name, **span)
        at = {"since": NOON, "until": days[1] + 30 * MINUTE}
        for step in (5 * MINUTE, 7 * MINUTE, timedelta(seconds=90)):
            assert store.count_by_time(quick, step, **at) == store.count_by_time(slow, step, **at)
