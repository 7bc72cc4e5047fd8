"""Letters → whether the server sees their words and their case as we do; documents with others are looked at.

The server lowers and folds with Lucene's tables, we with Unicode's (`soc.store.fold`). They agree on ASCII, on the
letters of Vietnamese and on most of what else is written here; a document that holds any other letter bears a mark in
soc.index.odd, and a search that meets the mark asks `soc.store.evaluate`. So a search is exact, and quick where it
matters. tests/services/elasticsearch compares both sides on every letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

from soc.store.elasticsearch.fields import LETTER
from soc.store.fold import keyword, words

WORDS: Final = "words"  # the words of this document may differ
VALUES: Final = "values"  # the case or composition of its values may differ

_ASCII: Final = bytes(range(128))
_MARKS: Final = range(0x300, 0x370)
_STROKES: Final = frozenset("ĐđÐð")
_LETTER: Final = re.compile(f"[{LETTER}]")
_JAMO: Final = range(0x1100, 0x1200)  # compose with each other
_UNSURE: Final = frozenset({"Mn", "Mc", "Me", "Cn"})  # marks, and what later versions of Unicode may assign
_LATIN: Final = (*range(0x80, 0x250), *range(0x1E00, 0x1F00))
_REMEMBERED: Final = 1 << 14


def same_words(char: str) -> bool:
    """Whether the server's analyzer makes of the character what `fold.words` does, whatever stands around it."""
    if ord(char) in _MARKS or char in _STROKES or char.isascii():
        return True
    letter = _LETTER.match(char) is not None
    if not words(char):
        return not letter
    parts = unicodedata.normalize("NFD", char)
    return letter and parts[0].isascii() and all(ord(mark) in _MARKS for mark in parts[1:])


def same_value(char: str) -> bool:
    """Whether the character has one form, and its other case is the one that `_cases` knows."""
    if char.isascii():
        return True
    if unicodedata.category(char) in _UNSURE or ord(char) in _JAMO or unicodedata.normalize("NFC", char) != char:
        return False
    if char.lower() == char and char.upper() == char:
        return True
    return ord(char) in _LATIN and len(char.lower()) == 1 and keyword(char) == char.lower()


class Odd:
    """JSON in UTF-8 → the marks that its letters call for. Remembers; bounded."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, ...]] = {}

    def marks(self, document: bytes) -> tuple[str, ...]:
        """(), or WORDS, VALUES or both."""
        if document.isascii():
            return ()
        rest = document.translate(None, _ASCII)
        found = self._known.get(rest)
        if found is None:
            found = _marks(set(rest.decode()))
            if len(rest) <= 512:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[rest] = found
        return found


def _marks(chars: Iterable[str]) -> tuple[str, ...]:
    known = [_of_char(char) for char in chars]
    words_differ = not all(same for same, _ in known)
    values_differ = not all(same for _, same in known)
    return (WORDS,) * words_differ + (VALUES,) * values_differ


@cache
def _of_char(char: str) -> tuple[bool, bool]:
    return same_words(char), same_value(char)


@cache
def _cases() -> dict[str, str]:
    """Character as `fold.keyword` leaves it → all that it stands for, of those with `same_value`."""
    found: dict[str, str] = {}
    for point in (*range(0x80), *_LATIN):
        char = chr(point)
        if same_value(char):
            found[keyword(char)] = found.get(keyword(char), "") + char
    return found


def cases(char: str) -> str:
    """The characters that equal this one of a keyword's comparable text; "" if documents without a mark hold none."""
    return _cases().get(char) or (char if same_value(char) else "")
