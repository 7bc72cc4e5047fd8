"""`ingest`: every record of given files once, whatever the packing, the name or the day."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.collect.counts import Tally, counts
from soc.collect.ingest import Ingested, follow, ingest
from soc.collect.reading import Followed, Reading
from soc.collect.state import Done, FileState, Head, Intent, Position
from soc.collect.unpack import contents
from soc.event import ContentError, TransportError

LINES = b"".join(b"line %d of the file\n" % n for n in range(8_000))


def send(bus: Any, clock: Any, tmp_path: Path, *paths: Path, **options: Any) -> Ingested:
    return ingest(paths, bus=bus, folder=tmp_path / "collect", now=clock.now, **options)


def test_every_record_is_sent_once_and_counted(bus: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(LINES)
    done: list[tuple[int, int]] = []
    result = send(
        bus, clock, tmp_path, file, source="nginx", unit="vn:xa:1", progress=lambda at, total: done.append((at, total))
    )
    assert bus.data() == LINES.splitlines()
    assert result.ids == [r.id for r in bus.records()]
    assert (result.received, result.rejected, result.known, result.files) == (8_000, 0, 0, 1)
    assert done == sorted(done)
    assert done[-1] == (len(LINES), len(LINES))
    assert [(c.unit, c.source, c.received, c.shed, c.rejected) for c in counts(tmp_path / "collect")] == [
        ("vn:xa:1", "nginx", 8_000, 0, 0)
    ]
    first = bus.records()[0]
    assert first.facts == {"file": str(file), "record": "1", "offset": "0"}
    assert (first.source, first.unit, first.received) == ("nginx", "vn:xa:1", clock.now())


def test_the_same_content_sends_nothing_again_in_any_guise_on_any_day(bus: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(LINES)
    send(bus, clock, tmp_path, file)
    clock.move(timedelta(days=3).total_seconds())
    (tmp_path / "other name").write_bytes(LINES)
    (tmp_path / "a.gz").write_bytes(gzip.compress(LINES))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("member", LINES)
    for guise in (file, tmp_path / "other name", tmp_path / "a.gz", tmp_path / "a.zip"):
        result = send(bus, clock, tmp_path, guise)
        assert (guise.name, result.received, result.known) == (guise.name, 0, 8_000)


def test_what_has_grown_sends_what_is_new(bus: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"one\ntwo\n")
    send(bus, clock, tmp_path, file)
    file.write_bytes(b"one\ntwo\n\nthree\n")
    assert send(bus, clock, tmp_path, file).received == 1
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"one\ntwo\n\nthree\nfour\n"))
    assert send(bus, clock, tmp_path, packed).received == 1
    assert [(r.data, r.facts["record"]) for r in bus.records()] == [
        (b"one", "1"),
        (b"two", "2"),
        (b"three", "4"),
        (b"four", "5"),
    ]


def test_files_that_begin_alike_are_two_files(bus: Any, clock: Any, tmp_path: Path) -> None:
    header = b"#Fields: date time\n" * 80  # more than the head that is looked at
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(header + name.encode() * 2000 + b"\n")
    send(bus, clock, tmp_path, tmp_path / "a")
    result = send(bus, clock, tmp_path, tmp_path / "b")
    assert result.received == 81
    assert len({r.id for r in bus.records()}) == 162


def test_an_older_shorter_copy_is_known(bus: Any, clock: Any, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(LINES)
    (tmp_path / "old").write_bytes(LINES[: len(LINES) // 2])
    send(bus, clock, tmp_path, tmp_path / "new")
    result = send(bus, clock, tmp_path, tmp_path / "old")
    assert (result.received, result.copies) == (0, [str(tmp_path / "old")])


def test_damage_and_too_large_records_are_received_and_set_aside(bus: Any, clock: Any, tmp_path: Path) -> None:
    whole = gzip.compress(LINES)
    (tmp_path / "1.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "2.json").write_bytes(b'{"a":1}\n{"a":2,"b\n{"a":3}\n')
    (tmp_path / "3.log").write_bytes(b"x" * 2_000_000 + b"\nshort\n")
    (tmp_path / "4.zip").write_bytes(b"PK\x03\x04")
    for _ in range(2):
        send(bus, clock, tmp_path, tmp_path / "1.gz", tmp_path / "2.json", tmp_path / "3.log", tmp_path / "4.zip")
    bad = bus.rejected()
    assert [(Path(r.record.facts["file"]).name, r.code, r.stage) for r in bad] == [
        ("1.gz", "damaged", "collect"),
        ("2.json", "bad_format", "collect"),
        ("3.log", "too_large", "collect"),
        ("4.zip", "damaged", "collect"),
    ]
    assert bad[1].record.data == b'{"a":2,"b'
    assert bad[2].record.facts["bytes"] == "2000001"
    (row,) = counts(tmp_path / "collect")
    assert row.received == len(bus.records()) + len(bad)
    assert row.rejected == 4
    ids = [r.id for r in bus.records()] + [r.record.id for r in bad]
    assert len(set(ids)) == len(ids)


def test_an_evtx_file_is_sent_once_and_again_only_what_is_new(
    bus: Any, clock: Any, tmp_path: Path, shared_data: Path
) -> None:
    name = "sample_with_a_bad_chunk_magic.evtx"
    result = send(bus, clock, tmp_path, shared_data / "evtx_benign_or_damaged" / name)
    assert (result.received, result.rejected) == (272, 2)
    copy = tmp_path / "copy.evtx"
    shutil.copy(shared_data / "evtx_benign_or_damaged" / name, copy)
    again = send(bus, clock, tmp_path, copy)
    assert (again.received, again.known) == (0, 270)


def test_an_evtx_file_that_grew_sends_the_rest(bus: Any, clock: Any, tmp_path: Path, shared_data: Path) -> None:
    data = (shared_data / "evtx_benign_or_damaged" / "security.evtx").read_bytes()
    file = tmp_path / "security.evtx"
    file.write_bytes(data[: 4096 + 3 * 65536])
    first = send(bus, clock, tmp_path, file)
    file.write_bytes(data)
    second = send(bus, clock, tmp_path, file)
    assert 0 < first.received < 2261
    assert first.received + second.received == 2261
    assert [r.facts["record"] for r in bus.records()] == [str(n) for n in range(1, 2262)]


def test_unreadable_paths_are_said(bus: Any, clock: Any, tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="no such file"):
        send(bus, clock, tmp_path, tmp_path / "nothing")


def test_a_bus_that_failed_gets_what_is_owed_when_it_is_back(bus: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"one\ntwo\n")
    failed = False

    def fail_once(step: str) -> None:
        nonlocal failed
        if step == "flush" and not failed:
            failed = True
            raise TransportError("no bus")

    bus.before = fail_once
    with pytest.raises(TransportError):
        send(bus, clock, tmp_path, file)
    bus.unflushed.clear()  # the process died
    clock.move(86_400)
    result = send(bus, clock, tmp_path, file)
    assert bus.data() == [b"one", b"two"]
    assert all(i.startswith("20261124-") for i in result.ids)  # the day of the first try
    (row,) = counts(tmp_path / "collect")
    assert (row.received, row.hour.day) == (2, 24)


class Failing(Tally):
    """Counts that cannot be written."""

    def add_to(self, connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")


def test_position_and_counts_are_written_together_or_not_at_all(clock: Any, tmp_path: Path) -> None:
    state = FileState(tmp_path, clock.now)
    head = Head("text", b"one\n")
    state.intend([(Intent("f", 4, 1, 0, False, clock.now(), "s", "u", "lines", ""), head, "a.log")])
    with pytest.raises(TransportError, match="disk is full"):
        state.commit([Done("f", head, Position(4, 1, b"one\n"), 1, "a.log")], Failing())
    known = state.known("f")
    assert known
    assert (known.position.at, known.records) == (0, 0)
    assert state.intended("f") is not None
    state.close()


def test_what_another_process_has_done_meanwhile_is_not_counted_again(bus: Any, clock: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"one\ntwo\n")

    def followed() -> Followed:
        content = next(iter(contents(file)))
        return follow(content, "s", "u", "lines", None, "")

    first = Reading(FileState(tmp_path / "collect", clock.now), bus, clock.now)
    second = Reading(FileState(tmp_path / "collect", clock.now), bus, clock.now)

    def fail(step: str) -> None:
        if step == "flush":
            raise TransportError("no bus")

    bus.before = fail
    mine, theirs = followed(), followed()
    with pytest.raises(TransportError):
        first.turn([mine], lambda f: True)
    bus.before = lambda step: None
    assert len(second.turn([theirs], lambda f: True)) == 2
    assert first.turn([mine], lambda f: True) == []
    assert sum(c.received for c in counts(tmp_path / "collect")) == 2
