"""A compressed stream (gzip, zstd, bzip2, xz; one or several frames) in, what it expands to out, in bounded memory."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import zstandard

CHUNK: Final = 262_144  # bytes of one read, and of one expansion
#: What a broken stream raises.
BROKEN: Final = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, OSError)
#: Compressed bytes given to zstd at once: its densest blocks hold 128 kB in 4 bytes, so 1 kB expands to 32 MB at most.
_ZSTD_STEP: Final = 1_024

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
_FRAMES: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}


def compression(magic: bytes) -> str:
    """Kind by the first bytes of a stream (262 are enough): gzip, zstd, bzip2, xz, zip, tar; "" = none of them."""
    if magic[257:262] == b"ustar":
        return "tar"
    return next((kind for start, kind in _MAGIC.items() if magic.startswith(start)), "")


def expanded(kind: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What the chunks of a gzip, zstd, bzip2 or xz stream expand to.

    Zeros between and after frames are padding. Raises one of BROKEN, EOFError if the last frame is cut, after all that
    could be expanded before.
    """
    frame, started = _FRAMES[kind](), False
    for chunk in chunks:
        while chunk:
            if not started:
                chunk = chunk.lstrip(b"\0")
                started = bool(chunk)
                continue
            if kind == "zstd":
                out, chunk = frame.decompress(chunk[:_ZSTD_STEP]), chunk[_ZSTD_STEP:]
            else:
                out = frame.decompress(chunk, CHUNK)
                chunk = frame.unconsumed_tail if kind == "gzip" else b""
            if out:
                yield out
            while kind in ("bzip2", "xz") and not frame.eof and not frame.needs_input:
                yield frame.decompress(b"", CHUNK)
            if frame.eof:
                chunk = frame.unused_data + chunk
                frame, started = _FRAMES[kind](), False
    if started:
        raise EOFError("it ends before its end marker")
