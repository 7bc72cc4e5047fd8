"""Marks: the characters that stand for begin and end of a value in scanned text, and what may not be scanned for."""

from __future__ import annotations

from typing import Final

BEGIN: Final = "\x02"
END: Final = "\x03"
BETWEEN: Final = END + BEGIN
#: What a mark that stands in a value itself becomes: a noncharacter.
_STAND_INS: Final = str.maketrans({BEGIN: "\ufdd0", END: "\ufdd1"})
_RESERVED: Final = frozenset("\x02\x03\ufdd0\ufdd1")


def scannable(literal: str) -> bool:
    """May the literal be scanned for? Others are tested one by one."""
    return bool(literal) and _RESERVED.isdisjoint(literal)


def clean(value: str) -> str:
    """The value without marks of its own."""
    return value.translate(_STAND_INS) if BEGIN in value or END in value else value
