"""Matching: a batch of events and what log sources they are → for each compiled rule the mask of events it matches.

Rules are evaluated over a batch, not over an event (`soc.detect.compile`): columns are filled once, rules whose witness
occurs are evaluated once for all events. Nothing here keeps state between batches but memos.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from soc.detect.columns import Column, Scan
from soc.detect.compile import Compiler, Expression
from soc.detect.fold import fold, plain
from soc.detect.keywords import marked_text, senders, words
from soc.detect.pattern import regex
from soc.detect.predicate import (
    Predicate,
    Reference,
    Regex,
    Text,
    holds,
    re2_compile,
    refers,
)
from soc.detect.rule import contains
from soc.detect.value import Scalar, members, text, without_spaces
from soc.event import LogSource

#: Events evaluated together: wide enough to share the work, narrow enough for the masks to stay short (128 bytes).
BATCH: Final = 1024
_BITS: Final = [1 << i for i in range(BATCH)]
_MISSING: Final = object()
_ALL: Final[frozenset[LogSource]] = frozenset()


@dataclass(slots=True)
class Route:
    """What the rules for one set of log sources read: `sources` numbers the rules' log sources that it satisfies."""

    sources: tuple[int, ...]
    columns: frozenset[int]
    keywords: tuple[Scan, ...]  # for the literals of these rules' keywords


@dataclass(slots=True)
class Batch:
    """The answers for one batch. `bits`: atom → mask; `solid`: column → events where it is not null."""

    events: Sequence[Mapping[str, Any]]
    program: Program
    bits: dict[int, int] = field(default_factory=dict)
    solid: dict[int, int] = field(default_factory=dict)
    held: frozenset[int] = frozenset()
    _tested: dict[int, tuple[int, int]] = field(default_factory=dict)  # slow atom → events asked, events true

    def tested(self, atom: int, mask: int) -> int:
        """A slow atom for the events in the mask."""
        if atom in self.program.exact:
            return self.bits.get(atom, 0) & mask
        asked, true = self._tested.get(atom, (0, 0))
        todo = mask & ~asked
        if todo:
            true |= self.program.test(atom, self.events, todo)
            self._tested[atom] = (asked | todo, true)
        return true & mask


def rows(mask: int) -> Iterator[int]:
    """The numbers of the set bits, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Program:
    """All rules, compiled. `expressions[i]` and `sources[i]` belong to the i-th rule."""

    def __init__(
        self,
        compiler: Compiler,
        expressions: Sequence[Expression],
        witnesses: Sequence[frozenset[int] | None],
        logsources: Sequence[LogSource],
        reads: Sequence[frozenset[int]],
        touched: Sequence[frozenset[int]],
    ) -> None:
        self.columns = compiler.columns
        self.slow = compiler.slow
        self.expressions = expressions
        self.witnesses: dict[int, list[int]] = {}  # atom → rules to evaluate when it occurs
        self.always: list[int] = []
        for rule, witness in enumerate(witnesses):
            if witness is None:
                self.always.append(rule)
            for atom in witness or ():
                self.witnesses.setdefault(atom, []).append(rule)
        self.logsources = list(dict.fromkeys(logsources))
        numbers = {source: i for i, source in enumerate(self.logsources)}
        self.source_of = [numbers[source] for source in logsources]
        self.columns_of: list[set[int]] = [set() for _ in self.logsources]
        self.atoms_of: list[set[int]] = [set() for _ in self.logsources]
        for rule, columns in enumerate(reads):
            self.columns_of[self.source_of[rule]] |= columns
            self.atoms_of[self.source_of[rule]] |= touched[rule]
        self.routes: dict[frozenset[LogSource], Route] = {}
        self.by_key: dict[str, tuple[int, ...]] = {}
        self.by_prefix: dict[str, tuple[int, ...]] = {}
        self.keywords = tuple(i for i, column in enumerate(self.columns) if column.keywords)
        self.everything = self._made(tuple(range(len(self.logsources))))
        self._index_names()
        self._tests: dict[int, Callable[[Scalar], bool]] = {}
        self._eager = {i: EagerTests(column) for i, column in enumerate(self.columns) if column.eager}
        #: Slow atoms whose bits are complete once the columns are filled.
        self.exact = frozenset(atom for eager in self._eager.values() for atom, _ in eager.tests)

    def _index_names(self) -> None:
        by_key: dict[str, list[int]] = {}
        by_prefix: dict[str, list[int]] = {}
        for i, column in enumerate(self.columns):
            for name in column.names if not column.keywords else ():
                by_key.setdefault(name, []).append(i)
                at = name.find(".")
                while at > 0:
                    by_prefix.setdefault(name[:at], []).append(i)
                    at = name.find(".", at + 1)
        self.by_key = {name: tuple(found) for name, found in by_key.items()}
        self.by_prefix = {name: tuple(found) for name, found in by_prefix.items()}

    # ------------------------------------------------------------ routes

    def route(self, sources: frozenset[LogSource]) -> Route:
        """The rules' log sources contained in an event's, and the columns that their rules read."""
        known = self.routes.get(sources)
        if known is None:
            matching = tuple(
                i for i, wanted in enumerate(self.logsources) if any(contains(wanted, has) for has in sources)
            )
            if len(self.routes) >= _MAX_ROUTES:
                self.routes.clear()
            known = self.routes[sources] = self._made(matching)
        return known

    def _made(self, sources: tuple[int, ...]) -> Route:
        columns = frozenset().union(*(self.columns_of[i] for i in sources))
        atoms = frozenset().union(*(self.atoms_of[i] for i in sources))
        scans = [
            scan.only(atoms)
            for i in self.keywords
            if i in columns
            for scan in (self.columns[i].folded, self.columns[i].cased)
        ]
        return Route(sources, columns, tuple(scan for scan in scans if scan))

    # ------------------------------------------------------------ one batch

    def matches(
        self, events: Sequence[Mapping[str, Any]], logsources: Sequence[Collection[LogSource]] | None
    ) -> Iterator[tuple[int, int, Batch]]:
        """(rule, mask of events that it matches, the batch) for at most BATCH events."""
        names: set[str] = set().union(*events)
        if any(" " in name for name in names):
            events = [without_spaces(event) for event in events]
            names = set().union(*events)
        batch = Batch(events, self)
        by_route = self._by_route(len(events), logsources)
        self._fill(batch, by_route, names)
        batch.held = frozenset(batch.bits)
        allowed: dict[int, int] = {}
        for route, numbers in by_route:
            mask = sum(_BITS[i] for i in numbers) if len(numbers) < len(events) else (1 << len(events)) - 1
            for source in route.sources:
                allowed[source] = allowed.get(source, 0) | mask
        for rule, mask in self._candidates(batch, allowed):
            found = self.expressions[rule](batch, mask)
            if found:
                yield rule, found, batch

    def _by_route(
        self, size: int, logsources: Sequence[Collection[LogSource]] | None
    ) -> list[tuple[Route, Sequence[int]]]:
        if logsources is None:
            return [(self.everything, range(size))]
        grouped: dict[frozenset[LogSource], list[int]] = {}
        for i, sources in enumerate(logsources):
            grouped.setdefault(frozenset(sources), []).append(i)
        routed = [(self.route(sources), numbers) for sources, numbers in grouped.items()]
        return [(route, numbers) for route, numbers in routed if route.sources]

    def _candidates(self, batch: Batch, allowed: dict[int, int]) -> Iterator[tuple[int, int]]:
        """Rules that may be true, with the events of which their witness holds."""
        candidates: dict[int, int] = {}
        source_of, witnesses = self.source_of, self.witnesses
        for atom, mask in batch.bits.items():
            for rule in witnesses.get(atom, ()):
                candidates[rule] = candidates.get(rule, 0) | mask
        for rule, mask in candidates.items():
            mask &= allowed.get(source_of[rule], 0)
            if mask:
                yield rule, mask
        for rule in self.always:
            mask = allowed.get(source_of[rule], 0)
            if mask:
                yield rule, mask

    # ------------------------------------------------------------ columns

    def _fill(self, batch: Batch, by_route: list[tuple[Route, Sequence[int]]], names: set[str]) -> None:
        active: dict[int, bool] = {}  # column → whether a nested path may lead there
        for name in names:
            for i in self.by_key.get(name, ()):
                active.setdefault(i, False)
            for i in self.by_prefix.get(name, ()):
                active[i] = True
        for i in self.keywords:
            for route, numbers in by_route:
                if i in route.columns:
                    self._fill_keywords(batch, i, route, numbers, names)
        for i, nested in active.items():
            wanted = [numbers for route, numbers in by_route if i in route.columns]
            if not wanted:
                continue
            numbers = wanted[0] if len(wanted) == 1 else [n for some in wanted for n in some]
            column = self.columns[i]
            if nested:
                self._fill_slowly(batch, i, column, numbers)
                continue
            present = 0
            for name in column.targets:
                if name in names:
                    present |= self._fill_flat(batch, i, column, numbers, name)
            if column.own in names and column.own not in column.targets:
                rest = [n for n in numbers if not present >> n & 1] if present else numbers
                self._fill_flat(batch, i, column, rest, column.own)

    def _fill_flat(self, batch: Batch, i: int, column: Column, numbers: Sequence[int], name: str) -> int:
        """A column that a flat key of this batch answers; the events where it holds a value that is not null."""
        events = batch.events
        groups: dict[Any, int] = {}
        floats: dict[float, int] = {}
        exists = present = 0
        for n in numbers:
            value = events[n].get(name, _MISSING)
            if value is _MISSING:
                continue
            bit = _BITS[n]
            exists |= bit
            kind = type(value)
            if kind is str or kind is int:
                groups[value] = groups.get(value, 0) | bit
            elif kind is float:
                floats[value] = floats.get(value, 0) | bit
            elif kind is bool:
                key = "true" if value else "false"
                groups[key] = groups.get(key, 0) | bit
            elif value is not None and self._add(batch, i, column, list(members(value)) or [None], bit):
                present |= bit
        solid = 0
        for values in (groups, floats):
            for value, mask in values.items():
                solid |= mask
                self._set(batch, i, column, value, mask)
        self._state(batch, i, column, exists, solid, solid)
        return present | solid

    def _fill_slowly(self, batch: Batch, i: int, column: Column, numbers: Sequence[int]) -> None:
        """A column with several names, or reached by a nested path."""
        exists = 0
        for n in numbers:
            here, values = column.values(batch.events[n])
            if here:
                exists |= _BITS[n]
                self._add(batch, i, column, values, _BITS[n])
        self._state(batch, i, column, exists, 0, 0)

    def _fill_keywords(self, batch: Batch, i: int, route: Route, numbers: Sequence[int], names: set[str]) -> None:
        """All that the senders wrote, one scan an event, for what the route's rules look for."""
        wanted = frozenset(filter(senders, names))
        column, bits = self.columns[i], batch.bits
        everything = 0
        for n in numbers:
            bit = _BITS[n]
            joined = marked_text(batch.events[n], wanted)
            if joined:
                everything |= bit
            for scan in route.keywords:
                for atom in scan.scan(scan.normal(joined)):
                    bits[atom] = bits.get(atom, 0) | bit
            if column.eager:
                for value in words(batch.events[n]):
                    for atom in self._eager[i].atoms(value):
                        bits[atom] = bits.get(atom, 0) | bit
        self._state(batch, i, column, everything, everything, everything)

    def _add(self, batch: Batch, i: int, column: Column, values: list[Any], bit: int) -> bool:
        """The members of one event's list; is any of them not null?"""
        scalars = [value for value in values if value is not None]
        if len(scalars) == len(values):
            batch.solid[i] = batch.solid.get(i, 0) | bit
        if scalars and column.present >= 0:
            batch.bits[column.present] = batch.bits.get(column.present, 0) | bit
        for value in scalars:
            if not isinstance(value, Mapping):
                self._set(batch, i, column, value, bit)
        return bool(scalars)

    def _state(self, batch: Batch, i: int, column: Column, exists: int, solid: int, present: int) -> None:
        if solid:
            batch.solid[i] = batch.solid.get(i, 0) | solid
        if column.exists >= 0 and exists:
            batch.bits[column.exists] = batch.bits.get(column.exists, 0) | exists
        if column.present >= 0 and present:
            batch.bits[column.present] = batch.bits.get(column.present, 0) | present

    def _set(self, batch: Batch, i: int, column: Column, value: Scalar, mask: int) -> None:
        """Everything that one scalar satisfies, for the events that hold it."""
        bits = batch.bits
        for atom in column.atoms(value):
            bits[atom] = bits.get(atom, 0) | mask
        if column.eager:
            for atom in self._eager[i].atoms(value):
                bits[atom] = bits.get(atom, 0) | mask

    # ------------------------------------------------------------ what is tested value by value

    def test(self, atom: int, events: Sequence[Mapping[str, Any]], mask: int) -> int:
        """Events of the mask for which a slow atom holds."""
        slow = self.slow[atom]
        column = self.columns[slow.column]
        test = self.tester(atom)
        other = self.columns[slow.other] if slow.other >= 0 else None
        seen: dict[Any, bool] = {}
        true = 0
        for n in rows(mask):
            event = events[n]
            for value in column.values(event)[1]:
                if value is None or isinstance(value, Mapping):
                    continue
                if other is not None:
                    assert isinstance(slow.predicate, Reference)
                    if referred(slow.predicate, value, other, event):
                        true |= _BITS[n]
                        break
                    continue
                key = value if type(value) is str else (value, type(value))
                answer = seen.get(key)
                if answer is None:
                    answer = seen[key] = test(value)
                if answer:
                    true |= _BITS[n]
                    break
        return true

    def tester(self, atom: int) -> Callable[[Scalar], bool]:
        """The predicate of a slow atom as a function, made once."""
        known = self._tests.get(atom)
        if known is None:
            known = self._tests[atom] = tester(self.slow[atom].predicate)
        return known


_MAX_ROUTES: Final = 4096


def referred(reference: Reference, value: Scalar, other: Column, event: Mapping[str, Any]) -> bool:
    """Does the value stand in the reference's relation to any value of the other field?"""
    return any(
        refers(reference, value, its)
        for its in other.values(event)[1]
        if its is not None and not isinstance(its, Mapping)
    )


def tester(predicate: Predicate) -> Callable[[Scalar], bool]:
    """The predicate as a function of a scalar, with what it needs made ready. Equal to `holds`."""
    if isinstance(predicate, Regex):
        search = re2_compile(predicate.source).search
        return lambda value: search(plain(text(value))) is not None
    if isinstance(predicate, Text):
        search = re2_compile(regex(predicate.parts, predicate.cased)).search
        normal = plain if predicate.cased else fold
        return lambda value: search(normal(text(value))) is not None
    if isinstance(predicate, Reference):
        return lambda value: False
    return lambda value: holds(predicate, value)


class EagerTests:
    """The slow atoms of a column that serve as witnesses: value → those that hold, memoised."""

    def __init__(self, column: Column) -> None:
        self.tests = [(atom, tester(predicate)) for predicate, atom in column.eager if not isinstance(predicate, tuple)]
        self.always = [atom for predicate, atom in column.eager if isinstance(predicate, tuple)]
        self.memo: dict[Any, tuple[int, ...]] = {}

    def atoms(self, value: Scalar) -> tuple[int, ...]:
        key: Any = value if type(value) is str else (value, type(value))
        known = self.memo.get(key)
        if known is None:
            if len(self.memo) >= _MEMO_VALUES:
                self.memo.clear()
            known = self.memo[key] = (*self.always, *(atom for atom, test in self.tests if test(value)))
        return known


_MEMO_VALUES: Final = 4096
