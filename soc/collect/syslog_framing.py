"""Bytes of a syslog connection in, its messages out: octet counting and newline framing, told apart for each message.

RFC 6587: a message that begins with MSG-LEN SP and "<" is counted in octets (3.4.1); everything else ends at a line
feed or NUL (3.4.2; NUL is what some senders use). RFC 5425 (TLS) is octet counting, but senders with lines exist.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: Longest message that goes on, in bytes. RFC 5425 asks for 2,048 and advises 8,192.
MAX_MESSAGE: Final = 262_144
_HEAD_KEPT: Final = 16_384

_COUNTED: Final = re.compile(rb"([1-9][0-9]{0,8}) <")
_END: Final = re.compile(rb"[\n\0]")


class Message(NamedTuple):
    """One message as sent, without its framing; with a `code` what is set aside instead."""

    data: bytes
    code: str = ""
    detail: str = ""


class SyslogFramer:
    """Turns the bytes of one connection into messages, whatever the chunks; bounded memory."""

    def __init__(self, max_bytes: int = MAX_MESSAGE) -> None:
        self._max = max_bytes
        self._data = b""
        self._head: bytes | None = None  # of a message that is too long and being passed over
        self._left = 0  # octets of it still to come; -1 = up to its terminator
        self._passed = 0

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are complete now."""
        out: list[Message] = []
        self._data += chunk
        at = 0
        while (end := self._step(at, out)) >= 0:
            at = end
        self._data = self._data[at:]
        return out

    def finish(self) -> list[Message]:
        """What is left when the connection ends: a line without its end counts, a cut counted message is damaged."""
        data, self._data = self._data, b""
        if self._head is not None:
            return [self._too_long()]
        counted = _COUNTED.match(data)
        if counted:
            rest = data[counted.end() - 1 :]
            detail = f"the connection ended after {len(rest)} of {counted[1].decode()} octets"
            return [Message(rest[:_HEAD_KEPT], "damaged", detail)]
        line = data.removesuffix(b"\r")
        return [Message(line)] if line.strip() else []

    def _step(self, at: int, out: list[Message]) -> int:
        data = self._data
        if self._head is not None:
            return self._pass(at, out)
        if at == len(data):
            return -1
        counted = _COUNTED.match(data, at)
        if counted:
            length, start = int(counted[1]), counted.end() - 1
            if length > self._max:
                self._head, self._left, self._passed = b"", length, 0
                return start
            if start + length > len(data):
                return -1
            out.append(Message(data[start : start + length]))
            return start + length
        end = _END.search(data, at)
        if end is None or end.start() - at > self._max:
            if len(data) - at <= self._max:
                return -1
            self._head, self._left, self._passed = b"", -1, 0
            return at
        line = data[at : end.start()].removesuffix(b"\r")
        if line.strip():
            out.append(Message(line))
        return end.end()

    def _pass(self, at: int, out: list[Message]) -> int:
        data = self._data
        if at == len(data):
            return -1
        if self._left >= 0:
            stop = min(len(data), at + self._left)
            self._left -= stop - at
            after, ended = stop, self._left == 0
        else:
            end = _END.search(data, at)
            stop, after = (end.start(), end.end()) if end else (len(data), len(data))
            ended = end is not None
        assert self._head is not None
        self._passed += stop - at
        self._head += data[at : min(stop, at + _HEAD_KEPT - len(self._head))]
        if ended:
            out.append(self._too_long())
        return after

    def _too_long(self) -> Message:
        head, self._head = self._head or b"", None
        return Message(head, "too_large", f"a message of {self._passed} bytes; the limit is {self._max}")
