"""A text's first bytes, its framing and where to begin in; the framer that reads its bytes as they are out.

UTF-8 with a byte order mark: the mark is passed over. UTF-16 (by its mark, or by the zero bytes among its
first ones): records are re-coded to UTF-8, lone surrogates kept as three bytes each; positions, and so ids, still count
bytes of the file. A last odd byte is half a character and never given out.
"""

from __future__ import annotations

import codecs
from typing import Final

from soc.collect.framing import MAX_RECORD, Framer, Joined, Lines, Piece
from soc.collect.framing_json import Json
from soc.collect.framing_xml import Xml
from soc.event import ContentError

FRAMINGS: Final = ("lines", "json", "xml", "evtx")
#: How much of a stream's beginning is looked at to know what it is, in bytes.
HEAD: Final = 65_536

_CONTINUATION: Final = bytes(range(0x80, 0xC0))
_NO_FOUR: Final = bytes(b for b in range(256) if b < 0xF0)


def charset(head: bytes) -> tuple[str, int]:
    """(codec, bytes of its byte order mark): "utf-8" (also for any other charset without zero bytes) or "utf-16-…"."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8", 3
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le", 2
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be", 2
    first, second = head[0:64:2], head[1:64:2]
    if len(second) >= 4 and all(first) and 2 * second.count(0) > len(second):
        return "utf-16-le", 0
    if len(second) >= 4 and all(second) and 2 * first.count(0) > len(first):
        return "utf-16-be", 0
    return "utf-8", 0


def utf8_head(head: bytes) -> bytes:
    """The first bytes of a stream as UTF-8 without byte order mark, for recognition."""
    codec, mark = charset(head)
    if codec == "utf-8":
        return head[mark:]
    return head[mark:].decode(codec, "ignore").encode("utf-8", "surrogatepass")


def text_framer(
    framing: str,
    head: bytes,
    *,
    offset: int = 0,
    number: int = 0,
    before: bytes = b"",
    multiline: str = "",
    max_bytes: int = MAX_RECORD,
) -> Framer:
    """The framer to feed a stream's bytes from `offset` on.

    `head` is how the stream begins, `before` the last bytes before `offset` (for offset > 0), `number` that of the last
    piece before it. `multiline` (RE2) joins lines. Raises ContentError for a framing that is none of lines, json, xml.
    """
    codec, mark = charset(head)
    if offset == 0 and mark:
        return _Marked(text_framer(framing, head, offset=mark, multiline=multiline, max_bytes=max_bytes), mark)
    at = offset if codec == "utf-8" else 0
    if before and codec != "utf-8":
        before = before[len(before) % 2 :].decode(codec, "ignore").encode("utf-8", "surrogatepass")
    framer: Framer
    if framing == "lines":
        framer = Joined(multiline, at, number, max_bytes) if multiline else Lines(at, number, max_bytes)
    elif framing == "json":
        framer = Json(at, number, max_bytes, before=before if offset > mark else b"")
    elif framing == "xml":
        framer = Xml(at, number, max_bytes)
    else:
        raise ContentError("framing", 0, f"{framing!r} is no framing of text; known are lines, json, xml")
    return framer if codec == "utf-8" else Utf16(framer, codec, offset)


class _Marked:
    """A framer behind a byte order mark, which it is fed but does not see."""

    def __init__(self, inner: Framer, mark: int) -> None:
        self._inner = inner
        self._mark = mark

    @property
    def number(self) -> int:
        return self._inner.number

    def feed(self, chunk: bytes) -> list[Piece]:
        if self._mark:
            passed = min(self._mark, len(chunk))
            self._mark -= passed
            chunk = chunk[passed:]
        return self._inner.feed(chunk)

    def finish(self) -> list[Piece]:
        return self._inner.finish()


class Utf16:
    """A framer of UTF-8, fed UTF-16: its pieces with their positions in the UTF-16 stream, `offset` the first."""

    def __init__(self, inner: Framer, codec: str, offset: int) -> None:
        self._inner = inner
        self._decode = codecs.getincrementaldecoder(codec)("surrogatepass").decode
        self._held = b""  # UTF-8 whose position is not yet translated
        self._at = 0  # of _held[0] in the UTF-8 stream
        self._offset = offset  # of _held[0] in the UTF-16 stream

    @property
    def number(self) -> int:
        return self._inner.number

    def feed(self, chunk: bytes) -> list[Piece]:
        utf8 = self._decode(chunk).encode("utf-8", "surrogatepass")
        self._held += utf8
        return [self._translated(p) for p in self._inner.feed(utf8)]

    def finish(self) -> list[Piece]:
        return [self._translated(p) for p in self._inner.finish()]

    def _translated(self, piece: Piece) -> Piece:
        return piece._replace(offset=self._pass(piece.offset), end=self._pass(piece.end))

    def _pass(self, at: int) -> int:
        passed, self._held = self._held[: at - self._at], self._held[at - self._at :]
        self._at = at
        units = len(passed.translate(None, _CONTINUATION)) + len(
            passed.translate(None, _NO_FOUR).translate(None, _CONTINUATION)
        )
        self._offset += 2 * units
        return self._offset
