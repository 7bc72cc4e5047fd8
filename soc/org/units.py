"""Dated administrative units: `units.csv` and `successors.csv` → a tree that answers for any day.

A unit's uid is `vn:<level>:<code>@<valid_from>`; a code alone identifies nothing (15 was Yên Bái, now it is Lào Cai).
Intervals are half-open days of Asia/Ho_Chi_Minh. A parent's row always covers its children's rows (the data re-cuts
children when a parent changes), so the path of a unit is a fact of its uid and needs no date.

Before the first known state (2024-09-01) that state stands in: its rows are "known since", their true start is earlier.
"""

from __future__ import annotations

import csv
import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from soc.event import ContentError, ContentErrors
from soc.org.names import KIND_LABELS, LEVEL_LABELS, fold, label

LEVELS: Final = ("trung_uong", "tinh", "huyen", "xa")
HERE: Final = Path(__file__).parent

#: Successor kinds by which the whole of a unit went to one other.
WHOLE: Final = frozenset({"same", "rename", "merge", "transfer"})
_KINDS: Final = WHOLE | {"split", "abolished"}


@dataclass(frozen=True, slots=True)
class Unit:
    """One administrative unit while its kind, name and parent stay the same: [valid_from, valid_to)."""

    uid: str
    level: str
    kind: str
    code: str
    name: str
    valid_from: date
    valid_to: date | None
    parent: str

    @property
    def label(self) -> str:
        """Full Vietnamese name with its kind: "Phường Minh Xuân"."""
        return label(self.kind, self.name)

    @property
    def level_label(self) -> str:
        return LEVEL_LABELS[self.level]

    def covers(self, on: date) -> bool:
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)


#: The visible bucket of everything whose place nobody has decided.
UNKNOWN: Final = Unit("vn:unknown", "unknown", "chua_xac_dinh", "", "chưa xác định", date.min, None, "")


class Successor(NamedTuple):
    """On that day (a part of) `old` became (a part of) `new`; `new` is "" where a unit ended without a successor."""

    old: str
    new: str
    on: date
    kind: str


class UnitTree:
    """Every known unit by uid, code, name and descent. Immutable after construction."""

    def __init__(self, units: Iterable[Unit], successors: Iterable[Successor]) -> None:
        self._units = {u.uid: u for u in units} | {UNKNOWN.uid: UNKNOWN}
        self._children: dict[str, list[Unit]] = defaultdict(list)
        self._by_code: dict[tuple[str, str], list[Unit]] = defaultdict(list)
        for unit in self._units.values():
            if unit.parent:
                self._children[unit.parent].append(unit)
            self._by_code[unit.level, unit.code].append(unit)
        self._next: dict[str, list[Successor]] = defaultdict(list)
        self._previous: dict[str, list[Successor]] = defaultdict(list)
        for edge in successors:
            self._next[edge.old].append(edge)
            if edge.new:
                self._previous[edge.new].append(edge)
        dates = {u.valid_from for u in self} | {u.valid_to for u in self if u.valid_to}
        self.known_since = min(dates, default=date.min)
        self.changes = tuple(sorted(dates - {self.known_since}))
        self._folded: dict[str, str] = {}
        self._paths: dict[str, tuple[str, ...]] = {}

    def __iter__(self) -> Iterator[Unit]:
        return (u for u in self._units.values() if u is not UNKNOWN)

    def __len__(self) -> int:
        return len(self._units) - 1

    def get(self, uid: str) -> Unit | None:
        return self._units.get(uid)

    def at(self, level: str, code: str, on: date) -> Unit | None:
        """The unit that bore the code on that day."""
        on = max(on, self.known_since)
        return next((u for u in self._by_code.get((level, code), ()) if u.covers(on)), None)

    def path(self, uid: str) -> tuple[str, ...]:
        """Uids from the root to the unit, both included. Raises KeyError for an unknown uid."""
        known = self._paths.get(uid)
        if known is None:
            unit = self._units[uid]
            known = self._paths[uid] = (*self.path(unit.parent), uid) if unit.parent else (uid,)
        return known

    def ancestors(self, uid: str) -> tuple[Unit, ...]:
        """Units from the root to the parent."""
        return tuple(self._units[u] for u in self.path(uid)[:-1])

    def children(self, uid: str, on: date | None = None) -> list[Unit]:
        """Units directly below, those of that day or of any."""
        on = on and max(on, self.known_since)
        return [u for u in self._children.get(uid, ()) if on is None or u.covers(on)]

    def successors(self, uid: str) -> tuple[Successor, ...]:
        return tuple(self._next.get(uid, ()))

    def follow(self, uid: str, on: date) -> Unit | None:
        """The unit that holds all of `uid`'s area on that day; None where the facts do not say.

        Forward along same, rename, transfer and merge; a split or abolished unit ends in None.
        Backward only while there is a single predecessor: all of the area came from it.
        """
        unit = self._units.get(uid)
        on = max(on, self.known_since)
        for _ in range(32):  # longer than any chain of changes; a circle in the data ends as None
            if unit is None or unit.covers(on):
                return unit
            if on < unit.valid_from:
                back = self._previous.get(unit.uid, [])
                unit = self._units.get(back[0].old) if len(back) == 1 else None
            else:
                ahead = self._next.get(unit.uid, [])
                unit = self._units.get(ahead[0].new) if len(ahead) == 1 and ahead[0].kind in WHOLE else None
        return None

    def find(self, text: str, on: date | None = None, limit: int = 20) -> list[Unit]:
        """Units whose name, label or uid holds the text, marks and case ignored: exact names first, then by uid."""
        wanted = fold(text)
        if not wanted:
            return []
        if not self._folded:
            self._folded = {u.uid: fold(u.label) for u in self._units.values()}
        ranked: list[tuple[int, str]] = []
        for uid, folded in self._folded.items():
            if wanted in folded or wanted == uid:
                unit = self._units[uid]
                if on is None or unit.covers(max(on, self.known_since)):
                    exact = wanted in (folded, fold(unit.name), uid)
                    ranked.append((0 if exact else 1 if folded.endswith(f" {wanted}") else 2, uid))
        return [self._units[uid] for _, uid in sorted(ranked)[:limit]]

    def nearest(self, text: str) -> str:
        """The known uid that a wrong one probably means, or ""."""
        level, _, rest = text.removeprefix("vn:").partition(":")
        same = self._by_code.get((level, rest.partition("@")[0]))
        if same:
            return same[-1].uid
        found = self.find(text, limit=1)
        if found:
            return found[0].uid
        pool = [u.uid for u in self._units.values() if u.level == level] if level in LEVELS else []
        return next(iter(difflib.get_close_matches(text, pool, n=1, cutoff=0.8)), "")


def load_units(folder: Path = HERE) -> UnitTree:
    """The tree of a folder with units.csv and successors.csv. Raises ContentErrors with every wrong row."""
    errors: list[ContentError] = []
    days: dict[str, date] = {}
    path = folder / "units.csv"
    units: dict[str, Unit] = {}
    lines: dict[str, int] = {}
    for line, cells in _cells(path, ["unit", "valid_to", "kind", "name", "parent"], errors):
        unit = _unit(cells, days)
        if unit is None or unit.uid in units:
            why = "the unit stands twice" if unit else "expected <level>:<code>@<valid_from>, a later end, a known kind"
            errors.append(ContentError(path, line, f"{cells[0]}: {why}"))
        else:
            units[unit.uid] = unit
            lines[unit.uid] = line
    for unit in units.values():
        if unit.parent and unit.parent not in units:
            errors.append(ContentError(path, lines[unit.uid], f"parent {unit.parent} is not a unit of this file"))
    path = folder / "successors.csv"
    edges: list[Successor] = []
    for line, (old, new, on, kind) in _cells(path, ["old", "new", "on", "kind"], errors):
        edge = Successor(f"vn:{old}", f"vn:{new}" if new else "", _day(on, days) or date.min, kind)
        known = edge.old in units and (edge.new in units or kind == "abolished")
        if not known or kind not in _KINDS or edge.on == date.min or bool(new) == (kind == "abolished"):
            errors.append(ContentError(path, line, f"not a step between units of units.csv: {old},{new},{on},{kind}"))
        else:
            edges.append(edge)
    if errors:
        raise ContentErrors(errors)
    return UnitTree(units.values(), edges)


def _cells(path: Path, header: list[str], errors: list[ContentError]) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of a data file with exactly this header."""
    try:
        rows = list(csv.reader(path.read_text("utf-8").splitlines(), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        errors.append(ContentError(path, 0, f"cannot be read: {error}"))
        return
    if not rows or rows[0] != header:
        errors.append(ContentError(path, 1, f"expected the header {','.join(header)}"))
        return
    for line, cells in enumerate(rows[1:], start=2):
        if len(cells) == len(header):
            yield line, cells
        else:
            errors.append(ContentError(path, line, f"expected {len(header)} cells, not {len(cells)}"))


def _unit(cells: list[str], days: dict[str, date]) -> Unit | None:
    short, end, kind, name, parent = cells
    level, _, rest = short.partition(":")
    code, _, begin = rest.partition("@")
    start = _day(begin, days)
    stop = _day(end, days) if end else None
    if level not in LEVELS or kind not in KIND_LABELS or not code or not name or start is None:
        return None
    if end and (stop is None or stop <= start):
        return None
    return Unit(f"vn:{short}", level, kind, code, name, start, stop, f"vn:{parent}" if parent else "")


def _day(text: str, days: dict[str, date]) -> date | None:
    """The day of YYYY-MM-DD, remembered: a tree of 15,000 rows names five of them."""
    if text not in days:
        try:
            days[text] = date.fromisoformat(text)
        except ValueError:
            return None
    return days[text]
