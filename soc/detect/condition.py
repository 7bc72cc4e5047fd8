"""Conditions: the text `selection and not 1 of filter_*` and the names of the selections → a tree over those names.

    condition := or;  or := and ("or" and)*;  and := not ("and" not)*;  not := "not" not | operand
    operand   := "(" or ")" | ("1" | "any" | "all") "of" (pattern | "them") | name

Source: Sigma specification 2.1, "Condition". Raises ValueError with what was expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

_TOKEN: Final = re.compile(r"\s*(\(|\)|[^\s()]+)")
_MAX_DEPTH: Final = 100

L = TypeVar("L")


@dataclass(frozen=True, slots=True)
class And(Generic[L]):
    children: tuple[Tree[L], ...]
    name: str = ""  # of the selection or pattern it stands for


@dataclass(frozen=True, slots=True)
class Or(Generic[L]):
    children: tuple[Tree[L], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Not(Generic[L]):
    child: Tree[L]


@dataclass(frozen=True, slots=True)
class Leaf(Generic[L]):
    asks: L


Tree = And[L] | Or[L] | Not[L] | Leaf[L]


@dataclass(slots=True)
class Parsed:
    """A condition's tree, its leaves the names of selections; which names it uses; what a linter should say."""

    tree: Tree[str]
    used: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


def parse(text: str, names: Collection[str]) -> Parsed:
    """Raises ValueError for a text that is no condition over these names."""
    if "|" in text:
        raise ValueError(
            "the condition holds `|`: aggregations were replaced by correlation rules (a document with `correlation:`)"
        )
    parser = _Parser(_TOKEN.findall(text), names)
    return parser.parsed()


class _Parser:
    def __init__(self, tokens: list[str], names: Collection[str]) -> None:
        self.tokens = tokens
        self.names = names
        self.at = 0
        self.depth = 0
        self.used: set[str] = set()
        self.warnings: list[str] = []

    def parsed(self) -> Parsed:
        if not self.tokens:
            raise ValueError("the condition is empty")
        tree = self.any()
        if self.at < len(self.tokens):
            raise ValueError(f"the condition goes on with {self.tokens[self.at]!r} where `and` or `or` was expected")
        return Parsed(tree, self.used, self.warnings)

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ""

    def word(self, wanted: str) -> bool:
        """Take the operator if it comes next, in whatever case."""
        token = self.peek()
        if token.lower() != wanted:
            return False
        if token != wanted:
            if token in self.names:
                return False
            self.warnings.append(f"write {wanted!r} in small letters: other tools refuse {token!r}")
        self.at += 1
        return True

    def any(self) -> Tree[str]:
        return self.chain("or", self.all, Or)

    def all(self) -> Tree[str]:
        return self.chain("and", self.negation, And)

    def chain(
        self, word: str, operand: Callable[[], Tree[str]], node: Callable[[tuple[Tree[str], ...]], Tree[str]]
    ) -> Tree[str]:
        children = [operand()]
        while self.word(word):
            children.append(operand())
        return children[0] if len(children) == 1 else node(tuple(children))

    def negation(self) -> Tree[str]:
        negated = False
        while self.word("not"):
            negated = not negated
        operand = self.operand()
        return Not(operand) if negated else operand

    def operand(self) -> Tree[str]:
        token = self.peek()
        if token == "(":
            return self.group()
        if token in ("", ")"):
            raise ValueError(
                f"the condition ends, or a bracket closes, where a selection was expected ({token or 'end'})"
            )
        if self.peek(1).lower() == "of" and not (token in self.names and token not in ("1", "any", "all")):
            return self.quantified()
        self.at += 1
        if token not in self.names:
            raise ValueError(f"no selection is named {token!r}{self.near(token)}")
        self.used.add(token)
        return Leaf(token)

    def group(self) -> Tree[str]:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise ValueError("the condition is nested too deeply")
        self.at += 1
        tree = self.any()
        if self.peek() != ")":
            raise ValueError("a bracket of the condition is not closed")
        self.at += 1
        self.depth -= 1
        return tree

    def quantified(self) -> Tree[str]:
        quantifier, wanted = self.peek(), self.peek(2)
        if quantifier.lower() not in ("1", "any", "all"):
            raise ValueError(f"{quantifier!r} of: only `1 of`, `any of` and `all of` exist")
        if quantifier != quantifier.lower() or self.peek(1) != "of":
            self.warnings.append("write 'all of' in small letters: other tools refuse capitals")
        if wanted in ("", "(", ")"):
            raise ValueError(f"`{quantifier} of` needs a pattern or `them`")
        self.at += 3
        expression = re.compile(".*".join(re.escape(part) for part in ("*" if wanted == "them" else wanted).split("*")))
        matching = [
            name
            for name in self.names
            if expression.fullmatch(name) and (wanted.startswith("_") or not name.startswith("_"))
        ]
        if not matching:
            raise ValueError(f"`{quantifier} of {wanted}` names no selection{self.near(wanted.rstrip('*'))}")
        self.used.update(matching)
        leaves: tuple[Tree[str], ...] = tuple(Leaf(name) for name in matching)
        if len(leaves) == 1:
            return leaves[0]
        label = f"{quantifier} of {wanted}"
        return And(leaves, label) if quantifier.lower() == "all" else Or(leaves, label)

    def near(self, token: str) -> str:
        found = difflib.get_close_matches(token, self.names, 1)
        return f"; did you mean {found[0]!r}?" if found else f" (there are: {', '.join(self.names)})"
