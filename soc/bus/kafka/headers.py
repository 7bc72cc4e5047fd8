"""A mend of kafka-python 3.0: a record whose header names are not UTF-8 is read all the same.

Kafka takes any bytes as a header's name; kafka-python 3.0.12 gives up on the record (record/default_records.py), again
at each try, so that one record of a foreign shipper stops its partition for ever.
"""

from __future__ import annotations

from typing import Any, Final

from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

_read: Final = DefaultRecordBatch._read_msg


def read_any_name() -> None:
    """From now on, in this process: bytes above 127 of a name that is not UTF-8 are read as question marks."""

    def read(batch: Any) -> Any:
        try:
            return _read(batch)
        except UnicodeDecodeError:
            batch._buffer = _mended(bytearray(batch._buffer), batch._pos)
            return _read(batch)

    DefaultRecordBatch._read_msg = read


def _mended(buffer: bytearray, pos: int) -> bytearray:
    """The buffer with ASCII for the header names of the record that begins at `pos`, if they are not UTF-8.

    The order of a record's parts: https://kafka.apache.org/documentation/#record
    """
    for _ in range(4):  # length, attributes, time, offset
        _, pos = decode_varint(buffer, pos)
    for _ in range(2):  # key, value
        size, pos = decode_varint(buffer, pos)
        pos += max(0, size)
    count, pos = decode_varint(buffer, pos)
    for _ in range(count):
        size, pos = decode_varint(buffer, pos)
        name = buffer[pos : pos + size]
        try:
            name.decode()
        except UnicodeDecodeError:
            buffer[pos : pos + size] = bytes(byte if byte < 128 else ord("?") for byte in name)
        pos += size
        size, pos = decode_varint(buffer, pos)
        pos += max(0, size)
    return buffer
