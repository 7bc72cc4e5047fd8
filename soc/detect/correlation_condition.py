"""The condition of a correlation: YAML value → Condition (thresholds that must all hold, or alternatives of rules).

Sources: Sigma correlation specification 2.1.0, "Condition"; SEP #198 for boolean conditions (`ra and not rb`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

OPERATORS: Final = ("gt", "gte", "lt", "lte", "eq", "neq")
_COMPARES: Final = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq, "neq": ne}
#: A boolean condition is kept as its alternatives (disjunctive normal form); more than these is no rule a person wrote.
MAX_ALTERNATIVES: Final = 128
_MAX_UNFOLDED: Final = 2_048
_MAX_DEPTH: Final = 50
_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?")


class ConditionError(ValueError):
    """What was expected of a condition; the caller knows file and line."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to meet a boolean condition: rules that happen and rules that do not, each in the correlation's order."""

    present: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """Either thresholds (`compare`: all must hold) or `alternatives` (one must hold); `text` is how it was written.

    `fields` are the Sigma names whose values are counted or summed; `percentile` lies in 0..100.
    """

    compare: tuple[tuple[str, int | float], ...] = ()
    fields: tuple[str, ...] = ()
    percentile: int | float | None = None
    alternatives: tuple[Alternative, ...] = ()
    text: str = ""


def exact(value: object) -> int | Fraction | None:
    """A JSON number or numeric text as an exact number: 0.1 is one tenth. None for all else, NaN and infinity too."""
    if type(value) is int:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else Fraction(repr(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value) if value.isdecimal() else Fraction(value)
    return None


def thresholds(mapping: Mapping[str, Any]) -> Condition:
    """`{gt: 100, lte: 200}`, `{field: User, gte: 5}`, `{field: bytes, percentile: 95, gt: 1e6}` → Condition."""
    compare: list[tuple[str, int | float]] = []
    for key, value in mapping.items():
        if key in OPERATORS:
            compare.append((key, _number(value, key)))
        elif key not in ("field", "percentile"):
            raise ConditionError(f"unknown key {key!r} in condition; known: {', '.join(OPERATORS)}, field, percentile")
    if not compare:
        raise ConditionError(f"condition needs a comparison, one of {', '.join(OPERATORS)}")
    if not _possible(compare):
        raise ConditionError("no number meets this condition: its bounds exclude each other")
    percentile: int | float | None = None
    if "percentile" in mapping:
        percentile = _number(mapping["percentile"], "percentile")
        if not 0 <= percentile <= 100:
            raise ConditionError(f"percentile lies between 0 and 100, not {percentile}")
    return Condition(tuple(compare), _fields(mapping.get("field")), percentile, (), _text(mapping))


def _number(value: object, key: str) -> int | float:
    number = exact(value)
    if number is None or not -(10**300) < number < 10**300:
        raise ConditionError(f"{key} takes a number, not {value!r}")
    return int(number) if number.denominator == 1 else float(number)


def _fields(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConditionError(f"field takes a field name or a list of them, not {value!r}")
    return tuple(str(name) for name in names)


def _text(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in mapping.items())


def _possible(compare: list[tuple[str, int | float]]) -> bool:
    """Whether some number meets all comparisons: a bound itself, or a point between or beyond two bounds."""
    bounds = sorted({Fraction(str(n)) for _, n in compare})
    between = [(a + b) / 2 for a, b in pairwise(bounds)]
    return any(map(predicate(compare), (*bounds, *between, bounds[0] - 1, bounds[-1] + 1)))


def predicate(compare: Sequence[tuple[str, int | float]]) -> Callable[[int | Fraction], bool]:
    """Whether a number meets all comparisons; decimal fractions are taken exactly as written."""
    tests = []
    for op, written in compare:
        bound = exact(written)
        assert bound is not None, "thresholds are finite"
        tests.append((_COMPARES[op], bound))
    if len(tests) == 1:
        test, only = tests[0]
        return lambda number: bool(test(number, only))
    return lambda number: all(test(number, bound) for test, bound in tests)


# ---------------------------------------------------------------- boolean conditions

#: A tree of ("rule", name), ("not", tree), ("and", trees), ("or", trees).
_Tree = tuple[str, Any]
_Term = tuple[frozenset[str], frozenset[str]]


def named(text: str) -> list[str]:
    """Rules that a boolean condition names, in order of appearance. Raises ConditionError if it cannot be read."""
    found: dict[str, None] = {}
    stack = [_parsed(text)]
    while stack:
        kind, body = stack.pop()
        if kind == "rule":
            found[body] = None
        else:
            stack.extend([body] if kind == "not" else reversed(body))
    return list(found)


def alternatives(text: str, rules: tuple[str, ...]) -> Condition:
    """`ra and (rb or not rc)` → its alternatives; `rules` gives the order. Each must ask for a rule that happens."""
    place = {rule: i for i, rule in enumerate(rules)}
    terms = _minimal(_terms(_parsed(text), True))
    if not terms:
        raise ConditionError("nothing can meet this condition: it asks for a rule and for its absence")
    made = []
    for present, absent in sorted(terms, key=lambda t: (sorted(t[0]), sorted(t[1]))):
        if not present:
            raise ConditionError(
                "absence alone cannot be noticed: each alternative must name a rule that happens, as in 'ra and not rb'"
            )
        made.append(Alternative(_in_order(present, place), _in_order(absent, place)))
    return Condition(alternatives=tuple(made), text=text)


def _in_order(names: frozenset[str], place: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(names, key=place.__getitem__))


def _terms(tree: _Tree, wanted: bool) -> set[_Term]:
    """Disjunctive normal form of the tree, or of its negation; terms that contradict themselves are left out."""
    kind, body = tree
    if kind == "rule":
        one, none = frozenset([body]), frozenset[str]()
        return {(one, none) if wanted else (none, one)}
    if kind == "not":
        return _terms(body, not wanted)
    parts = [_terms(part, wanted) for part in body]
    if (kind == "or") == wanted:
        return _minimal(set().union(*parts))
    product: set[_Term] = {(frozenset(), frozenset())}
    for part in parts:
        product = _minimal({(a | c, b | d) for a, b in product for c, d in part if not (a | c) & (b | d)})
    return product


def _minimal(terms: set[_Term]) -> set[_Term]:
    """Without the terms that ask for more than another one does."""
    few = len(terms) <= _MAX_UNFOLDED
    kept = {t for t in terms if few and not any(o != t and o[0] <= t[0] and o[1] <= t[1] for o in terms)}
    if not few or len(kept) > MAX_ALTERNATIVES:
        raise ConditionError(f"condition unfolds to more than {MAX_ALTERNATIVES} alternatives")
    return kept


def _parsed(text: str) -> _Tree:
    words: list[str] = re.findall(r"[()]|[^\s()]+", text)
    if not words:
        raise ConditionError("condition is empty; expected an expression such as 'rule_a and not rule_b'")
    if len(words) > 1_000:
        raise ConditionError("condition is longer than 1000 words")
    rest = iter([*words, ""])
    reader = _Reader(rest)
    tree = reader.any_of(0)
    if reader.word:
        raise ConditionError(f"expected 'and' or 'or' before {reader.word!r} in condition {text!r}")
    return tree


class _Reader:
    """Recursive descent: or < and < not < ( ). `word` is the next word, '' at the end."""

    def __init__(self, rest: Iterator[str]) -> None:
        self._rest = rest
        self.word = next(rest)

    def _next(self) -> str:
        taken, self.word = self.word, next(self._rest, "")
        return taken

    def any_of(self, depth: int) -> _Tree:
        parts = [self.all_of(depth)]
        while self.word.lower() == "or":
            self._next()
            parts.append(self.all_of(depth))
        return parts[0] if len(parts) == 1 else ("or", parts)

    def all_of(self, depth: int) -> _Tree:
        parts = [self.one(depth)]
        while self.word.lower() == "and":
            self._next()
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else ("and", parts)

    def one(self, depth: int) -> _Tree:
        if depth > _MAX_DEPTH:
            raise ConditionError("condition is nested too deeply")
        word = self._next()
        if word.lower() == "not":
            return ("not", self.one(depth + 1))
        if word == "(":
            inner = self.any_of(depth + 1)
            if self._next() != ")":
                raise ConditionError("a parenthesis is not closed in condition")
            return inner
        if not word or word == ")" or word.lower() in ("and", "or"):
            raise ConditionError(f"expected a rule name, 'not' or '(' {f'before {word!r}' if word else 'at the end'}")
        return ("rule", word)
