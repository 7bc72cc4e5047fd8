"""The rhythm of days and nights in the sample province: a day and a mean count → moments, in local time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from soc.app.sample.cast import LOCAL

#: Relative activity by local hour, 00 to 23. Office: half-days; public: the evening, too; machine: even.
OFFICE: Final = (1, 1, 1, 1, 1, 2, 6, 40, 95, 100, 90, 60, 15, 45, 95, 100, 85, 40, 12, 8, 6, 4, 2, 1)
PUBLIC: Final = (8, 5, 4, 3, 4, 8, 18, 45, 90, 100, 95, 70, 45, 60, 95, 100, 90, 60, 45, 55, 65, 50, 30, 15)
MACHINE: Final = (10,) * 24

#: Saturday and Sunday against a working day.
_WEEKEND: Final = 0.4


def moments(rng: random.Random, day: date, mean: int, rhythm: Sequence[int]) -> Iterator[datetime]:
    """About `mean` moments of the day in order (fewer at week-ends, but for machines), with microseconds."""
    weekend = day.weekday() >= 5 and rhythm is not MACHINE
    count = round(mean * rng.uniform(0.95, 1.05) * (_WEEKEND if weekend else 1))
    hours = rng.choices(range(24), rhythm, k=count)
    midnight = datetime.combine(day, time.min, LOCAL)
    for offset in sorted(hour * 3_600_000_000 + rng.randrange(3_600_000_000) for hour in hours):
        yield midnight + timedelta(microseconds=offset)


def at(day: date, clock: str) -> datetime:
    """The local moment of HH:MM:SS on the day."""
    return datetime.combine(day, time.fromisoformat(clock), LOCAL)
