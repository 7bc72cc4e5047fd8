"""Text → the form it is compared in: words without case and Vietnamese marks for text, lower case for keywords."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

#: What NFD leaves alone. Ð (U+00D0) and Ɖ (U+0189) look like Đ (U+0110) and stand in its place in real text.
_STROKES: Final = str.maketrans(
    {"đ": "d", "Đ": "d", "Ð": "d", "ð": "d", "Ɖ": "d", "ɖ": "d", "ł": "l", "Ł": "l", "ø": "o", "Ø": "o"}
)
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_WORD: Final = re.compile(r"[^\W_]+")

#: Runs of other than ASCII characters. ASCII neither combines with what stands before it nor moves in normal forms, so
#: a text folds run by run, and the runs of a language repeat.
_RUN: Final = re.compile("[^\x00-\x7f]+")


def fold(text: str) -> str:
    """Lower case without marks: "Đăng nhập" → "dang nhap". Composed and decomposed text fold to the same."""
    return text.lower() if text.isascii() else _RUN.sub(_folded_match, text).casefold()


@lru_cache(1 << 14)
def _folded_run(run: str) -> str:
    for _ in range(2):  # folding case can bring marks and strokes to light, and taking marks away capitals
        run = _MARKS.sub("", unicodedata.normalize("NFKD", run).translate(_STROKES)).casefold()
    return run


def _folded_match(found: re.Match[str]) -> str:
    return _folded_run(found[0])


def spaced(text: str) -> str:
    """A text in which runs of letters and digits are its folded words, but for the case of ASCII letters."""
    return text if text.isascii() else _RUN.sub(_spaced_match, text)


@lru_cache(1 << 14)
def _spaced_run(run: str) -> str:
    return "".join(c if c.isalnum() else " " for c in _folded_run(run))


def _spaced_match(found: re.Match[str]) -> str:
    return _spaced_run(found[0])


def words(text: str) -> list[str]:
    """The words of a text in order, folded: runs of letters and digits. "user_name-7" → ["user", "name", "7"]."""
    return _WORD.findall(fold(text))


def keyword(text: str) -> str:
    """How keyword values are compared: composed (NFC), lower case, marks kept."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
