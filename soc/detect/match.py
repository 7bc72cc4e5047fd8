"""Matching: a batch of events and what log sources they are → for each compiled rule the mask of events it matches.

Rules are evaluated over a batch, not over an event (`soc.detect.compile`): columns are filled once, rules whose witness
occurs are evaluated once for all events. Nothing here keeps state between batches but memos.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from soc.detect.compile import Compiler, Expression
from soc.detect.fill import Filling
from soc.detect.keywords import ORIGINAL, senders
from soc.detect.late import LateLiterals
from soc.detect.pivot import BITS, pivoted
from soc.detect.rule import contains
from soc.detect.scan import Scan
from soc.detect.slow import EagerTests, SlowTests
from soc.detect.value import without_spaces
from soc.event import LogSource

#: Sets of log sources, and of routes within a batch, that are remembered.
_MAX_ROUTES: Final = 4096


@dataclass(slots=True)
class Route:
    """What the rules for one set of log sources read: `sources` numbers the rules' log sources that it satisfies."""

    sources: tuple[int, ...]
    columns: frozenset[int]


class Batch:
    """What expressions ask: the bits of literal atoms, and slow atoms tested where they matter."""

    def __init__(self, filling: Filling, program: Program) -> None:
        self.events = filling.events
        self.bits = filling.bits
        self.solid = filling.solid
        self.held = frozenset(filling.bits)
        self._program = program
        self._late = program.late
        self._here = filling.here
        self._literals = LateLiterals(program.late, program.columns, filling.events, filling.cells)
        self._tested: dict[int, tuple[int, int]] = {}  # slow or late atom → events asked, events true

    def literal(self, atom: int, mask: int) -> int:
        """A literal atom for the events in the mask."""
        if atom not in self._late:
            return self.bits.get(atom, 0) & mask
        asked, true = self._tested.get(atom, (0, 0))
        todo = mask & ~asked
        if todo:
            if self._late[atom].column in self._here:
                true |= self._literals.true(atom, todo)
            self._tested[atom] = (asked | todo, true)
        return true & mask

    def tested(self, atom: int, mask: int) -> int:
        """A slow atom for the events in the mask."""
        if atom in self._program.exact:
            return self.bits.get(atom, 0) & mask
        asked, true = self._tested.get(atom, (0, 0))
        todo = mask & ~asked
        if todo:
            true |= self._program.slow.true(atom, self.events, todo)
            self._tested[atom] = (asked | todo, true)
        return true & mask


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
        self.slow = SlowTests(compiler.slow, compiler.columns)
        self.late = compiler.late
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
        self._scans: dict[tuple[int, frozenset[int]], tuple[Scan, ...]] = {}
        self.by_key: dict[str, tuple[int, ...]] = {}
        self.by_prefix: dict[str, tuple[int, ...]] = {}
        self.keywords = tuple(i for i, column in enumerate(self.columns) if column.keywords)
        self.everything = self._made(tuple(range(len(self.logsources))))
        self._index_names()
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
        return Route(sources, frozenset().union(*(self.columns_of[i] for i in sources)))

    def keyword_scans(self, i: int, sources: frozenset[int]) -> tuple[Scan, ...]:
        """Scans for the literals that the keywords of rules for these log sources ask for."""
        key = (i, sources)
        known = self._scans.get(key)
        if known is None:
            atoms = frozenset().union(*(self.atoms_of[source] for source in sources))
            scans = (self.columns[i].folded.only(atoms), self.columns[i].cased.only(atoms))
            if len(self._scans) >= _MAX_ROUTES:
                self._scans.clear()
            known = self._scans[key] = tuple(scan for scan in scans if scan)
        return known

    # ------------------------------------------------------------ one batch

    def matches(
        self, events: Sequence[Mapping[str, Any]], logsources: Sequence[Collection[LogSource]] | None
    ) -> Iterator[tuple[int, int, Batch]]:
        """(rule, mask of events that it matches, the batch) for at most BATCH events."""
        names: set[str] = set().union(*events)
        if any(" " in name for name in names):
            events = [without_spaces(event) for event in events]
            names = set().union(*events)
        routes = self._by_route(len(events), logsources)
        batch = Batch(self._filled(events, routes, names), self)
        allowed: dict[int, int] = {}
        for route, mask in routes:
            for source in route.sources:
                allowed[source] = allowed.get(source, 0) | mask
        for rule, mask in self._candidates(batch, allowed):
            found = self.expressions[rule](batch, mask)
            if found:
                yield rule, found, batch

    def _by_route(self, size: int, logsources: Sequence[Collection[LogSource]] | None) -> list[tuple[Route, int]]:
        """The routes of the batch, each with its events."""
        if logsources is None:
            return [(self.everything, (1 << size) - 1)]
        grouped: dict[frozenset[LogSource], int] = {}
        for bit, sources in zip(BITS, logsources, strict=False):
            key = frozenset(sources)
            grouped[key] = grouped.get(key, 0) | bit
        routed = [(self.route(sources), mask) for sources, mask in grouped.items()]
        return [(route, mask) for route, mask in routed if route.sources]

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

    def _filled(self, events: Sequence[Mapping[str, Any]], routes: list[tuple[Route, int]], names: set[str]) -> Filling:
        """The columns that rules of the routes read and events of the batch have."""
        filling = Filling(events, self._eager)
        active: dict[int, bool] = {}  # column → whether a nested path may lead there
        for name in names:
            for i in self.by_key.get(name, ()):
                active.setdefault(i, False)
            for i in self.by_prefix.get(name, ()):
                active[i] = True
        needs = {i: self._need(i, routes) for i in (*active, *self.keywords)}
        spoken = any(needs[i] for i in self.keywords)
        cells = pivoted(
            events,
            {
                name
                for name in names
                if any(needs[i] for i in self.by_key.get(name, ())) or (spoken and (senders(name) or name == ORIGINAL))
            },
        )
        for i, nested in active.items():
            if needs[i] and nested:
                filling.slowly(i, self.columns[i], needs[i])
            elif needs[i]:
                filling.flat(i, self.columns[i], cells, needs[i])
        for i in self.keywords:
            if needs[i]:
                sources = frozenset(source for route, _ in routes if i in route.columns for source in route.sources)
                filling.keywords(i, self.columns[i], cells, self.keyword_scans(i, sources), needs[i])
        return filling

    @staticmethod
    def _need(i: int, routes: list[tuple[Route, int]]) -> int:
        """The events of whose routes some rule reads the column."""
        need = 0
        for route, mask in routes:
            if i in route.columns:
                need |= mask
        return need
