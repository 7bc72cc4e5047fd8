"""An explained condition as text: one line a node, indented, with what the event holds."""

from __future__ import annotations

from collections.abc import Iterator

from soc.alert.words import quoted
from soc.detect.explain import Explained


def tree(node: Explained) -> str:
    """PASS and FAIL per node; a leaf says field, operator, pattern and the event's value."""
    return "\n".join(_lines(node, 0))


def _lines(node: Explained, depth: int) -> Iterator[str]:
    mark = "PASS" if node.true else "FAIL"
    if node.kind == "leaf":
        value = "absent" if node.actual is None else quoted(node.actual)
        yield f"{'  ' * depth}{mark} {node.field or 'keywords'} {node.op} {quoted(node.pattern)} (event: {value})"
        return
    yield f"{'  ' * depth}{mark} {node.kind}{f' {node.name}' if node.name else ''}"
    for child in node.children:
        yield from _lines(child, depth + 1)
