"""The names of a flat document → how it is nested, and which of its fields need what beside it.

Senders write few shapes, and one look at a shape is cheaper than a look at each name of each document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from soc.store.tree import UNSPOKEN

#: Names under which only we write; hidden when a document is read.
RESERVED: Final = ("soc.index", "soc.record")

_MAX_SHAPES: Final = 4096
_MAX_NAMES: Final = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """What documents with the same names, in the same order, have in common."""

    parents: tuple[tuple[int, str], ...]  # objects to make: number of the object it goes into, and its key there
    leaves: tuple[tuple[int, str], ...]  # for each name: number of the object that its value goes into, and its key
    vendor: tuple[str, ...]  # fields without a type of their own
    spoken: tuple[str, ...]  # fields whose values are searched by words and are not text fields themselves
    addresses: tuple[str, ...]
    dates: tuple[str, ...]
    look: tuple[str, ...]  # names that only the document itself tells exactly, whatever their values
    apart: frozenset[str]  # names that cannot stand in a document of the server
    above: frozenset[str]  # names below which the mapping has fields
    reserved: str  # a name that is ours, "" = none


class Shapes(dict[tuple[str, ...], Shape]):
    """Remembers; bounded. `kinds`: field → type in the index that is written to."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        super().__init__()
        self._kinds = kinds
        self._objects = frozenset(above for name in kinds for above in ancestors(name))

    def __missing__(self, names: tuple[str, ...]) -> Shape:
        made = self._shape(names)
        if len(names) <= _MAX_NAMES:
            if len(self) >= _MAX_SHAPES:
                self.clear()
            self[names] = made
        return made

    def _shape(self, names: tuple[str, ...]) -> Shape:
        kinds = self._kinds
        parents, leaves = _nesting(names)
        vendor = tuple(name for name in names if name not in kinds)
        spelled = Counter(name.lower() for name in vendor)  # the flattened field takes case lightly
        look = [name for name in vendor if spelled[name.lower()] > 1]
        values = frozenset(names)
        look += [name for name in names if any(above in values for above in ancestors(name))]
        return Shape(
            parents=parents,
            leaves=leaves,
            vendor=vendor,
            spoken=tuple(name for name in names if name not in UNSPOKEN and kinds.get(name) != "text"),
            addresses=tuple(name for name in names if kinds.get(name) == "ip"),
            dates=tuple(name for name in names if kinds.get(name) == "date" and name != "@timestamp"),
            look=tuple(dict.fromkeys(look)),
            apart=frozenset(name for name in names if self._is_awkward(name)),
            above=self._objects & values,
            reserved=next((n for n in names if any(n == r or n.startswith(f"{r}.") for r in RESERVED)), ""),
        )

    def _is_awkward(self, name: str) -> bool:
        """Empty and blank steps, names of the server's own, and what lies below a field with a type."""
        steps = name.split(".")
        return (
            not all(step.strip() for step in steps)
            or name.startswith("_")
            or name == "soc"
            or any(above in self._kinds for above in ancestors(name))  # the server takes nothing there
        )


def ancestors(name: str) -> list[str]:
    """ "a.b.c" → "a", "a.b"."""
    return [name[:at] for at in range(len(name)) if name[at] == "."]


def _nesting(names: tuple[str, ...]) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    """As `soc.event.nested` does it: what lies below a name that is there itself keeps its dotted name."""
    values = frozenset(names)
    numbers: dict[str, int] = {"": 0}
    parents: list[tuple[int, str]] = []
    leaves: list[tuple[int, str]] = []
    for name in names:
        above = ancestors(name)
        if any(parent in values for parent in above):
            leaves.append((0, name))
            continue
        at = 0
        for path in above:
            if path not in numbers:
                parents.append((at, path.rpartition(".")[2]))
                numbers[path] = len(parents)
            at = numbers[path]
        leaves.append((at, name.rpartition(".")[2]))
    return tuple(parents), tuple(leaves)
