"""Columns: every literal that rules ask of one field → one scan of a value that says which of them it satisfies.

A column is the list of names under which an event may hold a field. What can be asked of it is numbered (an *atom*);
`Column.atoms(value)` gives the numbers of the literal atoms that a scalar satisfies: substrings, prefixes and suffixes
come from one Aho-Corasick pass over the folded value between two marks, whole values from a dictionary, so the cost
does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

from soc.detect.fold import fold, plain
from soc.detect.keywords import words
from soc.detect.scan import Scan
from soc.detect.value import Scalar, find, members, number, text

_NONE: Final[frozenset[int]] = frozenset()


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

    def build(self, late: Set[int]) -> None:
        """Call once, when all atoms are known; those in `late` are not scanned for."""
        self.folded.build(late)
        self.cased.build(late)

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
        if type(value) is not str or len(value) <= MEMO_CHARS:
            if len(memo) >= MEMO_VALUES:
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

    def plain(self, event: Mapping[str, Any]) -> tuple[str, str | None]:
        """Name and value of the field where it is one flat text, as nearly always; None for everything else."""
        found = ""
        value = None
        for name in self.targets or (self.own or "",):
            other = event.get(name)
            if other is None:
                continue
            if type(other) is not str or (value is not None and value != other):
                return "", None
            found, value = found or name, other
        return found, value

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


#: Values that a column remembers between batches, and up to what length: 1 MB a column at worst.
MEMO_VALUES: Final = 2048
MEMO_CHARS: Final = 256
_NUMERIC_STARTS: Final = frozenset("0123456789+-")
