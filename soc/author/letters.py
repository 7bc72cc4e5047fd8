"""Sets of letters: code points as ranges; union, complement, and what remains of them in an index of small letters."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

#: Inclusive ranges of code points, ascending, none touching the next.
Letters = tuple[tuple[int, int], ...]

LAST: Final = sys.maxunicode
_SURROGATES: Final = (0xD800, 0xDFFF)


def letters(ranges: Iterable[tuple[int, int]]) -> Letters:
    """Any ranges in order, overlapping ones made one."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return tuple(out)


def of(text: str) -> Letters:
    """The characters of a text."""
    return letters((ord(char), ord(char)) for char in text)


def complement(has: Letters) -> Letters:
    """Every character that is not there; surrogates are no characters."""
    out, at = [], 0
    for first, last in letters((*has, _SURROGATES)):
        if first > at:
            out.append((at, first - 1))
        at = last + 1
    if at <= LAST:
        out.append((at, LAST))
    return tuple(out)


def without(has: Letters, others: Letters) -> Letters:
    """These but the others."""
    return complement(letters((*complement(has), *others)))


def small(has: Letters) -> Letters:
    """What an index that keeps small letters holds of these: `A` is there as `a`."""
    lows = ((low, low) for capital, low in pairs() if _holds(has, capital))
    return letters((*without(has, capitals()), *lows))


def without_case(has: Letters) -> Letters:
    """These and their other cases."""
    lows = {low for capital, low in pairs() if _holds(has, capital) or _holds(has, low)}
    return letters((*has, *((char, char) for pair in pairs() if pair[1] in lows for char in pair)))


def _holds(has: Letters, char: int) -> bool:
    at = bisect_right(has, (char, LAST))
    return at > 0 and has[at - 1][1] >= char


@lru_cache(maxsize=1)
def capitals() -> Letters:
    """All letters that have a small one."""
    return letters((capital, capital) for capital, _ in pairs())


@lru_cache(maxsize=1)
def pairs() -> tuple[tuple[int, int], ...]:
    """Each capital letter and its small one. Letters with a better capital (K for the Kelvin sign) have none here."""
    every = ((char, chr(char).lower()) for char in range(LAST + 1))
    return tuple((char, ord(low)) for char, low in every if low != chr(char) and low.upper() == chr(char))
