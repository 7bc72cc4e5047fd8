"""Columns: every literal that rules ask of one field → one scan of a value that says which of them it satisfies.

A column is the list of names under which an event may hold a field. What can be asked of it is numbered (an *atom*);
`Column.atoms(value)` gives the numbers of the literal atoms that a scalar satisfies: substrings, prefixes and suffixes
come from one Aho-Corasick pass over the folded value between two marks, whole values from a dictionary, so the cost
does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final

from ahocorasick_rs import AhoCorasick, Implementation

from soc.detect.fold import fold, plain
from soc.detect.keywords import words
from soc.detect.marks import BEGIN, END, STAND_INS
from soc.detect.value import Scalar, find, members, number, text

_first = itemgetter(0)
_NONE: Final[frozenset[int]] = frozenset()


class Scan:
    """Literals of one kind of case: text → ids of those that it satisfies."""

    def __init__(self, normal: Callable[[str], str]) -> None:
        self.normal = normal
        self.marked: dict[str, int] = {}  # literal with the marks that its kind of match needs → atom
        self.whole: dict[str, int] = {}
        self.automaton: AhoCorasick | None = None
        self.ids: list[int] = []

    def __bool__(self) -> bool:
        return bool(self.marked or self.whole)

    def only(self, atoms: frozenset[int]) -> Scan:
        """A scan for the marked literals among these atoms."""
        out = Scan(self.normal)
        out.marked = {literal: atom for literal, atom in self.marked.items() if atom in atoms}
        out.build()
        return out

    def build(self) -> None:
        self.ids = list(self.marked.values())
        if self.marked:
            small = sum(map(len, self.marked)) <= _DFA_CHARS
            kind = Implementation.DFA if small else Implementation.ContiguousNFA
            self.automaton = AhoCorasick(list(self.marked), implementation=kind)

    def atoms(self, value: str) -> set[int]:
        normal = self.normal(value)
        if BEGIN in normal or END in normal:
            normal = normal.translate(STAND_INS)
        found = self.scan(f"{BEGIN}{normal}{END}")
        if self.whole:
            whole = self.whole.get(normal)
            if whole is not None:
                found.add(whole)
        return found

    def scan(self, marked: str) -> set[int]:
        """Atoms of the marked literals that occur in texts, already normal, between marks."""
        if self.automaton is None:
            return set()
        hits = self.automaton.find_matches_as_indexes(marked, True)
        ids = self.ids
        return {ids[i] for i in set(map(_first, hits))}


class Column:
    """One field as rules see it: `targets` (mapped names, alternatives), then `own`; both empty for keywords."""

    def __init__(self, targets: tuple[str, ...], own: str | None) -> None:
        self.targets = targets
        self.own = own
        self.folded = Scan(fold)
        self.cased = Scan(plain)
        self.numbers: dict[int | float, int] = {}  # numbers of rules, met by numbers and by texts that are numbers
        self.typed: dict[int | float, list[int]] = {}  # texts of rules that are numbers, met by numbers
        self.slow: dict[Any, int] = {}  # predicates that are tested one by one → atom
        self.eager: tuple[tuple[Any, int], ...] = ()  # those of them that must be tested at once
        self.present = -1
        self.exists = -1
        self._memo: dict[Any, frozenset[int]] = {}

    @property
    def keywords(self) -> bool:
        return self.own is None

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of look-up."""
        return self.targets if self.own is None else tuple(dict.fromkeys((*self.targets, self.own)))

    def build(self) -> None:
        """Call once, when all atoms are known."""
        self.folded.build()
        self.cased.build()

    def atoms(self, value: Scalar) -> frozenset[int]:
        """Ids of the literal atoms that the scalar satisfies (not of the slow ones)."""
        memo = self._memo
        key: Any = value if type(value) is str else (value, type(value))
        known = memo.get(key)
        if known is not None:
            return known
        found = self.folded.atoms(text(value)) if self.folded else set()
        if self.cased:
            found |= self.cased.atoms(text(value))
        if self.numbers or self.typed:
            self._numeric(value, found)
        made = frozenset(found) if found else _NONE
        if type(value) is not str or len(value) <= _MEMO_CHARS:
            if len(memo) >= _MEMO_VALUES:
                memo.clear()
            memo[key] = made
        return made

    def _numeric(self, value: Scalar, found: set[int]) -> None:
        if isinstance(value, str) and not (self.numbers and value[:1] in _NUMERIC_STARTS):
            return
        parsed = number(value)
        if parsed is None:
            return
        if parsed in self.numbers:
            found.add(self.numbers[parsed])
        if not isinstance(value, str):
            found.update(self.typed.get(parsed, ()))

    def values(self, event: Mapping[str, Any]) -> tuple[bool, list[Any]]:
        """Is the field there; and its scalars, nulls and objects.

        Of several mapped names those count that hold a value; the own name counts where none of them does. A field
        that is there without a value (null, an empty list) is one null.
        """
        if self.own is None:
            return True, list(words(event))
        here = False
        found: list[Any] = []
        for names in (self.targets, (self.own,)):
            for name in names:
                values = [member for value in find(event, name) for member in (list(members(value)) or [None])]
                here = here or bool(values)
                if any(value is not None for value in values):
                    found += values
            if found:
                return True, found
        return here, [None] if here else []


#: Literals of so many characters together make a DFA of a few MB, twice as fast as the compact automaton.
_DFA_CHARS: Final = 12_000
_MEMO_VALUES: Final = 4096
_MEMO_CHARS: Final = 512
_NUMERIC_STARTS: Final = frozenset("0123456789+-")
