"""The head of a file or stream, or one record → the name of the source that knows it best.

Every source declares signs with a score; the source with the highest score wins, so that a specific sign beats a
generic one. Equal scores: the name that comes first, so that the answer does not depend on the order of loading.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from soc.normalize.model import Sign

UNKNOWN: Final = "unknown"
HEAD_BYTES: Final = 65_536
_LINES: Final = 20
_TEXT: Final = 8192
_LINE: Final = 2048


class Head:
    """What signs look at; each part is made when the first sign asks for it."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data[:HEAD_BYTES]
        self.name = name.lower()
        self.text = _text(self.data)
        self.lines = [line[:_LINE] for line in self.text.splitlines() if line.strip()][:_LINES]
        if len(self.lines) > 1 and not self.text.endswith("\n") and len(data) > _TEXT:
            self.lines.pop()  # the last one is cut
        self._object: Mapping[str, Any] | None = None

    @property
    def object(self) -> Mapping[str, Any]:
        """The first JSON object of the head (also the first member of an array); {} if there is none."""
        if self._object is None:
            self._object = _first_object(self.data)
        return self._object

    def member(self, path: str) -> Any:
        """Value of a dotted path, flat or nested; None if it is not there."""
        found: Any = self.object
        if path in found:
            return found[path]
        at = ""
        for part in path.split("."):
            at = f"{at}.{part}" if at else part
            if isinstance(found, Mapping) and at in found:
                found, at = found[at], ""
        return None if at else found


def _text(data: bytes) -> str:
    head = data[:_TEXT]
    for mark, charset in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if head.startswith(mark):
            return head[2:].decode(charset, "replace")
    return head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()


def _first_object(data: bytes) -> Mapping[str, Any]:
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"[":
        start = start[1:].lstrip()
    if start[:1] != b"{":
        return {}
    line = start.partition(b"\n")[0]
    for piece in (line, start):
        try:
            found = orjson.loads(piece)
        except orjson.JSONDecodeError:
            continue
        return found if isinstance(found, dict) else {}
    try:  # pretty-printed or concatenated: the decoder that stops after the first object
        found, _ = json.JSONDecoder().raw_decode(start.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def score(sign: Sign, head: Head) -> float:
    """0 when the sign is not there, else up to its score."""
    if sign.start:
        return sign.score if head.data.startswith(sign.start) or head.text.encode().startswith(sign.start) else 0
    if sign.regex is not None:
        return sign.score if sign.regex.search(head.text) else 0
    if sign.line is not None:
        if not head.lines:
            return 0
        share = sum(1 for line in head.lines if sign.line.search(line)) / len(head.lines)
        return sign.score * (0.5 + share / 2) if share >= 0.5 else 0
    if sign.keys:
        for key in sign.keys:
            if head.member(key) is None:
                return 0
        for key, allowed in sign.values.items():
            if str(head.member(key)) not in allowed:
                return 0
        return sign.score
    return sign.score if fnmatch.fnmatchcase(head.name, sign.name) else 0


def best(signs: Mapping[str, Sequence[Sign]], head: Head) -> str:
    """Name of the source whose strongest sign is strongest; UNKNOWN when no sign is there.

    A path only decides between sources that the content speaks for as well (`nginx/access.json` is no access.log).
    """
    found, top = UNKNOWN, 0.0
    for name in sorted(signs):
        strength = max((score(s, head) for s in signs[name] if not s.name), default=0.0)
        if strength or not head.data:
            strength = max(strength, *(score(s, head) for s in signs[name] if s.name), 0.0)
        if strength > top:
            found, top = name, strength
    return found


#: Program of a syslog line, whatever its header looks like: "… sshd[12]: ", "… CEF: ".
_PROGRAM: Final = re.compile(
    rb"(?:<\d{1,3}>)?(?:\d{1,2} \S+ \S+ (\S+) "
    rb"|[A-Z<\d*.][\w:.,+ -]{8,40}? (?:\S+ )?(%?[\w./@()-]{1,64})(?:\[[^\]]*\])?:)"
)
_KINDS: Final = {ord("{"): b"{", ord("<"): b"<", ord("["): b"["}


def shape(data: bytes) -> bytes:
    """What tells the records of one mixed stream apart: the program of a syslog line, else the kind of start."""
    if data[:1] in (b"<", b"") or data[:1].isalpha() or data[:1].isdigit():
        found = _PROGRAM.match(data[:256])
        if found is not None:
            return found[1] or found[2] or b""
    first = data[:1]
    return _KINDS.get(first[0], b"") if first else b""
