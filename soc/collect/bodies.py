"""The body of a request in, the records that it holds out: NDJSON, JSON arrays and objects, plain lines, `_bulk`.

Bytes of each record are those of the body. `_bulk` is Elasticsearch's bulk API: pairs of an action line and a source
line; `create` and `index` are taken, `update` and `delete` refused, item by item.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import zstandard

from soc.collect.framing import MAX_RECORD, Piece, too_long
from soc.collect.text import text_framer


class BodyError(Exception):
    """The request cannot be taken as a whole: HTTP `status` and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


async def read_body(chunks: AsyncIterator[bytes], encoding: str, max_bytes: int) -> bytes:
    """The body, expanded; bounded whatever it claims to be. Raises BodyError 400, 413, 415."""
    expand: Any
    if encoding in ("", "identity"):
        expand = None
    elif encoding in ("gzip", "x-gzip", "deflate"):
        expand = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
    elif encoding == "zstd":
        expand = zstandard.ZstdDecompressor().decompressobj()
    else:
        raise BodyError(415, f"Content-Encoding {encoding!r} is not known; use gzip, deflate, zstd or none")
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in chunks:
            for part in _expanded(expand, chunk, encoding):
                size += len(part)
                if size > max_bytes:
                    raise BodyError(413, f"the body is larger than {max_bytes} bytes; send smaller batches")
                parts.append(part)
    except (zlib.error, zstandard.ZstdError) as e:
        raise BodyError(400, f"the body is not {encoding}: {e}") from e
    if expand is not None and size and not expand.eof:
        raise BodyError(400, f"the {encoding} body ends before its end")
    return b"".join(parts)


#: Steps of expansion: a body is refused before more than one step beyond its bound is in memory.
_STEP: Final = 1 << 20
_ZSTD_STEP: Final = 1_024  # 1 kB expands to 32 MB at most


def _expanded(expand: Any, chunk: bytes, encoding: str) -> list[bytes] | Any:
    if expand is None:
        return [chunk]
    if encoding == "zstd":
        return (expand.decompress(chunk[at : at + _ZSTD_STEP]) for at in range(0, len(chunk), _ZSTD_STEP))
    return _inflated(expand, chunk)


def _inflated(expand: Any, chunk: bytes) -> Any:
    while chunk:
        yield expand.decompress(chunk, _STEP)
        chunk = expand.unconsumed_tail


def pieces_of(body: bytes, content_type: str) -> list[Piece]:
    """Records of a body of JSON (one on each line, concatenated, in arrays), or with text/plain of lines."""
    framer = text_framer("lines" if content_type.startswith("text/") else "json", body[:1024])
    return framer.feed(body) + framer.finish()


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One action of a bulk request: its name, index and `_id` ("" = none), the source's bytes, or why it is refused.

    `status` is HTTP's for the item, `error` the type and reason that Elasticsearch would give.
    """

    action: str
    index: str
    id: str
    data: bytes = b""
    status: int = 201
    error: tuple[str, str] = ("", "")


def bulk_items(body: bytes, index: str) -> list[BulkItem]:
    """The items of a bulk request to `index` ("" = each names its own). Raises BodyError 400 for a malformed one."""
    lines = body.split(b"\n")
    items: list[BulkItem] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if not line:
            continue
        action, meta = _action(line, at)
        name, identity = str(meta.get("_index") or index), str(meta.get("_id") or "")
        if action == "delete":
            items.append(BulkItem(action, name, identity, status=400, error=_NOT_TAKEN))
            continue
        if at >= len(lines):
            raise BodyError(400, f"line {at}: the action has no source line; the body must end with a line feed")
        data = lines[at].removesuffix(b"\r")
        at += 1
        if action == "update":
            items.append(BulkItem(action, name, identity, status=400, error=_NOT_TAKEN))
        elif not data.strip():
            items.append(BulkItem(action, name, identity, status=400, error=("parse_exception", "the source is empty")))
        elif len(data) > MAX_RECORD:
            error = ("illegal_argument_exception", too_long(len(data), MAX_RECORD))
            items.append(BulkItem(action, name, identity, data, 413, error))
        else:
            items.append(BulkItem(action, name, identity, data))
    return items


_NOT_TAKEN: Final = ("illegal_argument_exception", "only create and index are taken: records are never changed")


def _action(line: bytes, number: int) -> tuple[str, dict[str, Any]]:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        raise BodyError(400, f"Malformed action/metadata line [{number}]: {e}") from e
    if isinstance(parsed, dict) and len(parsed) == 1:
        ((action, meta),) = parsed.items()
        if action in ("create", "index", "update", "delete") and isinstance(meta, dict):
            return action, meta
    raise BodyError(400, f"Malformed action/metadata line [{number}], expected create, index, update or delete")
