"""Filling: a batch of events, by name and value → the bits of every atom that rules of its routes ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from soc.detect.columns import Column
from soc.detect.keywords import WordScan
from soc.detect.pivot import Cells, rows
from soc.detect.scan import Scan
from soc.detect.slow import EagerTests
from soc.detect.value import Scalar, members


class Filling:
    """The answers for one batch, while and after they are gathered.

    `bits`: atom → events for which it holds; `solid`: column → events where it is there and no null; `cells`: those of
    columns that have one name here and hold nothing but texts and whole numbers.
    """

    def __init__(self, events: Sequence[Mapping[str, Any]], eager: Mapping[int, EagerTests]) -> None:
        self.events = events
        self.bits: dict[int, int] = {}
        self.solid: dict[int, int] = {}
        self.cells: dict[int, Cells] = {}
        self.here: set[int] = set()  # columns that any event has
        self._eager = eager

    def flat(self, i: int, column: Column, cells: Mapping[str, Cells], need: int) -> None:
        """A column that flat keys of this batch answer: its mapped names, and its own where they hold nothing."""
        self.here.add(i)
        named = [cells[name] for name in column.names if name in cells]
        if len(named) == 1 and not named[0][1]:
            self.cells[i] = named[0]
        present = 0
        for name in column.targets:
            if name in cells:
                present |= self._named(i, column, cells[name], need)
        own = column.own
        if own is not None and own in cells and own not in column.targets:
            self._named(i, column, cells[own], need & ~present)

    def _named(self, i: int, column: Column, cells: Cells, need: int) -> int:
        """One name of the column; the events where it holds a value that is not null."""
        plain, others = cells
        present = exists = 0
        for value, mask in plain.items():
            mask &= need
            if mask:
                present |= mask
                self._set(i, column, value, mask)
        self._state(i, column, present, present, present)
        for value, bit in others:
            if not bit & need:
                continue
            exists |= bit
            if value is not None and self._members(i, column, list(members(value)) or [None], bit):
                present |= bit
        self._state(i, column, exists, 0, 0)
        return present

    def slowly(self, i: int, column: Column, need: int) -> None:
        """A column that nested paths may answer."""
        self.here.add(i)
        exists = 0
        for n in rows(need):
            here, values = column.values(self.events[n])
            if here:
                exists |= 1 << n
                self._members(i, column, values, 1 << n)
        self._state(i, column, exists, 0, 0)

    def _members(self, i: int, column: Column, values: list[Any], bit: int) -> bool:
        """The members of one event's value; is any of them not null?"""
        there = [value for value in values if value is not None]
        self._state(i, column, 0, bit if len(there) == len(values) else 0, bit if there else 0)
        for value in there:
            if not isinstance(value, Mapping):
                self._set(i, column, value, bit)
        return bool(there)

    def keywords(self, i: int, column: Column, cells: Mapping[str, Cells], scans: Collection[Scan], need: int) -> None:
        """All words that the senders wrote, for what the keywords of these routes look for."""
        words = WordScan(cells, need)
        for scan in scans:
            for atom, mask in words.hits(scan):
                self.bits[atom] = self.bits.get(atom, 0) | mask
        if column.eager:
            for value, mask in words.words():
                for atom in self._eager[i].atoms(value):
                    self.bits[atom] = self.bits.get(atom, 0) | mask
        self._state(i, column, words.everywhere, words.everywhere, words.everywhere)

    def _state(self, i: int, column: Column, exists: int, solid: int, present: int) -> None:
        if solid:
            self.solid[i] = self.solid.get(i, 0) | solid
        if exists and column.exists >= 0:
            self.bits[column.exists] = self.bits.get(column.exists, 0) | exists
        if present and column.present >= 0:
            self.bits[column.present] = self.bits.get(column.present, 0) | present

    def _set(self, i: int, column: Column, value: Scalar, mask: int) -> None:
        """Everything that one scalar satisfies, for the events that hold it."""
        bits = self.bits
        for atom in column.atoms(value):
            bits[atom] = bits.get(atom, 0) | mask
        if column.eager:
            for atom in self._eager[i].atoms(value):
                bits[atom] = bits.get(atom, 0) | mask
