"""Folders of source definitions → `Sources`: RawRecord in, Events out, by declared or recognised source."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from soc.event import FOREIGN, ContentError, ContentErrors, Event, LogSource, RawRecord, RecordError
from soc.normalize.compile import Compiled, compiled, logsources
from soc.normalize.language import read_definition
from soc.normalize.model import Definition
from soc.normalize.recognise import UNKNOWN, Head, best, shape
from soc.normalize.unknown import unknown

AUTO: Final = "auto"
#: Streams whose source is remembered, the least recently used goes first.
_MEMORY: Final = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """One loaded source. `events` is its compiled function: raises RecordError; [] = filtered by policy.

    `framing` is what one record is ("lines", "json", "xml", "evtx"), `framings` all that the source may come in.
    `logsources`: every Sigma logsource that an event of it can be. `samples`: its sample files.
    """

    name: str
    title: str
    format: str
    framing: str
    framings: tuple[str, ...]
    logsources: tuple[LogSource, ...]
    samples: tuple[Path, ...]
    folder: Path
    definition: Definition
    events: Compiled

    @property
    def time_formats(self) -> tuple[str, ...]:
        """Formats of its stamps in the order in which they are tried (words of `times.FORMATS`, or strptime's)."""
        return self.definition.time.formats

    @property
    def time_zone(self) -> str:
        """Zone of stamps that name none; "" when all do."""
        return self.definition.time_zone


class Sources:
    """All loaded sources. Remembers per stream what "auto" was found to be; otherwise without state."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = {s.name: s for s in sorted(sources, key=lambda s: s.name)}
        self._signs = {s.name: s.definition.signs for s in sources}
        self._found: OrderedDict[tuple[str, str, bytes], str] = OrderedDict()

    @property
    def names(self) -> list[str]:
        return list(self._sources)

    def get(self, name: str) -> Source:
        """Raises KeyError for a name that is not loaded."""
        return self._sources[name]

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources.values())

    def __len__(self) -> int:
        return len(self._sources)

    def recognise(self, head: bytes, name: str = "") -> str:
        """Source of a file or stream from its first bytes (up to 64 kB) and its name; "unknown" if no sign is there."""
        return best(self._signs, Head(head, name))

    def events(self, record: RawRecord) -> list[Event]:
        """Events of the record; [] = filtered by policy. Raises RecordError.

        A record of source "auto" or FOREIGN that no source knows, or of a source that is not loaded, becomes an event
        of source "unknown": kept, never dropped.
        """
        if record.source not in (AUTO, FOREIGN):
            source = self._sources.get(record.source)
            return [unknown(record)] if source is None else source.events(record)
        key = (record.sender, record.stream, shape(record.data))
        name = self._found.get(key)
        if name is None:
            name = self.recognise(record.data, record.stream)
            if name == UNKNOWN:
                return [unknown(record)]
            self._remember(key, name)
        try:
            return self._sources[name].events(record)
        except RecordError:
            # a mixed stream: perhaps this record is another source's
            other = self.recognise(record.data, record.stream)
            if other in (name, UNKNOWN):
                raise
            self._remember(key, other)
            return self._sources[other].events(record)

    def _remember(self, key: tuple[str, str, bytes], name: str) -> None:
        self._found[key] = name
        self._found.move_to_end(key)
        if len(self._found) > _MEMORY:
            self._found.popitem(last=False)


def _folders(paths: Sequence[Path]) -> tuple[list[Path], list[ContentError]]:
    folders: list[Path] = []
    errors: list[ContentError] = []
    for path in paths:
        if not path.is_dir():
            errors.append(ContentError(path, 0, "is no folder of sources"))
        elif (path / "source.yml").is_file():
            folders.append(path)
        else:
            folders += sorted(p.parent for p in path.glob("*/source.yml"))
    return folders, errors


def load_sources(paths: Sequence[Path]) -> Sources:
    """Sources of every folder in `paths` (each one source, or a folder of them). Raises ContentErrors with all."""
    folders, errors = _folders(paths)
    sources: dict[str, Source] = {}
    for folder in folders:
        try:
            definition = read_definition(folder)
        except ContentErrors as bad:
            errors += bad.errors
            continue
        if definition.name in sources or definition.name in (AUTO, FOREIGN, UNKNOWN):
            errors.append(ContentError(folder / "source.yml", 1, f"the name {definition.name!r} is taken"))
            continue
        sources[definition.name] = Source(
            name=definition.name,
            title=definition.title,
            format=definition.format,
            framing=definition.framings[0],
            framings=definition.framings,
            logsources=logsources(definition),
            samples=tuple(sorted(p for p in (folder / "samples").glob("*") if p.is_file())),
            folder=folder,
            definition=definition,
            events=compiled(definition),
        )
    if errors:
        raise ContentErrors(errors)
    return Sources(list(sources.values()))
