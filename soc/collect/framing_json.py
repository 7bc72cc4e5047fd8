"""A stream of JSON text in, one piece for each object: lines of objects, pretty-printed, concatenated, arrays of them.

Bounded memory, any damage survived. How a piece is found, from where the last one ended:

1. White space, commas, square brackets and record separators (RFC 7464) between objects are passed over.
2. *An object on a line*: a line that begins with `{` and ends with `}`, with no `}…{` inside, followed by a line that
   begins with `{` or by the end. "}", white space, "{" cannot stand inside a JSON document, nor a raw line feed inside
   a JSON string, so the boundary is certain without parsing; whether the line is good JSON is the parser's business.
3. Else the JSON grammar decides where the object ends.
4. Else it is damaged, one `bad_format` piece, which ends where the braces balance, or before the next line that begins
   with `{` no deeper than this object did, or (both missing) before the next `},{`.
5. What is not an object is damaged up to the end of its line.

If the first object stands on its line (2), pieces are numbered by line, else by ordinal.
"""

from __future__ import annotations

import json
import re
from typing import Final

from soc.collect.framing import HEAD_KEPT, MAX_RECORD, Piece, too_long

_BETWEEN: Final = re.compile(rb"[\s,\[\]\x1e]*")
_SPACE: Final = re.compile(rb"\s*")
_INNER: Final = re.compile(rb"\}\s*\{")
_NEXT: Final = re.compile(rb"\}[\s,]*\{")
_TOKEN: Final = re.compile(rb'["{}\[\]]|\n[ \t]*+\{?')
_STRING: Final = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
#: Errors of an object that is merely cut lie this near its end, in bytes (a \uXXXX escape, a literal).
_CUT: Final = 32
#: An incomplete object of so many bytes is tried again when more comes, a larger one when twice as much is there.
_SMALL: Final = 65_536

# Values are not kept: numbers need no conversion, and text is read as Latin-1, so that positions are those of bytes.
_decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class _Scan:
    """Where an object ends by its braces, or the next one begins; goes on across chunks."""

    def __init__(self, column: int) -> None:
        self.column = column  # of the object's first brace within its line
        self.depth = 0
        self.in_string = False

    def stop(self, data: bytes, at: int) -> tuple[bool, int]:
        """(found, position): of the end or the next beginning; else from where to go on with more data."""
        size = len(data)
        while at < size:
            if self.in_string:
                at = _STRING.match(data, at).end()  # type: ignore[union-attr]  # it matches the empty string
                if at == size or (data[at] == 0x5C and at + 1 == size):
                    return False, at
                self.in_string = False
                if data[at] != 0x0A:  # a closing quote, or a backslash before a line feed
                    at += 1
                continue
            token = _TOKEN.search(data, at)
            if token is None:
                return False, size
            byte = data[token.start()]
            at = token.end()
            if byte == 0x0A:
                if data[at - 1] == 0x7B:
                    if at - token.start() - 2 <= self.column:
                        return True, at - 1
                    self.depth += 1
                elif at == size:
                    return False, token.start()
            elif byte == 0x22:
                self.in_string = True
            elif byte in b"{[":
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth <= 0:
                    return True, at
        return False, at


class Json:
    """Framer of JSON objects. `before` are the bytes before `offset` (some are enough), none at the beginning."""

    def __init__(self, offset: int = 0, number: int = 0, max_bytes: int = MAX_RECORD, *, before: bytes = b"\n") -> None:
        self._data = b""
        self._text = ""  # of _data, made when first needed
        self._offset = offset  # of _data[0]
        self._max = max_bytes
        self._ordinal = number
        self._lines = number  # line feeds passed
        self._last = number  # what a restart after the last piece is given
        self._by_line: bool | None = None
        self._after_line = not before or before.endswith(b"\n")  # a line begins at _data[0]
        self._column = len(before) - before.rfind(b"\n") - 1 if before else 0  # of _data[0] within its line
        self._wanted = 0  # bytes of _data without which another try is vain
        self._skipped: _Scan | None = None  # inside an object that is too large
        self._skip_head = b""
        self._skip_start = 0
        self._skip_number = 0

    @property
    def number(self) -> int:
        return self._last

    def feed(self, chunk: bytes) -> list[Piece]:
        self._data += chunk
        if len(self._data) < self._wanted:
            return []
        return self._take(final=False)

    def finish(self) -> list[Piece]:
        return self._take(final=True)

    # ------------------------------------------------------------ one turn over what there is

    def _take(self, final: bool) -> list[Piece]:
        out: list[Piece] = []
        self._text = ""
        at = self._skip(0, final, out) if self._skipped else 0
        data = self._data
        while not self._skipped:
            start = _BETWEEN.match(data, at).end()  # type: ignore[union-attr]  # it matches the empty string
            self._lines += data.count(b"\n", at, start)
            if start == len(data):
                at = start
                break
            end = self._piece(start, final, out)
            if end < 0:
                at = start
                break
            at = end
        self._consume(at)
        held = len(self._data)
        self._wanted = 0 if self._skipped or held < _SMALL else min(2 * held, max(held, self._max) + 1)
        return out

    def _consume(self, size: int) -> None:
        if not size:
            return
        feed = self._data.rfind(b"\n", 0, size)
        self._column = size - feed - 1 if feed >= 0 else self._column + size
        self._after_line = feed == size - 1
        self._offset += size
        self._data = self._data[size:]

    def _piece(self, start: int, final: bool, out: list[Piece]) -> int:
        """Append what starts at `start` (not white space) and return where it ends; -1 = more data is needed."""
        data = self._data
        if data[start] != 0x7B:
            return self._garbage(start, final, out)
        begins_line = data[start - 1] == 0x0A if start else self._after_line
        if begins_line:
            end = self._line(start, final, out)
            if end:
                return end
        return self._object(start, final, out)

    def _line(self, start: int, final: bool, out: list[Piece]) -> int:
        """Rule 2. 0 = this is no object on a line; -1 = more data is needed to know."""
        data, size = self._data, len(self._data)
        feed = data.find(b"\n", start, start + self._max + 1)
        complete = feed >= 0
        if not complete:
            if size - start > self._max or _INNER.search(data, start):
                return 0
            if not final:
                return -1
            feed = size
        end = feed
        while data[end - 1] in b" \t\r":
            end -= 1
        if data[end - 1] != 0x7D or _INNER.search(data, start, end):
            return 0
        follows = _SPACE.match(data, feed).end()  # type: ignore[union-attr]  # it matches the empty string
        if follows < size:
            if data[follows] != 0x7B:
                return 0
        elif not final and self._grammar(start)[0] != end:
            return -1
        if self._by_line is None:
            self._by_line = True
        self._ordinal += 1
        self._lines += complete
        number = self._lines + (not complete) if self._by_line else self._ordinal
        after = feed + complete
        if not complete and self._by_line:
            self._lines += 1
        out.append(Piece(data[start:end], self._offset + start, self._offset + after, number))
        self._last = number
        return after

    def _object(self, start: int, final: bool, out: list[Piece]) -> int:
        """Rules 3 and 4."""
        data, size = self._data, len(self._data)
        end, at, why = self._grammar(start)
        whole = size - start <= self._max
        if end >= 0:
            if end - start <= self._max:
                return self._give(start, end, out)
        else:
            certain = final or at < size - _CUT
            if whole and not certain:
                return -1
            found, stop = self._scan_at(start).stop(data, start)
            if found and stop - start <= self._max:
                return self._give(start, stop, out, "bad_format", why)
            if whole:
                if not final:
                    return -1
                following = _NEXT.search(data, at)
                return self._give(start, following.end() - 1 if following else size, out, "bad_format", why)
            limit = start + self._max
            following = _NEXT.search(data, at, limit) if at < limit - _CUT else None
            if following:
                return self._give(start, following.end() - 1, out, "bad_format", why)
        self._skipped = self._scan_at(start)
        self._skip_head = data[start : start + HEAD_KEPT]
        self._skip_start = self._offset + start
        self._ordinal += 1
        self._skip_number = self._lines + 1 if self._by_line else self._ordinal
        return self._skip(start, final, out)

    def _skip(self, at: int, final: bool, out: list[Piece]) -> int:
        """Pass over an object that is too large, up to its end; where that is, or the end of what there is."""
        assert self._skipped
        found, stop = self._skipped.stop(self._data, at)
        if not found and final:
            stop = len(self._data)
        self._lines += self._data.count(b"\n", at, stop)
        if found or final:
            start, end = self._skip_start, self._offset + stop
            detail = too_long(end - start, self._max)
            out.append(Piece(self._skip_head[: end - start], start, end, self._skip_number, "too_large", detail))
            self._last = self._lines if self._by_line else self._ordinal
            self._skipped = None
        return stop

    def _garbage(self, start: int, final: bool, out: list[Piece]) -> int:
        """Rule 5."""
        feed = self._data.find(b"\n", start, start + self._max)
        if feed < 0:
            if len(self._data) - start >= self._max:
                feed = start + self._max
            elif final:
                feed = len(self._data)
            else:
                return -1
        return self._give(start, feed, out, "bad_format", "not a JSON object")

    # ------------------------------------------------------------ parts of it

    def _grammar(self, start: int) -> tuple[int, int, str]:
        """(end of the object, -1 if it has none; position of the error; why)."""
        if not self._text:
            self._text = self._data.decode("latin-1")
        try:
            return _decode(self._text, start)[1], 0, ""
        except json.JSONDecodeError as e:
            at = len(self._data) if e.msg.startswith("Unterminated string") else e.pos
            return -1, at, f"not JSON: {e.msg} at byte {e.pos - start}"
        except RecursionError:
            return -1, start, "not JSON: nested too deeply"

    def _scan_at(self, start: int) -> _Scan:
        feed = self._data.rfind(b"\n", 0, start)
        return _Scan(start - feed - 1 if feed >= 0 else self._column + start)

    def _give(self, start: int, end: int, out: list[Piece], code: str = "", detail: str = "") -> int:
        data = self._data[start:end]
        self._ordinal += 1
        if self._by_line is None and not code:
            self._by_line = False
        number = self._lines + 1 if self._by_line else self._ordinal
        self._lines += data.count(b"\n")
        if code:
            data = data.rstrip(b" \t\r\n,")[:HEAD_KEPT]
        out.append(Piece(data, self._offset + start, self._offset + end, number, code, detail))
        self._last = self._lines if self._by_line else self._ordinal
        return end
