"""Details of a match: a rule, a batch in which it matched, and an event of it → the predicates that made it true.

Which leaves hold is read from the batch's bits; the event is only asked for the values to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from soc.detect.columns import Column
from soc.detect.compile import Compiled, Compiler, Expression
from soc.detect.condition import Leaf, Not, Or, Tree
from soc.detect.detection import Ask
from soc.detect.explain import MAX_ACTUAL, satisfying
from soc.detect.match import Batch
from soc.event import Matched, text_of


@dataclass(slots=True)
class _Node:
    """A leaf has `ask`; a conjunction or disjunction `children`. `by_atom`: children that are one literal atom."""

    expression: Expression
    ask: Ask | None = None
    column: Column | None = None
    any: bool = False
    children: tuple[_Node, ...] = ()
    by_atom: Mapping[int, tuple[int, ...]] | None = None
    atoms: frozenset[int] = frozenset()
    rest: tuple[int, ...] = ()


#: Alternatives from which on a look-up by atom is quicker than asking each.
_MANY: Final = 8


def node(tree: Tree[Ask], compiler: Compiler) -> _Node | None:
    """The rule's tree with each node's expression; None for a negation, which has nothing to show."""
    if isinstance(tree, Not):
        return None
    if isinstance(tree, Leaf):
        compiled = compiler.leaf(tree.asks)
        column = compiler.columns[compiler.column(tree.asks.targets, tree.asks.field)]
        return _Node(compiled.expression, tree.asks, column)
    pairs = [(child, made) for child in tree.children if (made := node(child, compiler)) is not None]
    out = _Node(compiler.tree(tree).expression, any=isinstance(tree, Or), children=tuple(made for _, made in pairs))
    if out.any and len(pairs) >= _MANY:
        _index(out, [compiler.tree(child) for child, _ in pairs])
    return out


def _index(out: _Node, compiled: list[Compiled]) -> None:
    by_atom: dict[int, tuple[int, ...]] = {}
    rest = []
    for i, one in enumerate(compiled):
        if one.plain and one.witness is not None:
            for atom in one.witness:
                by_atom[atom] = (*by_atom.get(atom, ()), i)
        else:
            rest.append(i)
    out.by_atom, out.atoms, out.rest = by_atom, frozenset(by_atom), tuple(rest)


def details(root: _Node | None, batch: Batch, row: int) -> tuple[Matched, ...]:
    """What holds for the event in that row, in the rule's order, nothing twice."""
    if root is None or (root.any and not root.expression(batch, 1 << row)):
        return ()
    return tuple(dict.fromkeys(_collected(root, batch, row)))


def _collected(at: _Node, batch: Batch, row: int) -> Iterator[Matched]:
    if at.ask is not None:
        yield _matched(at.ask, at.column, batch.events[row])
    elif not at.any:
        for child in at.children:
            yield from _collected(child, batch, row)
    else:
        for i in _true(at, batch, 1 << row):
            yield from _collected(at.children[i], batch, row)


def _true(at: _Node, batch: Batch, bit: int) -> list[int]:
    """Numbers of the alternatives that hold."""
    if at.by_atom is None:
        return [i for i, child in enumerate(at.children) if child.expression(batch, bit)]
    found = {i for i in at.rest if at.children[i].expression(batch, bit)}
    for atom in at.atoms & batch.held:
        if batch.bits[atom] & bit:
            found.update(at.by_atom[atom])
    return sorted(found)


def _matched(ask: Ask, column: Column | None, event: Mapping[str, Any]) -> Matched:
    assert column is not None
    name, value = column.plain(event)
    if value is None:
        here, values = column.values(event)
        if column.keywords or len(values) > 1:
            values = next((v for p in ask.predicates if (v := satisfying(p, here, values, ask, event))), values)
        name = next((n for n in column.names if n in event), ask.targets[0] if ask.targets else "")
        value = "" if not values or values[0] is None else text_of(values[0])
    return Matched(ask.field or "", name, ask.op, ask.pattern, value[:MAX_ACTUAL])
