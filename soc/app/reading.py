"""Files as they are → their records, framed as their source says: what `soc hunt` and `soc parse` read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from soc.collect.open import FramingOf, read_path
from soc.event import RawRecord, Rejected
from soc.normalize import Sources


def framing_of(sources: Sources, source: str) -> FramingOf:
    """Says how a file is framed: as its source demands, "" (the first bytes decide) where the source takes several."""

    def framing(name: str, head: bytes) -> str:
        found = sources.recognise(head, name) if source == "auto" else source
        if found not in sources.names:
            return ""
        framings = sources.get(found).framings
        return framings[0] if len(framings) == 1 else ""

    return framing


def records(paths: Iterable[Path], sources: Sources, source: str, received: datetime) -> Iterator[RawRecord | Rejected]:
    """Every record of the files, folders and archives, in order, or why it could not be read."""
    for path in paths:
        yield from read_path(path, source=source, framing_of=framing_of(sources, source), now=lambda: received)
