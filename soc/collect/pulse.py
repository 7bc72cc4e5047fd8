"""Which loops of the collectors turn, and how long the slowest of them has not: what a watchdog asks."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pulse:
    """Each loop says its name once a turn. Thread-safe: a turn is one assignment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned: dict[str, float] = {}

    def beat(self, loop: str) -> None:
        self._turned[loop] = self._clock()

    def idle_s(self) -> float:
        """Seconds since the loop that turned least recently did; 0 before the first has turned."""
        turned = list(self._turned.values())
        return self._clock() - min(turned) if turned else 0.0
