"""A stream and a position in it in, the records that come next out: text and EVTX alike, the same again if asked again.

`matches` says whether a position belongs to this stream; `turn` reads on from it. Nothing here is durable: `FileState`
keeps positions, and a range that was intended is read again exactly by giving the intent as `upto`.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from soc.collect.evtx import EvtxRecord, evtx_identity, read_evtx
from soc.collect.framing import MAX_RECORD, Piece
from soc.collect.receipt import Receipts
from soc.collect.state import HEAD_BYTES, TAIL_BYTES, Head, Intent, Position
from soc.collect.text import HEAD, text_framer
from soc.collect.unpack import Reader
from soc.event import RawRecord, RecordError, Rejected, digest

#: What one turn reads of one stream: so many bytes, or EVTX records.
TURN_BYTES: Final = 1 << 20
TURN_RECORDS: Final = 2_000
#: Bytes without the end of a record after which what is there is taken as one.
_NO_END: Final = 16 * MAX_RECORD
_CHUNK: Final = 262_144
_SPILL: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Turn:
    """What comes next: records, where reading goes on, whether the last one was taken without its end."""

    items: list[RawRecord | Rejected]
    end: Position
    flushed: bool = False
    more: bool = False  # there is more to read at once


class Stream(Protocol):
    framing: str
    multiline: str

    def head(self) -> Head: ...

    def matches(self, position: Position) -> str:
        """ "same": the stream was read up to the position; "shorter": it ends before it; "other" content is there."""

    def reset(self) -> None:
        """Other content stands there now: forget what was read of it."""

    def turn(self, position: Position, receipts: Receipts, final: bool, upto: Intent | None) -> Turn:
        """What comes after the position. `final`: nothing will follow, so an incomplete last record is taken.

        `upto` gives exactly the intended range again, in the framing of then; the turn's end differs from it if the
        stream does not hold the range any more.
        """

    def close(self) -> None: ...


class Bytes(Protocol):
    """Random or forward access to a stream's bytes."""

    def read(self, at: int, size: int) -> bytes:
        """Up to size bytes, b"" at the end. Raises RecordError where the stream is broken."""

    def release(self, at: int) -> None:
        """Bytes before TAIL_BYTES before `at` are not asked for again (they may, at a price)."""

    def close(self) -> None: ...


class OpenFile:
    """Bytes of a plain file that stays open, so that it can be read to its end after it was renamed or deleted."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def stat(self) -> os.stat_result:
        return os.fstat(self._fd)

    def read(self, at: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, at)
        except OSError as e:
            raise RecordError("damaged", f"cannot be read on: {e.strerror}") from e

    def release(self, at: int) -> None:
        pass

    def close(self) -> None:
        os.close(self._fd)


class Expanding:
    """Bytes of a stream that can only be read forward (compressed ones); going back starts it afresh."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._chunks = reader()
        self._held = b""
        self._at = 0  # of _held[0]
        self._broken: RecordError | None = None
        self._ended = False

    def read(self, at: int, size: int) -> bytes:
        if at < self._at:
            self._chunks.close()
            self._chunks, self._held, self._at = self._reader(), b"", 0
            self._broken, self._ended = None, False
        while len(self._held) < at - self._at + 1 and self._pull():
            if self._at + len(self._held) <= at:
                self.release(self._at + len(self._held))
        data = self._held[at - self._at : at - self._at + size]
        if not data and self._broken:
            raise self._broken
        return data

    def _pull(self) -> bool:
        if self._ended:
            return False
        try:
            chunk = next(self._chunks, b"")
        except RecordError as e:
            self._broken, chunk = e, b""
        self._ended = not chunk
        self._held += chunk
        return bool(chunk)

    def release(self, at: int) -> None:
        drop = min(at - TAIL_BYTES - self._at, len(self._held))
        if drop > 0:
            self._held = self._held[drop:]
            self._at += drop

    def close(self) -> None:
        self._chunks.close()


class TextStream:
    """Lines, JSON or XML from a stream of bytes."""

    def __init__(self, source: Bytes, framing: str, multiline: str = "", max_bytes: int = MAX_RECORD) -> None:
        self._source = source
        self.framing = framing
        self.multiline = multiline
        self._max = max_bytes
        self._first = b""

    def _beginning(self) -> bytes:
        if len(self._first) < HEAD_BYTES:
            self._first = first_bytes(self._source, HEAD_BYTES)[0]
        return self._first

    def head(self) -> Head:
        return Head("text", self._beginning())

    def reset(self) -> None:
        self._first = b""

    def matches(self, position: Position) -> str:
        tail = position.tail
        found, _ = first_bytes(self._source, len(tail), position.at - len(tail))
        if found == tail:
            return "same"
        return "other" if len(found) == len(tail) else "shorter"

    def turn(self, position: Position, receipts: Receipts, final: bool, upto: Intent | None) -> Turn:
        start = position.at
        framer = text_framer(
            upto.framing if upto else self.framing,
            self._beginning(),
            offset=start,
            number=position.number,
            before=position.tail,
            multiline=upto.multiline if upto else self.multiline,
            max_bytes=self._max,
        )
        at, raw = start, bytearray(position.tail)
        pieces: list[Piece] = []
        ended, broken = False, None
        stop_at, flush = (upto.position, upto.flushed) if upto else (0, False)
        while True:
            if upto and (at >= stop_at if flush else pieces and pieces[-1].end >= stop_at):
                break
            if not upto and at - start >= (TURN_BYTES if pieces else _NO_END):
                break
            try:
                chunk = self._source.read(at, min(_CHUNK, stop_at - at) if flush else _CHUNK)
            except RecordError as e:
                broken = e
                chunk = b""
            if not chunk:
                ended = True
                break
            at += len(chunk)
            raw += chunk
            pieces += framer.feed(chunk)
        number, flushed = framer.number, False
        unending = not pieces and at - start >= _NO_END
        if flush or (not upto and (unending or (ended and (final or broken)))):
            rest = framer.finish()
            pieces += rest
            number, flushed = framer.number, bool(rest)
        if upto:
            pieces = [p for p in pieces if p.end <= stop_at]
        if not pieces:
            if broken and position.damages == 0:
                told = Position(position.at, position.number, position.tail, 1)
                return Turn([receipts.broken(at, broken.code, broken.detail)], told)
            return Turn([], position)
        if upto:
            number = upto.number
        end = pieces[-1].end
        done = end - start + len(position.tail)
        tail = bytes(raw[max(0, done - TAIL_BYTES) : done])
        self._source.release(end)
        return Turn([receipts.text(p) for p in pieces], Position(end, number, tail), flushed, not ended or bool(broken))

    def close(self) -> None:
        self._source.close()


def first_bytes(source: Bytes, size: int, at: int = 0) -> tuple[bytes, RecordError | None]:
    """`size` bytes from `at`, fewer at the end or where the stream is broken, and why it is."""
    out = b""
    try:
        while len(out) < size and (chunk := source.read(at + len(out), size - len(out))):
            out += chunk
    except RecordError as e:
        return out, e
    return out, None


class Lost:
    """What stands for a file, archive or member that cannot be opened: one damage, told once."""

    framing = "lost"
    multiline = ""

    def __init__(self, name: str, code: str, detail: str, head: bytes) -> None:
        self._head = Head("lost", bytes.fromhex(digest(name.rpartition("/")[2], head)))
        self._code = code
        self._detail = detail

    def head(self) -> Head:
        return self._head

    def reset(self) -> None:
        pass

    def matches(self, position: Position) -> str:
        return "same"

    def turn(self, position: Position, receipts: Receipts, final: bool, upto: Intent | None) -> Turn:
        if position.damages:
            return Turn([], position)
        return Turn([receipts.broken(0, self._code, self._detail)], Position(damages=1))

    def close(self) -> None:
        pass


class EvtxStream:
    """Records of an EVTX file: on disk, or (with a reader) within something compressed."""

    framing = "evtx"
    multiline = ""

    def __init__(self, path: Path | None, reader: Reader) -> None:
        self._path = path
        self._reader = reader
        self._file: IO[bytes] | None = None
        self._items: Iterator[EvtxRecord] = iter(())
        self._at = Position()  # what has been taken from _items
        self._next: EvtxRecord | None = None
        self._started = False
        self._broken: list[EvtxRecord] = []

    def head(self) -> Head:
        file = self._open()
        file.seek(0)
        first = evtx_identity(file.read(HEAD))
        return Head("evtx", bytes.fromhex(digest(first)) if first else b"")

    def matches(self, position: Position) -> str:
        return self._go_to(position)

    def reset(self) -> None:
        self.close()
        self._file, self._started, self._broken = None, False, []

    def turn(self, position: Position, receipts: Receipts, final: bool, upto: Intent | None) -> Turn:
        if self._go_to(position) != "same":
            return Turn([], position)
        items: list[RawRecord | Rejected] = []
        end = position
        size = 0
        while (item := self._peek()) is not None:
            if upto and (end.at, end.damages) == (upto.position, upto.damages):
                break
            if not upto and (len(items) >= TURN_RECORDS or size >= TURN_BYTES):
                break
            items.append(receipts.evtx(item, end.damages))
            size += len(item.data)
            end = self._take()
        return Turn(items, end, more=self._peek() is not None)

    def close(self) -> None:
        if self._file:
            self._file.close()

    # ------------------------------------------------------------ a cursor over the records

    def _open(self) -> IO[bytes]:
        if self._file is None:
            if self._path:
                self._file = self._path.open("rb")
            else:
                self._file = tempfile.SpooledTemporaryFile(_SPILL)  # noqa: SIM115  # until close()
                try:
                    with closing(self._reader()) as chunks:
                        for chunk in chunks:
                            self._file.write(chunk)
                except RecordError as e:
                    self._broken = [EvtxRecord(b"", 0, None, e.code, e.detail)]
        return self._file

    def _go_to(self, position: Position) -> str:
        """Put the cursor there; "same", "shorter" or "other" as in `matches`."""
        if not self._started or (self._at.at, self._at.damages) > (position.at, position.damages):
            self._open().seek(0)
            self._items = itertools.chain(read_evtx(self._open()), self._broken)
            self._at, self._next, self._started = Position(), None, True
        while self._at.at < position.at and self._peek() is not None:
            self._take()
        if self._at.at < position.at:
            return "shorter"
        if self._at.tail != position.tail:
            return "other"
        while self._at.damages < position.damages and (item := self._peek()) is not None and item.code:
            self._take()
        return "same"

    def _peek(self) -> EvtxRecord | None:
        if self._next is None:
            self._next = next(self._items, None)
        return self._next

    def _take(self) -> Position:
        item, self._next = self._next, None
        assert item
        if item.code:
            self._at = Position(self._at.at, self._at.number, self._at.tail, self._at.damages + 1)
        else:
            self._at = Position(item.ordinal, item.ordinal, bytes.fromhex(digest(item.data)))
        return self._at
