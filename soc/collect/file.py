"""Watched paths in, what is written to them onto the bus: tailing, rotation, packed files, EVTX folders.

Text stays open and is read as it grows, also after it was renamed or deleted, until it has been still for `grace_s`.
Rotation by rename and by copy-truncate, with or without compression afterwards, loses and doubles nothing, because a
file is known by what it holds (`soc.collect.state`); only what is written between the last look and a truncation can be
lost, if the copy that rotation made is not watched, too. Compressed files, archives and EVTX files are read whole, once
they have been still for `settle_s`, and again when they change. What cannot be read is told and tried again.
"""

from __future__ import annotations

import glob
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from soc.bus.base import Bus
from soc.collect.expand import compression
from soc.collect.ingest import follow
from soc.collect.open import FramingOf, framing_for
from soc.collect.reading import COPY, NEW, REPLACED, SAME, Followed, Reading
from soc.collect.receipt import Origin
from soc.collect.state import FileState
from soc.collect.stream import OpenFile, TextStream, first_bytes
from soc.collect.text import HEAD
from soc.collect.unpack import contents, printable, walk
from soc.event import ContentError, TransportError, digest

log = logging.getLogger(__name__)

#: Most files kept open; those still for longest are closed, and opened again when they change.
MAX_OPEN: Final = 400
#: Growing files that share one turn, each with its TURN_BYTES at most.
STREAMS_A_TURN: Final = 8
_RETRY_S: Final = 1.0
_EDGE: Final = 4_096  # bytes of a packed file's beginning and end that its identity is made of


@dataclass(frozen=True, slots=True)
class FileSource:
    """Configuration of one collector of files: `paths` are globs (`**` too) and folders, which are taken whole.

    `host` names the machine whose files these are, for formats that do not say. `multiline` (RE2) says how the first
    line of a record looks. An incomplete last line is taken after `idle_s`.
    """

    paths: Sequence[str]
    source: str = "auto"
    unit: str = ""
    priority: str = "normal"
    multiline: str = ""
    framing: str = "auto"
    host: str = ""
    idle_s: float = 5.0
    settle_s: float = 3.0
    grace_s: float = 10.0

    def found(self) -> Iterator[Path]:
        """The files there are now, in the order of names."""
        for pattern in self.paths:
            for name in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207  # patterns are absolute
                yield from walk(Path(name))


@dataclass(slots=True)
class _File:
    """One file on disk, by device and inode, whatever its name is now."""

    path: Path
    source: FileSource
    signature: tuple[int, int] = (-1, -1)  # size, time of change (ns)
    changed: float = 0.0  # monotonic: when the signature was seen to change
    kind: str = ""  # text, whole (packed or EVTX), "" = not known yet
    open: OpenFile | None = None
    followed: Followed | None = None
    read: tuple[int, int] = (-1, -1)  # signature up to which it has been read
    waits: bool = False  # for the end of its last record
    seen: int = 0  # round of the last look that found it
    turned: int = 0  # when it had its last turn


@dataclass(slots=True)
class FileCollector:
    """Watches the files of some sources. `run` is the loop; `step` one round of it, for tests and callers of their own.

    `paused` returns why files of a priority may not be read now ("" = go on): they wait on their disk. Not
    thread-safe.
    """

    sources: Sequence[FileSource]
    state: FileState
    bus: Bus
    framing_of: FramingOf | None = None
    interval_s: float = 0.5
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    paused: Callable[[str], str] = lambda priority: ""
    turned: Callable[[], None] = lambda: None  # called once a turn of `run`
    _files: dict[tuple[int, int], _File] = field(default_factory=dict)
    _told: dict[str, tuple[str, str]] = field(default_factory=dict)
    _round: int = 0
    _reading: Reading = field(init=False)
    _whole: Iterator[bool] = field(default_factory=lambda: iter(()))
    _busy: bool = False
    _looked: float = 0.0
    _turns: int = 0

    def __post_init__(self) -> None:
        self._reading = Reading(self.state, self.bus, self.now)

    def run(self, stop: threading.Event) -> None:
        """Look and read until told to stop. Waits for a bus or state that does not answer."""
        try:
            while not stop.is_set():
                self.turned()
                try:
                    busy = self.step()
                except TransportError as e:
                    log.warning("files wait: %s", e)
                    stop.wait(_RETRY_S)
                    continue
                if not busy:
                    stop.wait(self.interval_s)
        finally:
            self.close()

    def close(self) -> None:
        """Close all files; their positions are committed already."""
        for file in self._files.values():
            if file.open:
                file.open.close()
        self._files.clear()

    def step(self) -> bool:
        """Look at the paths and take one turn; whether there is more to do at once. Raises TransportError."""
        now = self.clock()
        waiting = {p for p in {s.priority for s in self.sources} if self.paused(p)}
        if not self._busy or now - self._looked >= self.interval_s:
            self._looked = now
            self._look(now)
        ready = [f for f in self._files.values() if f.source.priority not in waiting and self._is_ready(f, now)]
        files = sorted(ready, key=lambda f: f.turned)[:STREAMS_A_TURN]
        streams = [f.followed for f in files if f.followed]
        idle = {id(f.followed) for f in files if self._is_idle(f, now)}
        self._reading.turn(streams, lambda followed: id(followed) in idle)
        for file in files:
            self._settle(file, id(file.followed) in idle)
        whole = self._whole_turn(now, waiting)
        self._busy = whole or any(self._is_ready(f, now) for f in files) or len(ready) > len(files)
        return self._busy

    # ------------------------------------------------------------ what there is

    def _look(self, now: float) -> None:
        self._round += 1
        for source in self.sources:
            for path in source.found():
                try:
                    st = path.stat()
                except FileNotFoundError:
                    continue
                except OSError as e:
                    self._tell(path, "unreadable", e.strerror or str(e))
                    continue
                file = self._files.setdefault((st.st_dev, st.st_ino), _File(path, source))
                if file.seen == self._round:
                    continue  # matched by two patterns, or a hard link
                file.seen, file.path = self._round, path
                self._changed(file, (st.st_size, st.st_mtime_ns), now)
        for key, file in list(self._files.items()):
            if file.seen != self._round:
                self._gone(key, file, now)
        self._close_some()

    def _changed(self, file: _File, signature: tuple[int, int], now: float) -> None:
        if signature != file.signature:
            file.signature, file.changed = signature, now
            if file.followed and file.followed.verdict == COPY:
                file.followed.verdict, file.followed.more = NEW, True
            if file.open is None:
                file.kind = ""
        if not file.kind and signature[0]:
            self._open(file)

    def _open(self, file: _File) -> None:
        """Find out what a file is, once it holds something."""
        try:
            opened = OpenFile(file.path)
        except OSError as e:
            self._tell(file.path, "unreadable", e.strerror or str(e))
            return
        head, broken = first_bytes(opened, HEAD)
        framing = framing_for(printable(file.path), head, file.source.framing, self.framing_of)
        if broken or not head:
            opened.close()
            if broken:
                self._tell(file.path, "unreadable", broken.detail)
        elif compression(head) or framing == "evtx":
            opened.close()
            file.kind = "whole"
        else:
            name = printable(file.path)
            origin = Origin(file.source.source, file.source.unit, name, name, "", file.source.host)
            multiline = file.source.multiline if framing == "lines" else ""
            file.kind, file.open = "text", opened
            file.followed = Followed(TextStream(opened, framing, multiline), origin)

    def _gone(self, key: tuple[int, int], file: _File, now: float) -> None:
        """A file without a watched name: it is read to its end, and forgotten when nothing has come for a while."""
        if file.open:
            st = file.open.stat()
            self._changed(file, (st.st_size, st.st_mtime_ns), now)
            if self._is_ready(file, now) or file.waits or now - file.changed < file.source.grace_s:
                return
            file.open.close()
        del self._files[key]
        if not any(other.path == file.path for other in self._files.values()):
            self._tell(file.path, "gone")
            self._told.pop(printable(file.path), None)

    def _close_some(self) -> None:
        opened = [f for f in self._files.values() if f.open]
        for file in sorted(opened, key=lambda f: f.changed)[: max(0, len(opened) - MAX_OPEN)]:
            if file.open and not file.waits and file.read == file.signature and file.seen == self._round:
                file.open.close()
                file.open, file.followed, file.kind = None, None, "closed"

    # ------------------------------------------------------------ text that grows

    def _is_idle(self, file: _File, now: float) -> bool:
        return file.waits and now - file.changed >= file.source.idle_s

    def _is_ready(self, file: _File, now: float) -> bool:
        followed = file.followed
        return followed is not None and (followed.more or file.read != file.signature or self._is_idle(file, now))

    def _settle(self, file: _File, was_idle: bool) -> None:
        """After a turn: is there more to read, now or when the file has been still for a while?"""
        followed = file.followed
        assert followed
        self._turns += 1
        file.turned = self._turns
        if followed.more:
            if followed.verdict == REPLACED:
                log.info("%s was truncated or replaced in place; it is read from its beginning", file.path)
            return
        file.read = file.signature
        file.waits = not was_idle and followed.verdict == SAME and followed.position.at < file.signature[0]
        if followed.verdict == COPY:
            self._tell(file.path, "copy", "the beginning of a file that is known already")
        elif followed.verdict == SAME:
            self._tell(file.path, "reading")

    # ------------------------------------------------------------ packed and EVTX files

    def _whole_turn(self, now: float, waiting: set[str]) -> bool:
        """One turn over one packed or EVTX file; False = there is none to read."""
        while True:
            if next(self._whole, False):
                return True
            unread = (f for f in self._files.values() if f.kind == "whole" and f.read != f.signature)
            due = (f for f in unread if f.source.priority not in waiting)
            file = next((f for f in due if now - f.changed >= f.source.settle_s), None)
            if file is None:
                return False
            self._whole = self._read_whole(file)

    def _read_whole(self, file: _File) -> Iterator[bool]:
        signature, name = file.signature, printable(file.path)
        try:
            identity = _identity(file.path)
            if identity and self.state.packed_is_done(identity):
                file.read = signature
                return
            source = file.source
            for content in contents(file.path):
                followed = follow(
                    content,
                    source.source,
                    source.unit,
                    source.framing,
                    self.framing_of,
                    source.multiline,
                    source.host,
                )
                with closing(followed.stream):
                    while followed.more:
                        self._reading.turn([followed], lambda f: True)
                        yield True
        except (OSError, ContentError) as e:
            self._tell(file.path, "unreadable", str(e))
            file.read = signature
            return
        if identity:
            self.state.packed_done(identity)
        file.read = signature
        self._tell(Path(name), "reading")

    def _tell(self, path: Path, state: str, detail: str = "") -> None:
        name = printable(path)
        if self._told.get(name) != (state, detail):
            if state == "unreadable":
                log.error("%s cannot be read: %s; mend its permissions or take it out of `paths`", name, detail)
            self.state.watch(name, state, detail)
            self._told[name] = (state, detail)


def _identity(path: Path) -> str:
    """What a compressed file is known by without expanding it; "" for EVTX, which is cheap to read again."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_EDGE)
        if not compression(head):
            return ""
        file.seek(max(0, size - _EDGE))
        return digest(size, head, file.read(_EDGE))
