"""Details of matches: a rule, a batch in which it matched, and the events → the predicates that made it true for each.

Which leaves hold is read from the batch's bits, for all events at once; an event is only asked for the values to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from soc.detect.columns import MEMO_CHARS, Column
from soc.detect.compile import Compiled, Compiler, Expression
from soc.detect.condition import Leaf, Not, Or, Tree
from soc.detect.detection import Ask
from soc.detect.explain import MAX_ACTUAL, satisfying
from soc.detect.match import Batch
from soc.detect.pivot import rows
from soc.detect.slow import Test, tester
from soc.event import Matched, text_of


@dataclass(slots=True)
class _Node:
    """A leaf has `ask`; a conjunction or disjunction `children`. `by_atom`: children that are one literal atom.

    `twice`, of a root: whether a predicate stands twice in the rule. `made`: by name and value, of a leaf.
    `tests`: of a keyword.
    """

    expression: Expression
    ask: Ask | None = None
    column: Column | None = None
    any: bool = False
    children: tuple[_Node, ...] = ()
    by_atom: Mapping[int, tuple[int, ...]] | None = None
    atoms: frozenset[int] = frozenset()
    rest: tuple[int, ...] = ()
    twice: bool = False
    tests: tuple[Test, ...] = ()
    made: dict[tuple[str, str], Matched] = field(default_factory=dict)


#: Alternatives from which on a look-up by atom is quicker than asking each.
_MANY: Final = 8
#: Matched predicates that a leaf remembers, of values up to MEMO_CHARS.
_MADE: Final = 64


def root(tree: Tree[Ask], compiler: Compiler) -> _Node | None:
    """The rule's tree with each node's expression; None where there is nothing to show."""
    out = node(tree, compiler)
    if out is not None:
        asked = [(ask.field, ask.op, ask.pattern) for ask in _asks(out)]
        out.twice = len(set(asked)) < len(asked)
    return out


def _asks(at: _Node) -> Iterator[Ask]:
    if at.ask is not None:
        yield at.ask
    for child in at.children:
        yield from _asks(child)


def node(tree: Tree[Ask], compiler: Compiler) -> _Node | None:
    """A node of it; None for a negation, which has nothing to show."""
    if isinstance(tree, Not):
        return None
    if isinstance(tree, Leaf):
        compiled = compiler.leaf(tree.asks)
        column = compiler.columns[compiler.column(tree.asks.targets, tree.asks.field)]
        return _Node(compiled.expression, tree.asks, column)
    pairs = [(child, made) for child in tree.children if (made := node(child, compiler)) is not None]
    out = _Node(compiler.tree(tree).expression, any=isinstance(tree, Or), children=tuple(made for _, made in pairs))
    if out.any and len(pairs) >= _MANY:
        _index(out, [compiler.tree(child) for child, _ in pairs], compiler.late.keys())
    return out


def _index(out: _Node, compiled: list[Compiled], late: Set[int]) -> None:
    by_atom: dict[int, tuple[int, ...]] = {}
    rest = []
    for i, one in enumerate(compiled):
        if one.plain and one.witness is not None and late.isdisjoint(one.witness):
            for atom in one.witness:
                by_atom[atom] = (*by_atom.get(atom, ()), i)
        else:
            rest.append(i)
    out.by_atom, out.atoms, out.rest = by_atom, frozenset(by_atom), tuple(rest)


def details(at: _Node | None, batch: Batch, mask: int) -> dict[int, tuple[Matched, ...]]:
    """By row, for the events in the mask: what holds, in the rule's order, nothing twice."""
    collected: dict[int, list[Matched]] = {row: [] for row in rows(mask)}
    if at is not None:
        _collect(at, batch, mask, collected)
        if at.twice:
            return {row: tuple(dict.fromkeys(found)) for row, found in collected.items()}
    return {row: tuple(found) for row, found in collected.items()}


def _collect(at: _Node, batch: Batch, mask: int, collected: dict[int, list[Matched]]) -> None:
    if at.ask is not None:
        events = batch.events
        for row in rows(mask):
            collected[row].append(_matched(at, at.ask, events[row]))
    elif not at.any:
        for child in at.children:
            _collect(child, batch, mask, collected)
    else:
        for child, held in _true(at, batch, mask):
            _collect(child, batch, held, collected)


def _true(at: _Node, batch: Batch, mask: int) -> Iterator[tuple[_Node, int]]:
    """The alternatives that hold, each with the events for which it does."""
    if at.by_atom is None:
        for child in at.children:
            if held := child.expression(batch, mask):
                yield child, held
        return
    found = {i: held for i in at.rest if (held := at.children[i].expression(batch, mask))}
    for atom in at.atoms & batch.held:
        if held := batch.bits[atom] & mask:
            for i in at.by_atom[atom]:
                found[i] = found.get(i, 0) | held
    for i in sorted(found):
        yield at.children[i], found[i]


def _saying(at: _Node, ask: Ask, values: list[Any]) -> list[Any]:
    """The first word that the keyword is found in."""
    if not at.tests:
        at.tests = tuple(map(tester, ask.predicates))
    for test in at.tests:
        for value in values:
            if value is not None and test(value):
                return [value]
    return values


def _matched(at: _Node, ask: Ask, event: Mapping[str, Any]) -> Matched:
    column = at.column
    assert column is not None
    name, value = column.plain(event)
    if value is None:
        here, values = column.values(event)
        if column.keywords:
            values = _saying(at, ask, values)
        elif len(values) > 1:
            values = next((v for p in ask.predicates if (v := satisfying(p, here, values, ask, event))), values)
        name = next((n for n in column.names if n in event), ask.targets[0] if ask.targets else "")
        value = "" if not values or values[0] is None else text_of(values[0])
    known = at.made.get((name, value))
    if known is None:
        known = Matched(ask.field or "", name, ask.op, ask.pattern, value[:MAX_ACTUAL])
        if len(value) <= MEMO_CHARS:
            if len(at.made) >= _MADE:
                at.made.clear()
            at.made[name, value] = known
    return known
