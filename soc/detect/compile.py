"""Compilation: the trees of all rules → columns with numbered atoms, and one expression per rule over bits.

The answer of an atom for a batch is an int: bit i says that event i satisfies it. An expression takes the batch and a
mask of the events still in question, and returns those of them for which it is true; so a conjunction narrows, a
negation is `mask ^ inner`, and whatever is slow is asked only about the events that are left.

A rule's *witness* is a set of atoms of which at least one must hold; only rules with a witness in the batch are
evaluated. Rules without one (nothing but negations) are always evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from soc.detect.columns import Column
from soc.detect.condition import And, Leaf, Not, Tree
from soc.detect.detection import Ask
from soc.detect.fold import fold, plain
from soc.detect.marks import BEGIN, END, scannable
from soc.detect.pattern import Wild
from soc.detect.predicate import Exists, Null, Number, Predicate, Present, Reference, Regex, Text
from soc.detect.required import required
from soc.detect.value import number


class Batch(Protocol):
    """What an expression asks of a batch of events: the bits of literal atoms, and slow atoms tested on demand."""

    bits: dict[int, int]  # atom → one bit for each event for which it holds
    solid: dict[int, int]  # column → events that hold a value there
    held: frozenset[int]  # atoms with any bit

    def literal(self, atom: int, mask: int) -> int: ...

    def tested(self, atom: int, mask: int) -> int: ...


Expression = Callable[[Batch, int], int]

#: Costs, to choose among witnesses and to order conjunctions: how often, roughly, an atom holds.
_RARE, _SHORT, _NUMBER, _SLOW, _PRESENT = 1.0, 8.0, 12.0, 60.0, 500.0


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression, its witness (None: it may be true with no atom at all), and the witness' cost."""

    expression: Expression
    witness: frozenset[int] | None
    cost: float
    slow: bool = False  # holds a test value by value
    plain: bool = False  # is nothing but any of the witness' atoms


@dataclass(frozen=True, slots=True)
class SlowAtom:
    """A predicate that is tested value by value, only where it matters. `other`: the column a Reference refers to."""

    column: int
    predicate: Predicate
    other: int = -1


@dataclass(frozen=True, slots=True)
class LateAtom:
    """A common literal that is no witness: looked for only in events of rules that may be true. `marked` as scanned."""

    column: int
    cased: bool
    marked: str


class Compiler:
    """Gathers the atoms of all rules. Columns are shared by all rules that read the same names.

    `late`: common literals that the scans leave out. Most of what a scan would find is a blank, a letter or `.exe` that
    rules ask for beside something rarer. Long lists of them are scanned for all the same (`listed`).
    """

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.slow: dict[int, SlowAtom] = {}
        self.late: dict[int, LateAtom] = {}
        self.listed: set[int] = set()
        self.frequency: list[float] = []  # cost by atom
        self.touched: set[int] = set()  # atoms asked for since the caller emptied it
        self._by_names: dict[tuple[tuple[str, ...], str | None], int] = {}

    def column(self, targets: tuple[str, ...], own: str | None) -> int:
        """Number of the column for these names."""
        key = (targets, own)
        if key not in self._by_names:
            self._by_names[key] = len(self.columns)
            self.columns.append(Column(targets, own))
        return self._by_names[key]

    def finish(self, witnesses: Iterable[frozenset[int]]) -> None:
        """Build the automata; slow atoms in a witness are tested for every value."""
        wanted = frozenset().union(*witnesses)
        for i, column in enumerate(self.columns):
            column.eager = tuple((p, atom) for p, atom in column.slow.items() if atom in wanted)
            for scan in (column.folded, column.cased) if not column.keywords else ():
                for marked, atom in scan.marked.items():
                    if self.frequency[atom] >= _SHORT and atom not in wanted and atom not in self.listed:
                        self.late[atom] = LateAtom(i, scan is column.cased, marked)
            column.build(self.late.keys())

    def tree(self, node: Tree[Ask]) -> Compiled:
        if isinstance(node, Leaf):
            return self.leaf(node.asks)
        if isinstance(node, Not):
            inner = self.tree(node.child).expression
            return Compiled(lambda batch, mask: mask ^ inner(batch, mask), None, _PRESENT)
        children = [self.tree(child) for child in node.children]
        return conjunction(children) if isinstance(node, And) else disjunction(children, self.listed)

    def leaf(self, ask: Ask) -> Compiled:
        """One value asked of one field, in any of its alternatives."""
        return disjunction([self.predicate(one, ask) for one in ask.predicates], self.listed)

    def predicate(self, predicate: Predicate, ask: Ask) -> Compiled:
        column = self.column(ask.targets, ask.field)
        if isinstance(predicate, Null):
            return Compiled(lambda batch, mask: mask & ~batch.solid.get(column, 0), None, _PRESENT)
        if isinstance(predicate, Exists):
            return self.exists(column, predicate.wanted)
        if isinstance(predicate, Present):
            if self.columns[column].present < 0:
                self.columns[column].present = self.atom(_PRESENT)
            return one(self.columns[column].present, _PRESENT)
        if isinstance(predicate, Number):
            atom = self.known(self.columns[column].numbers, predicate.number, _NUMBER)
            return one(atom, self.frequency[atom])
        if isinstance(predicate, Text):
            return self.text(predicate, column)
        if isinstance(predicate, Regex):
            return self.regex(predicate, column)
        other = self.column(*split(ask.others)) if isinstance(predicate, Reference) else -1
        return self.tested(column, predicate, other)

    def exists(self, number_of: int, wanted: bool) -> Compiled:
        column = self.columns[number_of]
        if column.exists < 0:
            column.exists = self.atom(_PRESENT)
        atom = column.exists
        if wanted:
            return one(atom, _PRESENT)
        return Compiled(lambda batch, mask: mask & ~batch.bits.get(atom, 0), None, _PRESENT)

    def text(self, predicate: Text, column: int) -> Compiled:
        """A string: one literal atom if it can be, else literals that it needs, then the slow test."""
        parts = predicate.parts
        scan = self.columns[column].cased if predicate.cased else self.columns[column].folded
        normal = plain if predicate.cased else fold
        if len(parts) <= 1 and all(isinstance(part, str) for part in parts):
            return self.whole(predicate, column)
        literals = [self.marked(parts, i, normal) for i, part in enumerate(parts) if isinstance(part, str)]
        usable = sorted((literal for literal in literals if literal is not None), key=len, reverse=True)
        simple = len(literals) == len(usable) == 1 and all(part is Wild.ANY or isinstance(part, str) for part in parts)
        if not simple:  # the longest two tell enough, single characters nothing
            usable = [literal for literal in usable[:2] if len(literal) > 1]
        atoms = [self.known(scan.marked, literal, frequency(literal)) for literal in usable]
        found = [one(atom, self.frequency[atom]) for atom in atoms]
        return found[0] if simple else conjunction([*found, self.tested(column, predicate)])

    def regex(self, predicate: Regex, column: int) -> Compiled:
        """A regular expression, behind the literals that it needs if they can be told."""
        test = self.tested(column, predicate)
        literals = [fold(literal) for literal in required(plain(predicate.pattern)) or ()]
        if not literals or not all(map(scannable, literals)):
            return test
        marked = self.columns[column].folded.marked
        atoms = [self.known(marked, literal, frequency(literal)) for literal in literals]
        return conjunction([disjunction([one(atom, self.frequency[atom]) for atom in atoms], self.listed), test])

    def whole(self, predicate: Text, number_of: int) -> Compiled:
        column = self.columns[number_of]
        literal = predicate.parts[0] if predicate.parts else ""
        assert isinstance(literal, str)
        scan, normal = (column.cased, plain) if predicate.cased else (column.folded, fold)
        atom = self.known(scan.whole, normal(literal), _RARE if len(literal) > 3 else _SHORT)
        value = number(literal)
        if value is not None and atom not in column.typed.setdefault(value, []):
            column.typed[value].append(atom)
        return one(atom, self.frequency[atom])

    @staticmethod
    def marked(parts: tuple[Any, ...], i: int, normal: Callable[[str], str]) -> str | None:
        """The i-th part, a literal, with the mark of the value's begin or end where it stands there."""
        literal = normal(parts[i])
        if not scannable(literal):
            return None
        return (BEGIN if i == 0 else "") + literal + (END if i == len(parts) - 1 else "")

    def tested(self, column: int, predicate: Predicate, other: int = -1) -> Compiled:
        key: Any = (predicate, other) if other >= 0 else predicate
        atom = self.known(self.columns[column].slow, key, _SLOW)
        self.slow[atom] = SlowAtom(column, predicate, other)
        return Compiled(lambda batch, mask: batch.tested(atom, mask), frozenset((atom,)), _SLOW, slow=True)

    def known(self, atoms: dict[Any, int], key: Any, cost: float) -> int:
        atom = atoms.get(key)
        if atom is None:
            atom = atoms[key] = self.atom(cost)
        self.touched.add(atom)
        return atom

    def atom(self, cost: float) -> int:
        self.frequency.append(cost)
        return len(self.frequency) - 1


def split(names: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Names of a referred field: the mapped ones, and its own, last."""
    return names[:-1], names[-1]


#: Paths that most events of Windows hold: pieces of them are common, however long.
_USUAL: Final = (
    f"{BEGIN}c:\\windows\\system32\\",
    "\\windows\\syswow64\\",
    f"{BEGIN}c:\\users\\",
    "\\appdata\\local\\temp\\",
    f"{BEGIN}c:\\program files (x86)\\",
    f".exe{END}",
    '.exe" ',
)


def frequency(literal: str) -> float:
    """How common a literal is likely to be, as a cost: short ones are, and pieces of usual paths."""
    return _SHORT if len(literal) <= 5 or any(literal in usual for usual in _USUAL) else _RARE


def one(atom: int, cost: float) -> Compiled:
    return Compiled(lambda batch, mask: batch.literal(atom, mask), frozenset((atom,)), cost, plain=True)


def any_atom(atoms: frozenset[int], cost: float, listed: set[int]) -> Compiled:
    """Any of literal atoms. Those of a long list are added to `listed`."""
    few = tuple(atoms)

    def any_of_few(batch: Batch, mask: int) -> int:
        found = 0
        for atom in few:
            found |= batch.literal(atom, mask)
        return found

    def any_of_many(batch: Batch, mask: int) -> int:
        bits = batch.bits
        found = 0
        for atom in atoms & batch.held:
            found |= bits[atom]
        return found & mask

    if len(few) > _FEW:
        listed |= atoms
    return Compiled(any_of_few if len(few) <= _FEW else any_of_many, atoms, cost, plain=True)


def conjunction(children: list[Compiled]) -> Compiled:
    """All of them, cheap ones first; its witness is the best of theirs."""
    if len(children) == 1:
        return children[0]
    ordered = sorted(children, key=lambda child: (child.slow, child.witness is None, child.cost))
    expressions = tuple(child.expression for child in ordered)
    best = min((c for c in ordered if c.witness is not None), key=lambda child: child.cost, default=ordered[0])

    def all_of(batch: Batch, mask: int) -> int:
        for expression in expressions:
            mask = expression(batch, mask)
            if not mask:
                return 0
        return mask

    return Compiled(all_of, best.witness, best.cost, any(child.slow for child in children))


def disjunction(children: list[Compiled], listed: set[int]) -> Compiled:
    """Any of them; its witness is all of theirs, or none if one of them has none. `listed`: see `any_atom`."""
    plain_ones = [child for child in children if child.plain]
    if len(plain_ones) > 1:
        atoms = frozenset().union(*(child.witness or () for child in plain_ones))
        joined = any_atom(atoms, sum(child.cost for child in plain_ones), listed)
        children = [joined, *(child for child in children if not child.plain)]
    if len(children) == 1:
        return children[0]
    ordered = sorted(children, key=lambda child: (child.slow, child.witness is None))
    witness: frozenset[int] | None = frozenset().union(*(child.witness or () for child in children))
    if any(child.witness is None for child in children):
        witness = None
    cost = sum(child.cost for child in children)
    expressions = tuple(child.expression for child in ordered)

    def any_of(batch: Batch, mask: int) -> int:
        found = 0
        for expression in expressions:
            more = expression(batch, mask)
            if more:
                found |= more
                mask ^= more
                if not mask:
                    break
        return found

    return Compiled(any_of, witness, cost, any(child.slow for child in children))


#: Up to so many atoms a loop is quicker than the intersection of sets.
_FEW: Final = 4
