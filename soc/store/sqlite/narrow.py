"""Wildcards on fields without terms → the words, or letters within a word, of any document that fits.

They follow from the literals between the wildcards; documents that do not fit may hold them as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from soc.store.fold import words
from soc.store.tree import UNSPOKEN, Wild, is_text_field

_EDGE: Final = re.compile(r"[\x00-/:-@\[-`{-\x7f]")  # ASCII that is no letter or digit: words end there, however folded
_RUN: Final = re.compile("[0-9a-z]{3,}")


def phrases(query: Wild) -> list[tuple[list[str], bool]]:
    """Words that follow each other in the value, whole but for the last one if True stands beside them."""
    return list(_phrases(query.parts)) if _narrows(query) else []


def _phrases(parts: Sequence[str | None]) -> Iterator[tuple[list[str], bool]]:
    for i, part in enumerate(parts):
        if not part:
            continue
        edges = [found.start() for found in _EDGE.finditer(part)]
        start = 0 if i == 0 else edges[0] + 1 if edges else len(part)
        whole = part[start:] if i + 1 == len(parts) else part[start : edges[-1] + 1] if edges else ""
        tail = part[start + len(whole) :]
        if tail.isascii() and len(tail) > 1:
            yield [*words(whole), tail.lower()], True
        elif found := words(whole):
            yield found, False


def run(query: Wild) -> str:
    """Letters and digits that stand together in one word of the value; "" if there is nothing to go by."""
    parts = [part for part in query.parts if part] if _narrows(query) else []
    return max((found for part in parts for found in _RUN.findall(part)), key=len, default="")


def _narrows(query: Wild) -> bool:
    """Whether values of the field are compared as they are written."""
    field = query.field
    return bool(field) and field not in UNSPOKEN and not field.endswith("ip") and not is_text_field(field)
