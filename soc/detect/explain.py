"""Why a rule matches an event, or does not: a rule and an event → the tree of its condition with true and false.

Evaluates directly, value by value, apart from the batch matcher, and so is also what the tests hold against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from soc.detect.columns import Column
from soc.detect.condition import And, Leaf, Not, Tree
from soc.detect.detection import Ask
from soc.detect.predicate import Exists, Null, Predicate, Present, Reference, holds, refers
from soc.detect.value import without_spaces
from soc.event import text_of

#: Characters of a value that are shown; the event holds the rest.
MAX_ACTUAL: Final = 1000


@dataclass(frozen=True, slots=True)
class Explained:
    """A node of the condition: `kind` is and, or, not, or leaf; `name` the selection or pattern that it stands for.

    A leaf has the field, its ECS name, operator and pattern of the rule, and the event's actual value (`None`: absent).
    """

    kind: str
    true: bool
    name: str = ""
    field: str = ""
    ecs: str = ""
    op: str = ""
    pattern: str = ""
    actual: str | None = None
    children: tuple[Explained, ...] = ()


def explained(node: Tree[Ask], event: Mapping[str, Any]) -> Explained:
    """The whole tree, nothing cut short."""
    return _explained(node, without_spaces(event))


def _explained(node: Tree[Ask], event: Mapping[str, Any]) -> Explained:
    if isinstance(node, Leaf):
        return _leaf(node.asks, event)
    if isinstance(node, Not):
        inner = _explained(node.child, event)
        return Explained("not", not inner.true, children=(inner,))
    children = tuple(_explained(child, event) for child in node.children)
    if isinstance(node, And):
        return Explained("and", all(child.true for child in children), node.name, children=children)
    return Explained("or", any(child.true for child in children), node.name, children=children)


def _leaf(ask: Ask, event: Mapping[str, Any]) -> Explained:
    column = Column(ask.targets, ask.field)
    here, values = column.values(event)
    deciding = next((v for p in ask.predicates for v in satisfying(p, here, values, ask, event)), _NOTHING)
    true = deciding is not _NOTHING
    if ask.field is None:
        actual = text_of(deciding) if true else None
    else:
        actual = text_of(deciding if true and deciding is not None else _shown(values)) if here else None
    ecs = next((name for name in column.names if name in event), ask.targets[0] if ask.targets else "")
    return Explained(
        "leaf",
        true,
        field=ask.field or "",
        ecs=ecs,
        op=ask.op,
        pattern=ask.pattern,
        actual=None if actual is None else actual[:MAX_ACTUAL],
    )


_NOTHING: Final = object()


def _shown(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def satisfying(predicate: Predicate, here: bool, values: list[Any], ask: Ask, event: Mapping[str, Any]) -> list[Any]:
    """Values that satisfy the predicate; [None] where it is satisfied by there being none."""
    if isinstance(predicate, Null):
        return [None] if not values or any(value is None for value in values) else []
    if isinstance(predicate, Exists):
        return [None] if here == predicate.wanted else []
    there = [value for value in values if value is not None]
    if isinstance(predicate, Present):
        return there
    scalars = [value for value in there if not isinstance(value, Mapping)]
    if isinstance(predicate, Reference):
        others = Column(ask.others[:-1], ask.others[-1]).values(event)[1]
        its = [other for other in others if other is not None and not isinstance(other, Mapping)]
        return [value for value in scalars if any(refers(predicate, value, other) for other in its)]
    return [value for value in scalars if holds(predicate, value)]
