"""The whole time of one group: an event time in, the window that it belongs to out.

Mostly one window. A second begins where an event lies too far from all others to share anything with them: when a
quiet group speaks again, or when last month's file is read beside today's stream. So neither makes the other late.
"""

from __future__ import annotations

from typing import Final

from soc.detect.grouping import Group, Plan
from soc.detect.measure import NEVER
from soc.detect.window import Change, Merge, Window

#: Windows of one group; beyond these the one least recently added to is let go (never the newest).
MAX_WINDOWS: Final = 4


class Timeline:
    """Windows of one group, least recently used first. Their stretches of time never overlap."""

    __slots__ = ("_changes", "_group", "_merges", "_plan", "newest", "windows")

    def __init__(self, plan: Plan, group: Group, changes: list[Change], merges: list[Merge]) -> None:
        self._plan, self._group, self._changes, self._merges = plan, group, changes, merges
        self.windows: list[Window] = []
        self.newest = NEVER

    def late(self, time: int) -> bool:
        """Whether the time lies further back than the lateness allows."""
        return time < self.newest - self._plan.lateness

    def window(self, time: int) -> tuple[Window, Window | None]:
        """The window for an event of that time, and the one that had to be let go to make it."""
        reach = self._plan.reach
        windows = self.windows
        if time > self.newest:
            self.newest = time
        if len(windows) == 1 and -reach <= time - windows[0].newest <= reach:
            return windows[0], None
        found: Window | None = None
        for window in windows:
            if abs(time - window.newest) <= reach and (found is None or window.newest > found.newest):
                found = window
        lost: Window | None = None
        if found is None:
            found = self.begin()
            if len(windows) > MAX_WINDOWS:
                youngest = max(window.newest for window in windows)
                lost = next(window for window in windows[:-1] if window.newest != youngest)
                windows.remove(lost)
        elif windows[-1] is not found:
            windows.remove(found)
            windows.append(found)
        return found, lost

    def begin(self) -> Window:
        """A new, empty window."""
        window = Window(self._plan, self._group, self._changes, self._merges)
        self.windows.append(window)
        return window

    def size(self) -> int:
        """Entries held."""
        return sum(len(window.times) for window in self.windows)

    def waiting(self) -> bool:
        """Whether an event time has not been judged."""
        return any(window.waiting() for window in self.windows)
