"""JSON of documents ⇄ a table of it, compressed by a dictionary of its source, which is in the file, too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import zstandard

_TRAIN_FROM: Final = 256  # documents of a source in one batch, from which its dictionary is made
_TRAIN_AT_MOST: Final = 1_000
_DICTIONARY_BYTES: Final = 16_384
_LEVEL: Final = 1  # of zstd: 3 saves 8 % more and takes a fifth longer

SCHEMA: Final = """CREATE TABLE body (n INTEGER PRIMARY KEY, dictionary INTEGER NOT NULL, document BLOB NOT NULL);
CREATE TABLE dictionary (number INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, bytes BLOB NOT NULL)"""

Body = tuple[int, bytes]  # number of the dictionary (0: none), the document compressed by it


class Bodies:
    """The tables `body` and `dictionary` of one open file. Raises sqlite3.Error; transactions are the caller's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._compressors: dict[str, tuple[int, zstandard.ZstdCompressor]] = {}
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {}
        self._plain = zstandard.ZstdCompressor(level=_LEVEL)

    def forget_unwritten(self) -> None:
        """A transaction was rolled back: what was noted of it is void."""
        self._compressors.clear()
        self._decompressors.clear()

    def compressed(self, source: str, document: bytes) -> Body | None:
        """The body of a document; None if the dictionary of its source is not known yet. Does not ask the file."""
        known = self._compressors.get(source)
        return None if known is None else (known[0], known[1].compress(document))

    def add(self, documents: Sequence[tuple[int, str, bytes, Body | None]]) -> None:
        """Write (number, source, JSON, body); bodies that are None are made here."""
        self._connection.executemany("INSERT INTO body VALUES (?, ?, ?)", self._rows(documents))

    def _rows(self, documents: Sequence[tuple[int, str, bytes, Body | None]]) -> Iterator[tuple[int, int, bytes]]:
        samples: dict[str, list[bytes]] = {}
        for _, source, document, body in documents:
            if body is None:
                samples.setdefault(source, []).append(document)
        compressors = {source: self._compressor(source, some) for source, some in samples.items()}
        for n, source, document, body in documents:
            if body is None:
                number, compressor = compressors[source]
                yield n, number, compressor.compress(document)
            else:
                yield n, *body
        # number 0: too few to train on; perhaps the next batch has more
        self._compressors |= {source: found for source, found in compressors.items() if found[0]}

    def _compressor(self, source: str, samples: Sequence[bytes]) -> tuple[int, zstandard.ZstdCompressor]:
        select = "SELECT number, bytes FROM dictionary WHERE source = ?"
        row = self._connection.execute(select, (source,)).fetchone()
        if row is None:
            if len(samples) < _TRAIN_FROM:
                return 0, self._plain
            trained = zstandard.train_dictionary(_DICTIONARY_BYTES, list(samples[:_TRAIN_AT_MOST])).as_bytes()
            self._connection.execute("INSERT INTO dictionary (source, bytes) VALUES (?, ?)", (source, trained))
            row = self._connection.execute(select, (source,)).fetchone()
        number, trained = row
        return number, zstandard.ZstdCompressor(level=_LEVEL, dict_data=zstandard.ZstdCompressionDict(trained))

    def json(self, dictionary: int, body: bytes) -> bytes:
        """The document of a body."""
        decompressor = self._decompressors.get(dictionary)
        if decompressor is None:
            row = self._connection.execute("SELECT bytes FROM dictionary WHERE number = ?", (dictionary,)).fetchone()
            trained = None if row is None else zstandard.ZstdCompressionDict(row[0])
            decompressor = self._decompressors[dictionary] = zstandard.ZstdDecompressor(dict_data=trained)
        return decompressor.decompress(body)
