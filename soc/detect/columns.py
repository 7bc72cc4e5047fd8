"""Columns: every literal that rules ask of one field → one scan of a value that says which of them it satisfies.

A column is the list of names under which an event may hold a field. What can be asked of it is numbered (an *atom*);
`Column.atoms(value)` gives the numbers of the literal atoms that a scalar satisfies: substrings, prefixes and suffixes
come from one Aho-Corasick pass over the folded value between two marks, whole values from a dictionary, so the cost
does not grow with the number of rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

from ahocorasick_rs import AhoCorasick

from soc.detect.fold import fold, plain
from soc.detect.value import Scalar, find, leaves, members, number, text

#: Begin and end of a value; literals that hold them or their stand-ins are tested one by one.
_BEGIN: Final = "\x02"
_END: Final = "\x03"
_STAND_INS: Final = str.maketrans({_BEGIN: "\ufdd0", _END: "\ufdd1"})
_RESERVED: Final = frozenset("\x02\x03\ufdd0\ufdd1")

_first = itemgetter(0)
_NONE: Final[frozenset[int]] = frozenset()

#: Names that the pipeline itself writes into every event: no words of the sender, so no keyword may find them.
_OURS: Final = frozenset(
    (
        "@timestamp",
        "ecs.version",
        "event.dataset",
        "event.module",
        "event.kind",
        "event.category",
        "event.type",
        "event.outcome",
        "event.ingested",
        "event.created",
        "event.id",
        "event.original",
    )
)
_OUR_ROOTS: Final = ("soc.", "organization.", "related.")


def scannable(literal: str) -> bool:
    """May the literal go into an automaton?"""
    return bool(literal) and _RESERVED.isdisjoint(literal)


class _Scan:
    """Literals of one kind of case: text → ids of those that it satisfies."""

    def __init__(self, normal: Callable[[str], str]) -> None:
        self.normal = normal
        self.marked: dict[str, int] = {}  # literal with the marks that its kind of match needs → atom
        self.whole: dict[str, int] = {}
        self.automaton: AhoCorasick | None = None
        self.ids: list[int] = []

    def __bool__(self) -> bool:
        return bool(self.marked or self.whole)

    def build(self) -> None:
        self.ids = list(self.marked.values())
        self.automaton = AhoCorasick(list(self.marked)) if self.marked else None

    def atoms(self, value: str) -> set[int]:
        normal = self.normal(value)
        found: set[int] = set()
        if self.automaton is not None:
            hits = self.automaton.find_matches_as_indexes(
                f"{_BEGIN}{normal.translate(_STAND_INS)}{_END}"
                if (_BEGIN in normal or _END in normal)
                else f"{_BEGIN}{normal}{_END}",
                True,
            )
            if hits:
                ids = self.ids
                found = {ids[i] for i in set(map(_first, hits))}
        whole = self.whole.get(normal)
        if whole is not None:
            found.add(whole)
        return found


class Column:
    """One field as rules see it: `targets` (mapped names, alternatives), then `own`; both empty for keywords."""

    def __init__(self, targets: tuple[str, ...], own: str | None) -> None:
        self.targets = targets
        self.own = own
        self.folded = _Scan(fold)
        self.cased = _Scan(plain)
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


_MEMO_VALUES: Final = 4096
_MEMO_CHARS: Final = 512
_NUMERIC_STARTS: Final = frozenset("0123456789+-")


def words(event: Mapping[str, Any]) -> Iterator[Scalar]:
    """What keywords look at: every scalar that the sender wrote, nested ones too.

    The original line counts where it is plain text; a structured one (JSON, XML) holds field names as well.
    """
    for name, value in event.items():
        if name in _OURS:
            if name == "event.original" and isinstance(value, str) and not structured(value):
                yield value
        elif not name.startswith(_OUR_ROOTS):
            if type(value) is str:
                yield value
            else:
                yield from leaves(value)


def structured(line: str) -> bool:
    """Is a line JSON or XML, rather than text for people?"""
    start = line[:64].lstrip("\ufeff \t\r\n")
    return (
        start[:1] == "{"
        or (start[:1] == "[" and start[1:].lstrip()[:1] in ("{", '"'))
        or (start[:1] == "<" and (start[1:2].isalpha() or start[1:2] in ("?", "!")))
    )
