"""An EVTX file in, its records as JSON out; broken chunks and records are survived and told of, one by one.

Format: libyal/libevtx "Windows XML Event Log (EVTX)". The file header (4,096 bytes) says nothing that reading needs, so
a broken one is replaced; chunks (64 kB) and records are found and decoded by the `evtx` library, which goes on with the
next record or chunk after a broken one.
"""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from evtx import PyEvtxParser

_HEADER: Final = 4_096  # bytes
_CHUNK: Final = 65_536  # bytes
_RECORDS: Final = _HEADER + 512  # where the first record of the first chunk lies, in bytes
#: Magic, first and last chunk, next record, size of the header, version 3.1, size of its block, chunks.
_PLAIN_HEADER: Final = struct.Struct("<8sQQQIHHHH")
#: System is the first child of Event, and a quotation mark within a value is escaped: the first hit is the element.
_RECORD_ID: Final = re.compile(rb'"EventRecordID":"?(\d+)')
#: Errors in a row after which the library is taken to stand still: more than the records that fit into a chunk
#: (24 bytes of header each).
_MAX_ERRORS: Final = _CHUNK // 24


class EvtxRecord(NamedTuple):
    """One record as JSON (objects with "#attributes", as the library writes them), or (with a `code`) one damage.

    `ordinal` is 1-based and counts good records; that of a damage is the number of good records before it.
    `event_record_id` is System/EventRecordID, which in exported files is not the id in the record's header.
    """

    data: bytes
    ordinal: int
    event_record_id: int | None
    code: str = ""
    detail: str = ""


def read_evtx(file: Path | IO[bytes]) -> Iterator[EvtxRecord]:
    """The records in the order of the file, damage where it stands. Raises OSError if the file cannot be read."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            yield from read_evtx(stream)
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(_HEADER)
    cut = (size - _HEADER) % _CHUNK if size > _HEADER else 0
    whole = _Whole(file, size + (_CHUNK - cut if cut else 0), header, size)
    try:
        records = PyEvtxParser(whole, number_of_threads=1).records_json()
    except (RuntimeError, OSError) as e:
        yield EvtxRecord(b"", 0, None, "damaged", f"the file header is broken: {e}")
        if size <= _HEADER:
            return
        whole.header = _plain_header(size)
        whole.seek(0)
        records = PyEvtxParser(whole, number_of_threads=1).records_json()
    ordinal = errors = 0
    damage: EvtxRecord | None = None
    while errors < _MAX_ERRORS:
        try:
            record = next(records, None)
        except RuntimeError as e:
            errors += 1
            if damage:
                yield damage
            damage = EvtxRecord(b"", ordinal, None, "damaged", str(e))
            continue
        if record is None:
            break
        if damage:
            yield damage
            damage = None
        errors = 0
        ordinal += 1
        data = record["data"].encode()
        found = _RECORD_ID.search(data)
        yield EvtxRecord(data, ordinal, int(found[1]) if found else None)
    if cut:
        why = f"; {damage.detail}" if damage else ""
        damage = EvtxRecord(b"", ordinal, None, "damaged", f"the last chunk is cut: {cut} of {_CHUNK} bytes{why}")
    if damage:
        yield damage


def evtx_identity(head: bytes) -> bytes:
    """What tells one EVTX file from another and stays when it grows: its first record, else its beginning.

    `head` are the first 64 kB or more.
    """
    if head[_RECORDS : _RECORDS + 4] == b"**\0\0":
        length = int.from_bytes(head[_RECORDS + 4 : _RECORDS + 8], "little")
        return head[_RECORDS : _RECORDS + min(length, _CHUNK)]
    return head[:_RECORDS]


def _plain_header(size: int) -> bytes:
    chunks = min((size - _HEADER + _CHUNK - 1) // _CHUNK, 0xFFFF)
    return _PLAIN_HEADER.pack(b"ElfFile\0", 0, 0, 0, 128, 1, 3, _HEADER, chunks).ljust(_HEADER, b"\0")


class _Whole(io.RawIOBase):
    """The file with its header as given and, if its last chunk is cut, filled up to the chunk's size with zeros."""

    def __init__(self, file: IO[bytes], size: int, header: bytes, present: int) -> None:
        self.header = header
        self._file = file
        self._size = size
        self._present = present
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        if self._at < len(self.header):
            chunk = self.header[self._at : self._at + wanted]
        elif self._at < self._present:
            self._file.seek(self._at)
            chunk = self._file.read(wanted)
        else:
            chunk = bytes(wanted)
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)
