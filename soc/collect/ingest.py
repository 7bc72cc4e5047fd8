"""Files and folders in, once and to their end, their records onto the bus: what `soc ingest` sends.

The same machinery, ids and memory as the tailing collector: the same content again, under whatever name and on
whatever day, sends nothing; content that has grown sends what is new.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from soc.bus.base import Bus
from soc.collect.open import FramingOf, framing_for
from soc.collect.reading import COPY, Followed, Reading
from soc.collect.receipt import Origin
from soc.collect.state import FileState
from soc.collect.stream import Bytes, EvtxStream, Expanding, Lost, OpenFile, Stream, TextStream, first_bytes
from soc.collect.text import HEAD
from soc.collect.unpack import Content, Unreadable, contents, walk
from soc.event import RawRecord, Rejected, TransportError

log = logging.getLogger(__name__)

_RETRY_S: Final = 1.0


@dataclass(slots=True)
class Ingested:
    """What was sent: `received` records, `rejected` among those; `known` = records that had been sent before, `files`
    read, `copies` (those that are the beginning of one already known), `unreadable`. `ids` of all records in order,
    unless the caller took them as they were sent."""

    ids: list[str] = field(default_factory=list)
    received: int = 0
    rejected: int = 0
    known: int = 0
    files: int = 0
    copies: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def ingest(
    paths: Sequence[Path],
    *,
    bus: Bus,
    folder: Path,
    source: str = "auto",
    unit: str = "",
    host: str = "",
    framing: str = "auto",
    framing_of: FramingOf | None = None,
    multiline: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
    sent: Callable[[list[str]], None] | None = None,
    stop: threading.Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Ingested:
    """Send every record that was not sent before; durable on the bus and counted when it returns.

    `folder` is the collectors' (shared with running ones). `progress` gets bytes done and in total, as on disk;
    `sent` the ids of each turn once they are durable, which are then not kept in memory.
    Set `stop` to end after the turn at hand; the next call goes on there. Raises ContentError for a path that does not
    exist; TransportError if bus or state do not answer, but with a `stop` it waits for them until that is set.
    """
    total = sum(_size(file) for path in paths if str(path) != "-" for file in walk(path))
    result, done = Ingested(), 0
    state = FileState(folder, now)
    with closing(state):
        reading = Reading(state, bus, now)
        for path in paths:
            for content in contents(path):
                if stop is not None and stop.is_set():
                    return result
                try:
                    followed = follow(content, source, unit, framing, framing_of, multiline, host)
                except OSError as e:
                    log.warning("%s cannot be read: %s", content.name, e.strerror or e)
                    result.unreadable.append(content.name)
                    continue
                with closing(followed.stream):
                    take = result.ids.extend if sent is None else sent
                    _to_the_end(followed, reading, result, take, stop, partial(_tell, progress, done, total))
                result.files += 1
                if isinstance(content, Content) and not content.member:
                    done += content.size
                progress(min(done, total), total)
    progress(total, total)
    return result


def follow(
    content: Content | Unreadable,
    source: str,
    unit: str,
    framing: str,
    framing_of: FramingOf | None,
    multiline: str,
    host: str = "",
) -> Followed:
    """The stream of a content, not yet looked up; `framing` "auto" asks `framing_of`, then the first bytes.

    An archive that cannot be opened is a stream of one damage. Raises OSError for a file that cannot be opened.
    """
    if isinstance(content, Unreadable):
        if not content.head:
            raise OSError(content.detail)
        lost = Lost(content.name, content.code, content.detail, content.head)
        return Followed(lost, Origin(source, unit, content.name, content.name, "", host))
    origin = Origin(source, unit, content.name, content.container, content.member, host)
    return Followed(_open_stream(content, framing, framing_of, multiline), origin)


def _open_stream(content: Content, framing: str, framing_of: FramingOf | None, multiline: str) -> Stream:
    source: Bytes = OpenFile(content.path) if content.path else Expanding(content.read)
    head, _ = first_bytes(source, HEAD)
    framing = framing_for(content.name, head, framing, framing_of)
    if framing == "evtx":
        source.close()
        return EvtxStream(content.path, content.read)
    return TextStream(source, framing, multiline if framing == "lines" else "")


def _tell(progress: Callable[[int, int], None], before: int, total: int, at: int) -> None:
    progress(min(before + at, total), total)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _to_the_end(
    followed: Followed,
    reading: Reading,
    result: Ingested,
    take: Callable[[list[str]], None],
    stop: threading.Event | None,
    tell: Callable[[int], None],
) -> None:
    first = True
    while first or followed.more:
        try:
            items = reading.turn([followed], lambda f: True)
        except TransportError as e:
            if stop is None:
                raise
            log.warning("waiting: %s", e)
            if stop.wait(_RETRY_S):
                return
            continue
        if first:
            result.known += followed.known
            if followed.verdict == COPY:
                result.copies.append(followed.origin.name)
        first = False
        take([i.id if isinstance(i, RawRecord) else i.record.id for i in items])
        result.received += len(items)
        result.rejected += sum(isinstance(i, Rejected) for i in items)
        if followed.stream.framing != "evtx":
            tell(followed.position.at)
        if stop is not None and stop.is_set():
            return
