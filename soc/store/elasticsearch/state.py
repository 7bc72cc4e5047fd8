"""State of workers: bytes under a name → a document, compressed; in parts where it is large."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import zstandard

from soc.event import digest, rfc3339
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.indices import Indices, path

#: Of a part, compressed: a node with 512 MB of heap takes that (indexing_pressure: a tenth of it, counted fourfold).
_PART: Final = 4 << 20
_LEVEL: Final = 3


class State:
    """Raises TransportError. Reads see every acknowledged write."""

    def __init__(self, server: Server, indices: Indices, index: str, part: int = _PART) -> None:
        self._server, self._indices, self._index, self._part = server, indices, index, part

    def save(self, name: str, state: bytes) -> None:
        """1. write the parts, named by what they hold 2. write the document that lists them 3. delete older parts."""
        packed = zstandard.ZstdCompressor(level=_LEVEL).compress(state)
        self._indices.ensure(self._index)
        old = self._parts(self._got(name))
        if len(packed) <= self._part:
            self._put(name, {"bytes": base64.b64encode(packed).decode()})
            listed: list[str] = []
        else:
            listed = []
            for start in range(0, len(packed), self._part):
                some = packed[start : start + self._part]
                part = f"{name}#{start // self._part}#{digest(some)}"
                if part not in old:
                    self._put(part, {"bytes": base64.b64encode(some).decode()})
                listed.append(part)
            self._put(name, {"parts": listed})
        for part in set(old) - set(listed):
            self._server.call("DELETE", self._path(part), absent=True)

    def load(self, name: str) -> bytes | None:
        """What was saved last; None if nothing was."""
        while True:
            found = self._got(name)
            if found is None:
                return None
            parts = self._parts(found)
            pieces = list(self._pieces(found, parts))
            if None not in pieces:
                packed = b"".join(piece for piece in pieces if piece is not None)
                return zstandard.ZstdDecompressor().decompress(packed)
            # somebody saved meanwhile: read what is listed now

    def _pieces(self, found: dict[str, Any], parts: list[str]) -> Iterator[bytes | None]:
        if not parts:
            yield base64.b64decode(found["bytes"])
        for part in parts:
            held = self._got(part)
            yield None if held is None else base64.b64decode(held["bytes"])

    def _parts(self, found: dict[str, Any] | None) -> list[str]:
        return [] if found is None else list(found.get("parts", ()))

    def _got(self, name: str) -> dict[str, Any] | None:
        found = self._server.read("GET", self._path(name), absent=True)
        held: dict[str, Any] | None = found["_source"]["state"] if found and found.get("found") else None
        return held

    def _put(self, name: str, held: dict[str, Any]) -> None:
        body = {"@timestamp": rfc3339(datetime.now(UTC)), "state": held}
        self._server.call("PUT", self._path(name), body)

    def _path(self, name: str) -> str:
        return path(self._index, f"_doc/{quote(name, safe='')}")
