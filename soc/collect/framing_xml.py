"""A stream of Windows event XML in, one piece for each `<Event …>…</Event>`, with or without a wrapper around them.

Declarations, comments and wrapper tags between events are passed over. An event that is cut (the next one begins
before it ends, or nothing ends it) and text between events are damaged: one `bad_format` piece each.
The element's name and the absence of nested events: the schema of Windows events, `Event` in namespace
http://schemas.microsoft.com/win/2004/08/events/event.
"""

from __future__ import annotations

import re
from typing import Final

from soc.collect.framing import HEAD_KEPT, MAX_RECORD, Piece, too_long

_START: Final = re.compile(rb"<Event(?=[\s>])")
_EDGE: Final = re.compile(rb"<Event(?=[\s>])|</Event\s*>")
_END: Final = re.compile(rb"</Event\s*>")
_MARKUP: Final = re.compile(rb"<!--.*?-->|<(?!/Event\s*>)[^<>]*>", re.DOTALL)
#: Longest tag that may be cut by the end of what there is, in bytes.
_TAG: Final = 64


class Xml:
    """Framer of Event elements, numbered by ordinal."""

    def __init__(self, offset: int = 0, number: int = 0, max_bytes: int = MAX_RECORD) -> None:
        self._data = b""
        self._offset = offset  # of _data[0]
        self._number = number
        self._max = max_bytes
        self._head: bytes | None = None  # of an event that is too large and not yet passed
        self._head_offset = 0

    @property
    def number(self) -> int:
        return self._number

    def feed(self, chunk: bytes) -> list[Piece]:
        self._data += chunk
        return self._take(final=False)

    def finish(self) -> list[Piece]:
        return self._take(final=True)

    def _take(self, final: bool) -> list[Piece]:
        out: list[Piece] = []
        at = 0
        while (end := self._step(at, final, out)) >= 0:
            at = end
        self._data = self._data[at:]
        self._offset += at
        return out

    def _step(self, at: int, final: bool, out: list[Piece]) -> int:
        """Pass what starts at `at` and return where it ends; -1 = nothing more now."""
        if self._head is not None:
            return self._large(at, final, out)
        first = _START.match(self._data, at)
        if first is None:
            return self._between(at, final, out)
        data, size = self._data, len(self._data)
        edge = _EDGE.search(data, first.end())
        if edge is None or edge.end() - at > self._max:
            if size - at > self._max:
                self._head, self._head_offset = data[at : at + HEAD_KEPT], self._offset + at
                return first.end()
            if not final:
                return -1
            return self._give(at, size, out, "bad_format", "an Event element without its end")
        if edge.group().startswith(b"</"):
            return self._give(at, edge.end(), out)
        return self._give(at, edge.start(), out, "bad_format", "an Event element is cut by the next one")

    def _between(self, at: int, final: bool, out: list[Piece]) -> int:
        data, size = self._data, len(self._data)
        following = _START.search(data, at)
        end = following.start() if following else size
        if end - at > self._max:
            end = at + self._max
        elif following is None and (not final or at == size):
            return -1
        gap = data[at:end]
        if _END.search(gap) or _MARKUP.sub(b"", gap).strip(b" \t\r\n\0"):
            self._give(at, end, out, "bad_format", "text outside an Event element")
        return end

    def _large(self, at: int, final: bool, out: list[Piece]) -> int:
        """Pass over an event that is too large."""
        edge = _EDGE.search(self._data, at)
        if edge is None and not final:
            kept = len(self._data) - _TAG
            return kept if kept > at else -1
        end = len(self._data) if edge is None else edge.end() if edge.group().startswith(b"</") else edge.start()
        start, length = self._head_offset, self._offset + end - self._head_offset
        self._number += 1
        assert self._head is not None
        detail = too_long(length, self._max)
        out.append(Piece(self._head[:length], start, start + length, self._number, "too_large", detail))
        self._head = None
        return end

    def _give(self, start: int, end: int, out: list[Piece], code: str = "", detail: str = "") -> int:
        data = self._data[start:end]
        if code:
            data = data.strip()[:HEAD_KEPT]
        self._number += 1
        out.append(Piece(data, self._offset + start, self._offset + end, self._number, code, detail))
        return end
