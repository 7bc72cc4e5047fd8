"""Paths in, their records out as they are, once: what `soc hunt` reads. Nothing is remembered, nothing is published.

Ids hold the file's name and beginning, so they are unique within one reading. Positions: `record` is the line in text
(blank lines count, but are no records) and the ordinal in JSON that is not one object on each line, in XML and in EVTX;
`offset` counts bytes of the file as it is, UTF-16 included, whose records are re-coded to UTF-8 (soc/collect/text.py).
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from soc.collect.evtx import read_evtx
from soc.collect.framing import MAX_RECORD, sniff
from soc.collect.receipt import Origin, Receipts
from soc.collect.text import FRAMINGS, HEAD, text_framer, utf8_head
from soc.collect.unpack import Content, Unreadable, contents
from soc.event import ContentError, RawRecord, RecordError, Rejected, digest

#: (name, first bytes as UTF-8) → "lines", "json", "xml", "evtx", or "" = not known
FramingOf = Callable[[str, bytes], str]

_SPILL: Final = 64 << 20  # an EVTX file within an archive is held in memory up to here, in bytes


def read_path(
    path: Path,
    framing: str = "auto",
    *,
    source: str = "auto",
    unit: str = "",
    framing_of: FramingOf | None = None,
    multiline: str = "",
    max_bytes: int = MAX_RECORD,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[RawRecord | Rejected]:
    """Every record of a file, folder or standard input ("-"), in order; a file's records share one time of receipt.

    `framing` "auto": `framing_of` is asked for each file, and where it does not know, the first bytes decide. Damage,
    too large records and unreadable files are Rejected of stage "collect"; reading goes on. Raises ContentError for a
    path that does not exist and a framing that is none.
    """
    if framing not in (*FRAMINGS, "auto"):
        raise ContentError("framing", 0, f"{framing!r} is no framing; known are auto, {', '.join(FRAMINGS)}")
    for content in contents(path):
        received = now()
        if isinstance(content, Unreadable):
            origin = Origin(source, unit, content.name, content.name, "")
            yield Receipts(origin, received, digest(content.name)).broken(0, content.code, content.detail)
            continue
        origin = Origin(source, unit, content.name, content.container, content.member)
        yield from _read(content, origin, received, framing, framing_of, multiline, max_bytes)


def framing_for(name: str, head: bytes, asked: str, framing_of: FramingOf | None) -> str:
    """The framing of a stream by what is asked for ("auto" = by its name and first bytes).

    An EVTX file is one whatever is asked for, and nothing else is.
    """
    clean = utf8_head(head)
    found = sniff(clean)
    if found == "evtx":
        return found
    if asked == "auto" and framing_of is not None:
        asked = framing_of(name, clean)
    return asked if asked in FRAMINGS and asked != "evtx" else found


def _read(
    content: Content,
    origin: Origin,
    received: datetime,
    framing: str,
    framing_of: FramingOf | None,
    multiline: str,
    max_bytes: int,
) -> Iterator[RawRecord | Rejected]:
    with closing(content.read()) as chunks:
        head, broken = b"", None
        try:
            while len(head) < HEAD and (chunk := next(chunks, b"")):
                head += chunk
        except RecordError as e:
            broken = e
        receipts = Receipts(origin, received, digest(content.name, head[:1024]))
        if not head:
            if broken:
                yield receipts.broken(0, broken.code, broken.detail)
            return
        framing = framing_for(content.name, head[:HEAD], framing, framing_of)
        if framing == "evtx":
            chunks.close()
            yield from _read_evtx(content, receipts)
            return
        framer = text_framer(framing, head[:HEAD], multiline=multiline, max_bytes=max_bytes)
        at = 0
        following: Iterator[bytes] = itertools.chain((head,), () if broken else chunks)
        try:
            for chunk in following:
                at += len(chunk)
                for piece in framer.feed(chunk):
                    yield receipts.text(piece)
        except RecordError as e:
            broken = e
        for piece in framer.finish():
            yield receipts.text(piece)
        if broken:
            yield receipts.broken(at, broken.code, broken.detail)


def _read_evtx(content: Content, receipts: Receipts) -> Iterator[RawRecord | Rejected]:
    damages = 0
    if content.path:
        for item in read_evtx(content.path):
            yield receipts.evtx(item, damages)
            damages = damages + 1 if item.code else 0
        return
    with tempfile.SpooledTemporaryFile(_SPILL) as whole:
        broken = None
        try:
            for chunk in content.read():
                whole.write(chunk)
        except RecordError as e:
            broken = e
        size = whole.tell()
        for item in read_evtx(whole):
            yield receipts.evtx(item, damages)
            damages = damages + 1 if item.code else 0
        if broken:
            yield receipts.broken(size, broken.code, broken.detail)
