"""Scans: many literals → those that occur in a text, as substrings, prefixes, suffixes or the whole of it, in one pass.

A value is scanned between two marks, so that `<begin>abc` is a prefix and `abc<end>` a suffix (`soc.detect.marks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from operator import itemgetter
from typing import Final

from ahocorasick_rs import AhoCorasick, Implementation

from soc.detect.marks import BEGIN, END, clean

_first = itemgetter(0)
#: Literals of so many characters together make a DFA of a few MB, twice as fast as the compact automaton.
_DFA_CHARS: Final = 12_000


class Scan:
    """Literals of one kind of case (`normal`): `marked` and `whole` ones, each with the number of its atom."""

    def __init__(self, normal: Callable[[str], str]) -> None:
        self.normal = normal
        self.marked: dict[str, int] = {}
        self.whole: dict[str, int] = {}
        self._automaton: AhoCorasick | None = None
        self._ids: list[int] = []

    def __bool__(self) -> bool:
        return bool(self.marked or self.whole)

    def only(self, atoms: frozenset[int]) -> Scan:
        """A scan for the marked literals among these atoms."""
        out = Scan(self.normal)
        out.marked = {literal: atom for literal, atom in self.marked.items() if atom in atoms}
        out.build(frozenset())
        return out

    def build(self, late: Set[int]) -> None:
        """Call when all literals are known; those of atoms in `late` are left out."""
        scanned = {literal: atom for literal, atom in self.marked.items() if atom not in late}
        self._ids = list(scanned.values())
        if scanned:
            small = sum(map(len, scanned)) <= _DFA_CHARS
            kind = Implementation.DFA if small else Implementation.ContiguousNFA
            self._automaton = AhoCorasick(list(scanned), implementation=kind)

    def atoms(self, value: str) -> set[int]:
        """Atoms of the literals that one value satisfies."""
        normal = self.normal(value)
        found: set[int] = set()
        if self._automaton is not None:
            ids = self._ids
            hits = self._automaton.find_matches_as_indexes(f"{BEGIN}{clean(normal)}{END}", True)
            found = {ids[i] for i in set(map(_first, hits))}
        if self.whole:
            whole = self.whole.get(normal)
            if whole is not None:
                found.add(whole)
        return found

    def positions(self, marked: str) -> Iterator[tuple[int, int]]:
        """Atom and place of every marked literal in a text of values between marks, already normal."""
        if self._automaton is not None:
            for i, start, _ in self._automaton.find_matches_as_indexes(marked, True):
                yield self._ids[i], start
