"""Letter case: text → the form in which two texts are equal when a reader would say so.

NFC, then Unicode *simple* case folding, which maps one character to one: `ПРИВЕТ` = `привет`, `Đ` = `đ`, but `ß` is
not `ss` and `İ` is not `i`; it is also what RE2's `(?i)` does. Every comparison goes through `fold` or, where case
counts, `plain`.

Source: Unicode Standard 5.18 "Caseless Matching"; CaseFolding.txt statuses C and S, derived here from Python's tables.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final


def _simple(char: str) -> str:
    """Status C or S of CaseFolding.txt: the full folding if it is one character, else a one-character lower case."""
    folded = char.casefold()
    if len(folded) == 1:
        return folded
    lower = char.lower()
    return lower if len(lower) == 1 else char


#: No letter beyond the first two planes has case (Unicode 15).
_CASED_END: Final = 0x20000
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TABLE: Final = {
    code: _simple(char)
    for code in range(128, _CASED_END)
    if not 0xD800 <= code <= 0xDFFF and (char := chr(code)) and _simple(char) != char
} | {code: chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}

#: Characters where str.lower() is not simple folding, or depends on the neighbours (final sigma).
_NOT_LOWER: Final = re.compile(
    "["
    + "".join(
        chr(code)
        for code in range(128, _CASED_END)
        if not 0xD800 <= code <= 0xDFFF and (code == 0x3A3 or chr(code).lower() != _TABLE.get(code, chr(code)))
    )
    + "]"
)


def plain(text: str) -> str:
    """NFC of the text, lone surrogates (which no encoder takes) as U+FFFD. Case is kept."""
    if text.isascii():
        return text
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """The text without distinctions of case; as long as plain(text), character by character."""
    if text.isascii():
        return text.lower()
    try:  # Latin-1 is NFC, and lower() folds all of it but the micro sign
        if b"\xb5" not in text.encode("latin-1"):
            return text.lower()
    except UnicodeEncodeError:
        pass
    text = plain(text)
    return text.translate(_TABLE) if _NOT_LOWER.search(text) else text.lower()
