"""Pivot: the events of a batch → per field name its distinct values, each with the mask of the events that hold it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

#: Events evaluated together: wide enough to share the work, narrow enough for the masks to stay short (128 bytes).
BATCH: Final = 1024
BITS: Final = tuple(1 << i for i in range(BATCH))

#: Texts and whole numbers → events; and every other value with its event's bit.
Plain = dict[str | int, int]
Others = list[tuple[Any, int]]
Cells = tuple[Plain, Others]


def pivoted(events: Sequence[Mapping[str, Any]], names: Set[str]) -> dict[str, Cells]:
    """The cells of each of the names."""
    plain: dict[str, Plain] = {name: {} for name in names}
    others: dict[str, Others] = {name: [] for name in names}
    for bit, event in zip(BITS, events, strict=False):
        for name, value in event.items():
            cells = plain.get(name)
            if cells is None:
                continue
            kind = type(value)
            if kind is str or kind is int:
                cells[value] = cells.get(value, 0) | bit
            else:
                others[name].append((value, bit))
    return {name: (plain[name], others[name]) for name in names}


def rows(mask: int) -> Iterator[int]:
    """The numbers of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
