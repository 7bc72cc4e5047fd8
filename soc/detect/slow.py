"""What is tested value by value: predicates without a literal form → functions of a scalar."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from soc.detect.columns import MEMO_CHARS, MEMO_VALUES, Column
from soc.detect.compile import SlowAtom
from soc.detect.fold import fold, plain
from soc.detect.pattern import Wild, regex
from soc.detect.pivot import BITS, rows
from soc.detect.predicate import Predicate, Reference, Regex, Text, holds, refers, searcher
from soc.detect.value import Scalar, text

Test = Callable[[Scalar], bool]


def tester(predicate: Predicate) -> Test:
    """The predicate as a function of a scalar, with what it needs made ready. Equal to `holds`."""
    if isinstance(predicate, Regex):
        return _searcher(predicate.source, plain)
    if isinstance(predicate, Text):
        normal = plain if predicate.cased else fold
        match predicate.parts:
            case (Wild.ANY, str(inner), Wild.ANY):
                return _container(normal(inner), normal)
        return _searcher(regex(predicate.parts, predicate.cased), normal)
    return lambda value: holds(predicate, value)


def _container(literal: str, normal: Callable[[str], str]) -> Test:
    return lambda value: literal in normal(text(value))


def _searcher(source: str, normal: Callable[[str], str]) -> Test:
    """RE2 over bytes, asked without the wrapper that turns places in them into places in the text."""
    search = searcher(source)
    return lambda value: search(normal(text(value)).encode())


class SlowTests:
    """The slow atoms of all columns, their tests made when first needed."""

    def __init__(self, atoms: Mapping[int, SlowAtom], columns: Sequence[Column]) -> None:
        self._atoms = atoms
        self._columns = columns
        self._tests: dict[int, Test] = {}

    def true(self, atom: int, events: Sequence[Mapping[str, Any]], mask: int) -> int:
        """Events of the mask for which the atom holds."""
        slow = self._atoms[atom]
        column = self._columns[slow.column]
        if slow.other >= 0:
            return self._referring(slow, events, mask)
        test = self._test(atom)
        seen: dict[Any, bool] = {}
        found = 0
        for n in rows(mask):
            event = events[n]
            flat = column.plain(event)[1]
            for value in column.values(event)[1] if flat is None else (flat,):
                if value is None or isinstance(value, Mapping):
                    continue
                key = value if type(value) is str else (value, type(value))
                answer = seen.get(key)
                if answer is None:
                    answer = seen[key] = test(value)
                if answer:
                    found |= BITS[n]
                    break
        return found

    def _test(self, atom: int) -> Test:
        known = self._tests.get(atom)
        if known is None:
            known = self._tests[atom] = tester(self._atoms[atom].predicate)
        return known

    def _referring(self, slow: SlowAtom, events: Sequence[Mapping[str, Any]], mask: int) -> int:
        """Events in which a value of one field stands in the reference's relation to any value of the other."""
        reference = slow.predicate
        assert isinstance(reference, Reference)
        mine, its = self._columns[slow.column], self._columns[slow.other]
        seen: dict[tuple[str, str], bool] = {}
        found = 0
        for n in rows(mask):
            event = events[n]
            value, other = mine.plain(event)[1], its.plain(event)[1]
            if value is None or other is None:
                if _refers_any(reference, mine.values(event)[1], its.values(event)[1]):
                    found |= BITS[n]
                continue
            answer = seen.get((value, other))
            if answer is None:
                answer = seen[value, other] = refers(reference, value, other)
            if answer:
                found |= BITS[n]
        return found


def _refers_any(reference: Reference, values: Sequence[Any], others: Sequence[Any]) -> bool:
    scalars = [other for other in others if other is not None and not isinstance(other, Mapping)]
    return any(
        refers(reference, value, other)
        for value in values
        if value is not None and not isinstance(value, Mapping)
        for other in scalars
    )


class EagerTests:
    """The slow atoms of a column that serve as witnesses: value → those that hold, memoised.

    References depend on the event: they are taken to hold, and asked again where it matters.
    """

    def __init__(self, column: Column) -> None:
        self.tests = [(atom, tester(predicate)) for predicate, atom in column.eager if not isinstance(predicate, tuple)]
        self.supposed = tuple(atom for predicate, atom in column.eager if isinstance(predicate, tuple))
        self._memo: dict[Any, tuple[int, ...]] = {}

    def atoms(self, value: Scalar) -> tuple[int, ...]:
        key: Any = value if type(value) is str else (value, type(value))
        known = self._memo.get(key)
        if known is None:
            known = (*self.supposed, *(atom for atom, test in self.tests if test(value)))
            if type(value) is not str or len(value) <= MEMO_CHARS:
                if len(self._memo) >= MEMO_VALUES:
                    self._memo.clear()
                self._memo[key] = known
        return known
