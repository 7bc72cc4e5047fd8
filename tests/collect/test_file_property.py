"""Files under any rotation and any crash: every record once, the same ids, the books balanced."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.collect.counts import counts
from soc.collect.file import FileCollector, FileSource
from soc.collect.ingest import ingest
from soc.collect.state import FileState

ACTIONS = ["write", "write", "partial", "look", "look", "restart", "rename", "copy", "truncate", "compress", "idle"]


#: Crashes here are of the process, not of the machine: fsync may be as cheap as it can.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Crash(BaseException):
    """The process dies here."""


class Watch:
    """A log that is written and rotated, and a collector that watches it and what rotation makes of it."""

    def __init__(self, root: Path, bus: Any, clock: Any) -> None:
        self.logs, self.folder = root / "logs", root / "collect"
        self.logs.mkdir()
        self.log = self.logs / "a.log"
        self.bus, self.clock = bus, clock
        self.written: list[bytes] = []
        self.half = b""
        self.rotated = 0
        self.copied = False
        self.restart()

    def restart(self) -> None:
        self.state = FileState(self.folder, self.clock.now)
        source = FileSource([f"{self.logs}/*"], idle_s=1e9, settle_s=3)
        self.collector = FileCollector(
            [source], self.state, self.bus, now=self.clock.now, clock=self.clock.seconds, interval_s=0
        )

    def die(self) -> None:
        """End without any of the steps of a clean end, but for what the kernel does."""
        self.collector.close()
        self.state.close()
        self.bus.unflushed.clear()

    def write(self, end: bytes) -> None:
        line = b"line %d %s" % (len(self.written), b"x" * (len(self.written) % 40))
        with self.log.open("ab") as f:
            f.write(self.half + line[len(self.half) :] + end if not self.half else line[len(self.half) :] + end)
        if end:
            self.written.append(line)
            self.half = b""

    def act(self, action: str) -> None:
        if action == "write":
            self.write(b"\n")
        elif action == "partial" and not self.half:
            self.half = b"line %d " % len(self.written)
            with self.log.open("ab") as f:
                f.write(self.half)
        elif action == "look":
            self.look()
        elif action == "restart":
            self.die()
            self.restart()
        elif action == "idle":
            self.clock.move(10)
            self.look()
        elif self.half or not self.log.exists() or not self.log.stat().st_size:
            return  # rotation happens between lines
        elif action == "rename":
            self.rotated += 1
            self.log.rename(self.logs / f"a.log.{self.rotated}")
        elif action == "copy":
            self.rotated += 1
            shutil.copy(self.log, self.logs / f"a.log.{self.rotated}")
            self.copied = True
            return
        elif action == "truncate" and self.copied:
            os.truncate(self.log, 0)
        elif action == "compress" and (plain := sorted(self.logs.glob("a.log.[0-9]*[0-9]"))):
            self.look()  # rotation compresses what has been at rest
            target = plain[0].with_suffix(plain[0].suffix + ".gz")
            target.write_bytes(gzip.compress(plain[0].read_bytes()))
            plain[0].unlink()
        if action in ("write", "partial"):
            self.copied = False  # what is written now is not in the copy

    def look(self) -> None:
        self.clock.move(1)
        while self.collector.step():
            self.clock.move(0.01)


@settings(max_examples=60)
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=3, max_size=30))
def test_any_rotation_loses_and_doubles_nothing(actions: list[str], new_bus: Any, new_clock: Any) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as root:
        watch = Watch(Path(root), new_bus(), new_clock())
        for action in actions:
            watch.act(action)
        watch.look()
        watch.clock.move(10)
        watch.look()
        watch.die()
        assert Counter(watch.bus.data()) == Counter(watch.written)
        assert sum(c.received for c in counts(watch.folder)) == len(watch.written)


STEPS = ["publish", "flush", "intend before", "intend after", "commit before", "commit after", "flush after"]


class FatalState(FileState):
    """A state whose process dies at a given step."""

    fatal = ""

    def intend(self, intents: Any) -> None:
        die_at(self, "intend before")
        super().intend(intents)
        die_at(self, "intend after")

    def commit(self, done: Any, tally: Any) -> None:
        die_at(self, "flush after")
        die_at(self, "commit before")
        super().commit(done, tally)
        die_at(self, "commit after")


def die_at(state: FatalState, step: str) -> None:
    if state.fatal == step:
        state.fatal = ""
        raise Crash(step)


lines = st.lists(
    st.sampled_from([b"one", b"two two", b"", b"  ", b'{"a":1}', b"\xff\xfe", b"x" * 300]), min_size=1, max_size=12
)


@settings(max_examples=30)
@given(parts=st.lists(lines, min_size=1, max_size=4), crashes=st.lists(st.sampled_from(STEPS), max_size=5))
def test_a_crash_anywhere_gives_the_same_ids_and_counts(
    parts: list[list[bytes]], crashes: list[str], new_bus: Any, new_clock: Any
) -> None:
    results = []
    for fatal in ([], crashes):
        with tempfile.TemporaryDirectory(dir=MEMORY) as root:
            bus, clock, folder = new_bus(), new_clock(), Path(root) / "collect"
            log = Path(root) / "a.log"
            due = list(fatal)
            for n, part in enumerate(parts):
                with log.open("ab") as f:
                    f.writelines(b"%d %s\n" % (n, line) if line.strip() else line + b"\n" for line in part)
                while True:
                    step = due.pop() if due else ""
                    died = run_once(log, bus, clock, folder, step)
                    if not died:
                        break
                    clock.move(86_400 * 0.3)  # the restart may be on another day
            ids = {r.id: (r.data, r.received) for r in bus.records()}
            books = Counter({c.hour: c.received for c in counts(folder)})
            hours = Counter(received.replace(minute=0, second=0) for _, received in ids.values())
            assert books == hours  # each record once, in its own hour
            results.append([data for data, _ in ids.values()])
    assert results[0] == results[1]


def run_once(log: Path, bus: Any, clock: Any, folder: Path, step: str) -> bool:
    """One life of a collector; whether it died at the step."""
    state = FatalState(folder, clock.now)
    state.fatal = step if step not in ("publish", "flush") else ""
    fatal = [step] if step in ("publish", "flush") else []

    def before(name: str) -> None:
        if name in fatal:
            fatal.clear()
            raise Crash(name)

    bus.before = before
    collector = FileCollector(
        [FileSource([str(log)], idle_s=0)], state, bus, now=clock.now, clock=clock.seconds, interval_s=0
    )
    died = True
    with suppress(Crash):
        for _ in range(3):
            clock.move(1)
            while collector.step():
                pass
        died = False
    collector.close()
    state.close()
    bus.before = lambda name: None
    bus.unflushed.clear()
    return died


@settings(max_examples=20)
@given(data=st.data(), count=st.integers(1, 40))
def test_a_stop_anywhere_in_an_ingest_changes_nothing(
    data: st.DataObject, count: int, new_bus: Any, new_clock: Any
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as root:
        log = Path(root) / "a.log"
        log.write_bytes(b"".join(b"line %d\n" % n for n in range(count)))
        bus, clock = new_bus(), new_clock()
        step = data.draw(st.sampled_from(["publish", "flush"]))
        left = data.draw(st.integers(1, 4))

        def before(name: str) -> None:
            nonlocal left
            if name == step:
                left -= 1
                if not left:
                    raise Crash(name)

        bus.before = before
        for _ in range(3):
            with suppress(Crash):
                ingest([log], bus=bus, folder=Path(root) / "collect", now=clock.now)
            bus.unflushed.clear()
            clock.move(86_400)
        assert [r.data for r in {r.id: r for r in bus.records()}.values()] == log.read_bytes().splitlines()
        assert sum(c.received for c in counts(Path(root) / "collect")) == count
