"""The tailing collector: whatever becomes of a file, each record of it is published once."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from soc.collect import file as tailing
from soc.collect.counts import counts
from soc.collect.file import FileCollector, FileSource
from soc.collect.state import FileState, watched


class Tail:
    """A collector of `*` in a folder, stepped by hand; `again` ends it and starts another one."""

    def __init__(self, tmp_path: Path, bus: Any, clock: Any, **source: Any) -> None:
        self.logs = tmp_path / "logs"
        self.logs.mkdir(exist_ok=True)
        self.folder = tmp_path / "collect"
        self.bus, self.clock = bus, clock
        self.source = FileSource(**{"paths": [f"{self.logs}/*"], "source": "s", "unit": "u", **source})
        self.start()

    def start(self) -> None:
        self.state = FileState(self.folder, self.clock.now)
        self.collector = FileCollector(
            [self.source], self.state, self.bus, now=self.clock.now, clock=self.clock.seconds, interval_s=0.5
        )

    def stop(self) -> None:
        self.collector.close()
        self.state.close()

    def again(self) -> None:
        self.stop()
        self.start()

    def look(self, seconds: float = 1.0) -> list[bytes]:
        """Everything published so far, after so much time and all turns that are due."""
        self.clock.move(seconds)
        while self.collector.step():
            self.clock.move(0.01)
        return list(self.bus.data())

    def states(self) -> dict[str, str]:
        return {Path(w.path).name: w.state for w in watched(self.folder)}


@pytest.fixture
def tail(tmp_path: Path, bus: Any, clock: Any) -> Callable[..., Tail]:
    return lambda **source: Tail(tmp_path, bus, clock, **source)


def test_lines_come_as_they_are_written(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    assert t.look() == []
    log.write_bytes(b"one\ntw")
    assert t.look() == [b"one"]
    with log.open("ab") as f:
        f.write(b"o\nthree\n")
    assert t.look() == [b"one", b"two", b"three"]
    assert [r.facts["record"] for r in t.bus.records()] == ["1", "2", "3"]
    assert t.states() == {"a.log": "reading"}


def test_an_incomplete_last_line_waits_and_is_taken_when_nothing_follows(tail: Callable[..., Tail]) -> None:
    t = tail(idle_s=5)
    log = t.logs / "a.log"
    log.write_bytes(b"one\nno end")
    assert t.look() == [b"one"]
    assert t.look(3) == [b"one"]
    assert t.look(3) == [b"one", b"no end"]
    assert t.look(60) == [b"one", b"no end"]
    with log.open("ab") as f:
        f.write(b" yet\nmore\n")
    assert t.look() == [b"one", b"no end", b" yet", b"more"]


def test_a_restart_goes_on_where_it_was(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\ntwo\npar")
    t.look()
    t.stop()
    with log.open("ab") as f:
        f.write(b"tial\nfour\n")
    t.start()
    assert t.look() == [b"one", b"two", b"partial", b"four"]
    assert [r.facts["record"] for r in t.bus.records()] == ["1", "2", "3", "4"]


def test_rotation_by_rename_reads_the_old_file_to_its_end(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\n")
    t.look()
    writer = log.open("ab")
    log.rename(t.logs / "a.log.1")
    log.write_bytes(b"new\n")
    writer.write(b"late\n")
    writer.close()
    assert sorted(t.look()) == [b"late", b"new", b"one"]


def test_a_file_renamed_out_of_sight_or_deleted_is_read_to_its_end(tail: Callable[..., Tail], tmp_path: Path) -> None:
    t = tail(grace_s=10)
    log = t.logs / "a.log"
    log.write_bytes(b"one\n")
    t.look()
    with log.open("ab") as writer:
        log.rename(tmp_path / "elsewhere")
        writer.write(b"two\n")
        writer.flush()
        t.look(5)
        (tmp_path / "elsewhere").unlink()
        writer.write(b"three")
    assert t.look() == [b"one", b"two"]
    assert t.look(20) == [b"one", b"two", b"three"]
    t.look(20)
    assert t.states() == {"a.log": "gone"}


def test_copy_and_truncate_doubles_nothing_and_loses_nothing_that_the_copy_holds(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\ntwo\n")
    t.look()
    with log.open("ab") as f:
        f.write(b"only in the copy\n")
    shutil.copy(log, t.logs / "a.log.1")
    os.truncate(log, 0)
    with log.open("ab") as f:
        f.write(b"after\n")
    assert sorted(t.look()) == [b"after", b"one", b"only in the copy", b"two"]


def test_a_look_between_copy_and_truncation_doubles_nothing(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\ntwo\n")
    t.look()
    shutil.copy(log, t.logs / "a.log.1")
    t.look()
    with log.open("ab") as f:
        f.write(b"three\n")
    t.look()
    os.truncate(log, 0)
    t.look()
    log.write_bytes(b"four\n")
    assert t.look() == [b"one", b"two", b"three", b"four"]


def test_a_copy_that_is_still_being_made_is_not_read(tail: Callable[..., Tail]) -> None:
    t = tail()
    data = b"".join(b"line %d\n" % n for n in range(1000))
    (t.logs / "a.log").write_bytes(data)
    t.look()
    copy = t.logs / "a.log.1"
    copy.write_bytes(data[:5000])
    t.look()
    assert t.states()["a.log.1"] == "copy"
    copy.write_bytes(data + b"more\n")
    assert t.look() == [*data.splitlines(), b"more"]


def test_a_file_that_was_truncated_and_grew_beyond_is_another_one(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\n")
    t.look()
    os.truncate(log, 0)
    with log.open("ab") as f:
        f.write(b"longer than before\n")
    assert t.look() == [b"one", b"longer than before"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_rotated_file_that_is_compressed_sends_only_what_was_not_read(
    pack: Callable[[bytes], bytes], tail: Callable[..., Tail]
) -> None:
    t = tail(settle_s=3)
    log = t.logs / "a.log"
    log.write_bytes(b"one\ntwo\n")
    t.look()
    packed = pack(b"one\ntwo\nthree\n")
    log.unlink()
    new = t.logs / "a.log.2.packed"
    new.write_bytes(packed[:-3])
    t.look()
    new.write_bytes(packed)
    assert t.look(2) == [b"one", b"two"]  # may still be written
    assert t.look(4) == [b"one", b"two", b"three"]
    t.again()
    assert t.look(10) == [b"one", b"two", b"three"]


def test_joined_lines_are_one_record(tail: Callable[..., Tail]) -> None:
    t = tail(multiline=r"^\d{4}-")
    log = t.logs / "a.log"
    log.write_bytes(b"2026-11-24 boom\n  at x\n\n  at y\n2026-11-24 next\n")
    assert t.look() == [b"2026-11-24 boom\n  at x\n\n  at y"]
    t.again()
    t.look()
    assert t.look(10) == [b"2026-11-24 boom\n  at x\n\n  at y", b"2026-11-24 next"]
    assert [r.facts["record"] for r in t.bus.records()] == ["1", "5"]


def test_folders_and_patterns_find_new_files(tail: Callable[..., Tail]) -> None:
    t = tail()
    t.source = FileSource([f"{t.logs}/deep", f"{t.logs}/**/*.log"])
    t.again()
    assert t.look() == []
    (t.logs / "deep" / "er").mkdir(parents=True)
    (t.logs / "deep" / "er" / "a.log").write_bytes(b"one\n")
    (t.logs / "b.log").write_bytes(b"two\n")
    assert sorted(t.look()) == [b"one", b"two"]


def test_an_evtx_folder_is_read_and_what_is_added_to_a_file_is_read(
    tail: Callable[..., Tail], shared_data: Path
) -> None:
    t = tail(settle_s=3)
    data = (shared_data / "evtx_benign_or_damaged" / "security.evtx").read_bytes()
    file = t.logs / "security.evtx"
    file.write_bytes(data[: 4096 + 3 * 65536])
    first = len(t.look(5) or t.look(5))
    assert 0 < first < 2261
    file.write_bytes(data)
    t.look(1)
    assert len(t.look(5)) == 2261
    t.again()
    t.look(1)
    assert len(t.look(5)) == 2261


def test_an_unreadable_file_is_a_state_and_the_rest_is_read(tail: Callable[..., Tail]) -> None:
    t = tail()
    closed = t.logs / "1.log"
    if os.geteuid():
        closed.write_bytes(b"secret\n")
        closed.chmod(0)
    else:  # root may read everything but what has no reader
        closed.symlink_to(next(Path("/sys/bus").glob("*/drivers_probe")))
    (t.logs / "2.log").write_bytes(b"one\n")
    assert t.look() == [b"one"]
    assert t.states() == {"1.log": "unreadable", "2.log": "reading"}
    closed.unlink()
    closed.write_bytes(b"two\n")
    assert t.look() == [b"one", b"two"]
    assert t.states() == {"1.log": "reading", "2.log": "reading"}


def test_utf_16_grows_like_any_text(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    text = "một\nhai\nba\n".encode("utf-16")
    log.write_bytes(text[:11])
    t.look()
    t.again()
    log.write_bytes(text)
    t.look()
    t.again()
    with log.open("ab") as f:
        f.write("bốn\n".encode("utf-16-le"))
    assert [d.decode() for d in t.look()] == ["một", "hai", "ba", "bốn"]


def test_while_paused_nothing_is_read(tail: Callable[..., Tail]) -> None:
    t = tail()
    (t.logs / "a.log").write_bytes(b"one\n")
    t.collector.paused = lambda priority: "the disk is full"
    assert t.look() == []
    t.collector.paused = lambda priority: ""
    assert t.look() == [b"one"]


def test_more_files_than_may_be_open_are_all_followed(
    tail: Callable[..., Tail], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "MAX_OPEN", 3)
    t = tail()
    for turn in range(3):
        for n in range(9):
            with (t.logs / f"{n}.log").open("ab") as f:
                f.write(b"%d of %d\n" % (turn, n))
        t.look()
        t.look()
    assert sorted(t.bus.data()) == sorted(b"%d of %d" % (turn, n) for turn in range(3) for n in range(9))


def test_received_is_counted_by_the_hour_of_receipt(tail: Callable[..., Tail]) -> None:
    t = tail()
    log = t.logs / "a.log"
    log.write_bytes(b"one\n")
    t.look()
    t.clock.move(3600)
    with log.open("ab") as f:
        f.write(b"two\nthree\n")
    t.look()
    assert [(c.unit, c.source, c.hour.hour, c.received) for c in counts(t.folder)] == [
        ("u", "s", 12, 1),
        ("u", "s", 13, 2),
    ]
    assert [c.received for c in counts(t.folder, t.clock.now())] == [2]
