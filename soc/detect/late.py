"""Late literals: atoms that no scan looks for, a batch of events → those of the events in question that satisfy them.

Asked value by value where a field has few distinct values in the batch, else event by event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from soc.detect.columns import Column
from soc.detect.compile import LateAtom
from soc.detect.marks import BEGIN, BETWEEN, END, clean
from soc.detect.pivot import BITS, Cells, rows
from soc.detect.value import text

#: An event costs about so many times what a value does that is made ready.
_EVENT: Final = 3


class LateLiterals:
    """For one batch. `cells`: columns whose flat cells answer them alone."""

    def __init__(
        self,
        atoms: Mapping[int, LateAtom],
        columns: Sequence[Column],
        events: Sequence[Mapping[str, Any]],
        cells: Mapping[int, Cells],
    ) -> None:
        self._atoms = atoms
        self._columns = columns
        self._events = events
        self._cells = cells
        self._by_value: dict[tuple[int, bool], list[tuple[str, int]]] = {}
        self._by_row: dict[tuple[int, bool], dict[int, str]] = {}

    def true(self, atom: int, mask: int) -> int:
        """Events of the mask for which the atom holds."""
        late = self._atoms[atom]
        literal, found = late.marked, 0
        cells = self._cells.get(late.column)
        if cells is not None and len(cells[0]) < _EVENT * mask.bit_count():
            for marked, held in self._values(late, cells):
                if held & mask and literal in marked:
                    found |= held
            return found & mask
        known = self._by_row.setdefault((late.column, late.cased), {})
        for row in rows(mask):
            words = known.get(row)
            if words is None:
                words = known[row] = self._words(late, row)
            if literal in words:
                found |= BITS[row]
        return found

    def _values(self, late: LateAtom, cells: Cells) -> list[tuple[str, int]]:
        """The column's values between marks, each with the events that hold it."""
        key = (late.column, late.cased)
        known = self._by_value.get(key)
        if known is None:
            normal = self._normal(late)
            known = [(f"{BEGIN}{clean(normal(text(value)))}{END}", mask) for value, mask in cells[0].items()]
            self._by_value[key] = known
        return known

    def _words(self, late: LateAtom, row: int) -> str:
        """All values that one event holds in the column, between marks."""
        column, event = self._columns[late.column], self._events[row]
        flat = column.plain(event)[1]
        values = column.values(event)[1] if flat is None else [flat]
        normal = self._normal(late)
        texts = [clean(normal(text(v))) for v in values if v is not None and not isinstance(v, Mapping)]
        return f"{BEGIN}{BETWEEN.join(texts)}{END}" if texts else ""

    def _normal(self, late: LateAtom) -> Any:
        column = self._columns[late.column]
        return (column.cased if late.cased else column.folded).normal
