"""Text → the form it is compared in: words without case and Vietnamese marks for text, lower case for keywords."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: What NFD leaves alone. Ð (U+00D0) and Ɖ (U+0189) look like Đ (U+0110) and stand in its place in real text.
_STROKES: Final = str.maketrans(
    {"đ": "d", "Đ": "d", "Ð": "d", "ð": "d", "Ɖ": "d", "ɖ": "d", "ł": "l", "Ł": "l", "ø": "o", "Ø": "o"}
)
_MARKS: Final = re.compile("[\u0300-\u036f]+")
_WORD: Final = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """Lower case without marks: "Đăng nhập" → "dang nhap". Composed and decomposed text fold to the same."""
    if text.isascii():
        return text.lower()
    for _ in range(2):  # folding case can bring marks and strokes to light, and taking marks away capitals
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text).translate(_STROKES)).casefold()
    return text


def words(text: str) -> list[str]:
    """The words of a text in order, folded: runs of letters and digits. "user_name-7" → ["user", "name", "7"]."""
    return _WORD.findall(fold(text))


def keyword(text: str) -> str:
    """How keyword values are compared: composed (NFC), lower case, marks kept."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())
