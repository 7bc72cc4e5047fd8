"""The sample province: a folder in, three days of raw logs of five units with four attacks out.

Real administrative units, invented agencies, people and machines. Everything is decided by the seed and the last day:
the same arguments write the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from soc.app.sample import noise, stories
from soc.app.sample.clock import at
from soc.app.sample.logbook import FILES_OF, Logbook
from soc.app.sample.stories import Story

#: Last day when the caller names none: a Friday, so that the three days are working days.
LAST_DAY: Final = date(2026, 11, 20)


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One log file: path, the unit that its collector is registered for, number of lines."""

    path: Path
    unit: str
    lines: int


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """What was written. `first` and `last` bound the days in local time, [first, last)."""

    folder: Path
    first: datetime
    last: datetime
    files: tuple[SampleFile, ...]
    stories: tuple[Story, ...]

    @property
    def lines(self) -> int:
        return sum(file.lines for file in self.files)


def write_province(folder: Path, days: int = 3, end: date | None = None, seed: int = 20261122) -> SampleFacts:
    """Writes the raw log files below the folder and `stories.yml` into it (existing files are replaced).

    `end` is the last local day, LAST_DAY by default. One host's auth.log names no year (RFC 3164): to ingest it,
    the day should lie within the last months of the collector's clock. The stories need the last three days, `days`
    is at least 3. Raises ValueError below, OSError where the folder cannot be written.
    """
    if days < 3:
        raise ValueError(f"the stories need 3 days, not {days}")
    end = end or LAST_DAY
    book = Logbook()
    for back in reversed(range(days)):
        noise.day(book, str(seed), end - timedelta(days=back))
    told = stories.tell(book, str(seed), end)
    counts = book.write(folder)
    (folder / "stories.yml").write_text(stories.to_yaml(told), "utf-8")
    files = tuple(SampleFile(folder / name, FILES_OF[name], count) for name, count in counts.items())
    return SampleFacts(
        folder=folder,
        first=at(end - timedelta(days=days - 1), "00:00:00"),
        last=at(end + timedelta(days=1), "00:00:00"),
        files=files,
        stories=told,
    )
