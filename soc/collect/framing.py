"""A stream's bytes in, its records out as `Piece`s with their positions: lines, joined lines; the table of framings.

A framer is fed chunks of any size and gives the same pieces whatever the chunks were. Started again at the end of any
piece (with that piece's number, and the bytes before as `before`), it gives the same pieces from there on. Both are
what makes ids of file records facts: tests/property/test_collect_framing.py holds every framer to them.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Protocol

import re2

#: Longest record that goes on, in bytes; what is longer is set aside as `too_large`. Above the longest of real logs
#: (Windows script blocks and web requests: tens of kB) and below the 1 MB default limit of a Kafka message.
MAX_RECORD: Final = 1_000_000
#: How much of a too large record is kept with its rejection, in bytes.
HEAD_KEPT: Final = 16_384
#: Most lines of one joined record, as in Filebeat's multiline.max_lines.
MAX_JOINED: Final = 500


class Piece(NamedTuple):
    """One record of a stream, or (with a `code` of RECORD_ERROR_CODES) a part that is none.

    `offset` is where it starts in the stream, `end` where reading goes on after it, in bytes. `number` is 1-based: the
    line in text, the ordinal elsewhere.
    """

    data: bytes
    offset: int
    end: int
    number: int
    code: str = ""
    detail: str = ""


class Framer(Protocol):
    """Turns the bytes of one stream into pieces; keeps what is incomplete."""

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that are complete now."""

    def finish(self) -> list[Piece]:
        """The pieces left when nothing more comes: an incomplete last record is taken as it is."""

    @property
    def number(self) -> int:
        """What a restart at the end of the last piece is given: in text the last line of it, else its ordinal."""


class Lines:
    """Lines ended by LF or CRLF. Blank ones are no records but count as lines. The last may lack its end.

    With `whole`, blank lines and the CR before the LF are given, too.
    """

    def __init__(self, offset: int = 0, number: int = 0, max_bytes: int = MAX_RECORD, *, whole: bool = False) -> None:
        self._offset = offset  # of the first byte of _rest
        self._number = number  # lines passed
        self._last = number  # line of the last piece
        self._max = max_bytes
        self._whole = whole
        self._rest = b""
        self._dropped = 0  # bytes of an overlong line let go beyond its head, which is in _rest

    @property
    def number(self) -> int:
        return self._last

    def feed(self, chunk: bytes) -> list[Piece]:
        out: list[Piece] = []
        if self._dropped:
            end = chunk.find(b"\n")
            if end < 0:
                self._dropped += len(chunk)
                return out
            out.append(self._overlong(self._rest, self._dropped + end, 1))
            chunk = chunk[end + 1 :]
        data = self._rest + chunk if self._rest else chunk
        lines = data.split(b"\n")
        rest = lines.pop()
        offset, number, limit, whole = self._offset, self._number, self._max, self._whole
        append = out.append
        for line in lines:
            number += 1
            start, offset = offset, offset + len(line) + 1
            if len(line) > limit:
                append(Piece(line[:HEAD_KEPT], start, offset, number, "too_large", too_long(len(line), limit)))
                continue
            if not whole:
                if line.endswith(b"\r"):
                    line = line[:-1]
                if not line or line.isspace():
                    continue
            append(Piece(line, start, offset, number))
        self._offset, self._number = offset, number
        if out:
            self._last = out[-1].number
        self._rest = rest
        if len(rest) > limit and len(rest) > HEAD_KEPT:
            self._rest, self._dropped = rest[:HEAD_KEPT], len(rest) - HEAD_KEPT
        return out

    def finish(self) -> list[Piece]:
        line = self._rest
        if len(line) + self._dropped > self._max:
            return [self._overlong(line[:HEAD_KEPT], self._dropped + max(0, len(line) - HEAD_KEPT), 0)]
        self._rest = b""
        start, self._offset = self._offset, self._offset + len(line)
        if not line or (line.isspace() and not self._whole):
            return []
        self._number = self._last = self._number + 1
        return [Piece(line if self._whole else line.removesuffix(b"\r"), start, self._offset, self._number)]

    def _overlong(self, head: bytes, dropped: int, terminator: int) -> Piece:
        self._rest, self._dropped = b"", 0
        start, length = self._offset, len(head) + dropped
        self._offset += length + terminator
        self._number = self._last = self._number + 1
        return Piece(head, start, self._offset, self._number, "too_large", too_long(length, self._max))


def too_long(length: int, limit: int) -> str:
    """Why a record of so many bytes is set aside."""
    return f"a record of {length} bytes; the limit is {limit}"


class Joined:
    """Lines joined to records: a line in which `start` is found begins one, the lines up to the next belong to it.

    `start` is RE2 syntax, searched in each line. A record also ends at MAX_JOINED lines or at the size limit; what
    follows then is a record of its own, so nothing is lost.
    """

    def __init__(self, start: str, offset: int = 0, number: int = 0, max_bytes: int = MAX_RECORD) -> None:
        self._starts = re2.compile(start.encode()).search
        self._lines = Lines(offset, number, max_bytes, whole=True)
        self._max = max_bytes
        self._held: list[Piece] = []
        self._size = 0
        self._last = number

    @property
    def number(self) -> int:
        return self._last

    def feed(self, chunk: bytes) -> list[Piece]:
        out: list[Piece] = []
        for line in self._lines.feed(chunk):
            self._add(line, out)
        return out

    def finish(self) -> list[Piece]:
        out: list[Piece] = []
        for line in self._lines.finish():
            self._add(line, out)
        self._close(out)
        return out

    def _add(self, line: Piece, out: list[Piece]) -> None:
        full = len(self._held) >= MAX_JOINED or self._size + len(line.data) > self._max
        if line.code or full or self._starts(line.data) is not None:
            self._close(out)
        if line.code:
            out.append(line)
            self._last = line.number
            return
        self._held.append(line)
        self._size += line.end - line.offset

    def _close(self, out: list[Piece]) -> None:
        held, self._held, self._size = self._held, [], 0
        data = b"\n".join([line.data for line in held]).rstrip(b"\r\n")
        if data and not data.isspace():
            out.append(Piece(data, held[0].offset, held[-1].end, held[0].number))
            self._last = held[-1].number


def sniff(head: bytes) -> str:
    """Framing that the first bytes of a stream (UTF-8, without byte order mark) ask for: lines, json, xml or evtx."""
    if head.startswith(b"ElfFile\0") or head[4096:4104] == b"ElfChnk\0":  # the latter: a broken file header
        return "evtx"
    start = head.lstrip()
    if start.startswith(b"{") or _ARRAY.match(start):
        return "json"
    if _XML.match(start):
        return "xml"
    return "lines"


_ARRAY: Final = re.compile(rb"\[\s*(?:[{\]]|$)")  # "[2026-11-24] …" is a line
_XML: Final = re.compile(rb"<\?xml\b|<Events?[\s>]")  # "<13>…" is a line
