"""Sigma strings: the text an author wrote → literal parts and wildcards, and what modifiers make of them.

`*` is any run, `?` exactly one character, `\\` escapes both and itself; before any other character it is a backslash.
Source: Sigma specification 2.1, "Special Characters", "Value Modifiers".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Final

import re2

from soc.detect.fold import fold, plain


class Wild(Enum):
    """What is not literal in a Sigma string."""

    ANY = "*"
    ONE = "?"
    DASH = "-"  # any of DASHES, from `windash`


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`%name%` under the `expand` modifier."""

    name: str


Part = str | Wild | Placeholder
Parts = tuple[Part, ...]

#: What Windows programs take for the dash of an option; sigma specification 2.1, `windash`.
DASHES: Final = "-/–—―"
_OPTION_DASH: Final = re.compile(r"\B[-/]\b")
_PLACEHOLDER: Final = re.compile(r"(?<!\\)%([^%]+)%")
#: Literals that one string with dashes may become before a regular expression is the better form (5 per dash).
_MAX_SPELLINGS: Final = 25


def parse(text: str) -> Parts:
    """Literal parts and wildcards; no two literals in a row, no empty ones."""
    if "*" not in text and "?" not in text and "\\" not in text:
        return (text,) if text else ()
    parts: list[Part] = []
    literal: list[str] = []
    at, end = 0, len(text)
    while at < end:
        char = text[at]
        if char == "\\" and at + 1 < end and text[at + 1] in "*?\\":
            literal.append(text[at + 1])
            at += 2
            continue
        if char in "*?":
            if literal:
                parts.append("".join(literal))
                literal.clear()
            parts.append(Wild(char))
        else:
            literal.append(char)
        at += 1
    if literal:
        parts.append("".join(literal))
    return tuple(parts)


def tidy(parts: Iterable[Part]) -> Parts:
    """Neighbouring literals joined, runs of `*` made one, empty literals dropped."""
    out: list[Part] = []
    for part in parts:
        if part == "" or (part is Wild.ANY and out and out[-1] is Wild.ANY):
            continue
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        else:
            out.append(part)
    return tuple(out)


def placeholders(parts: Parts) -> Parts:
    """`%name%` in the literals becomes a Placeholder; `\\%` is a percent sign."""
    out: list[Part] = []
    for part in parts:
        if not isinstance(part, str):
            out.append(part)
            continue
        at = 0
        for match in _PLACEHOLDER.finditer(part):
            out += [part[at : match.start()].replace("\\%", "%"), Placeholder(match[1])]
            at = match.end()
        out.append(part[at:].replace("\\%", "%"))
    return tidy(out)


def filled(parts: Parts, values: Callable[[str], Iterable[Parts] | None]) -> list[Parts]:
    """All combinations of the placeholders' values; a placeholder for which `values` returns None stays."""
    choices: list[list[Parts]] = []
    for part in parts:
        found = values(part.name) if isinstance(part, Placeholder) else None
        choices.append([(part,)] if found is None else [tuple(v) for v in found])
    return [tidy(p for chosen in combination for p in chosen) for combination in product(*choices)]


def dashed(parts: Parts) -> Parts:
    """`-` or `/` before a word and not after one becomes DASH: `-enc-foo` → DASH `enc-foo`."""
    out: list[Part] = []
    for part in parts:
        if not isinstance(part, str):
            out.append(part)
            continue
        at = 0
        for match in _OPTION_DASH.finditer(part):
            out += [part[at : match.start()], Wild.DASH]
            at = match.end()
        out.append(part[at:])
    return tidy(out)


def spellings(parts: Parts) -> list[Parts]:
    """The parts without DASH, one for each way to write the dashes; unchanged where that would be too many."""
    dashes = sum(part is Wild.DASH for part in parts)
    if dashes == 0 or len(DASHES) ** dashes > _MAX_SPELLINGS:
        return [parts]
    choices = [tuple(DASHES) if part is Wild.DASH else (part,) for part in parts]
    return [tidy(combination) for combination in product(*choices)]


def base64_offsets(data: bytes) -> list[str]:
    """What is certain of the Base64 of data at each of the three alignments, cut by byte length."""
    return [
        base64.b64encode(b" " * shift + data)[(0, 2, 3)[shift] : (None, -3, -2)[(len(data) + shift) % 3]].decode()
        for shift in range(3)
    ]


def regex(parts: Parts, cased: bool) -> str:
    """RE2 pattern of the whole text, to be applied to fold(text), or to plain(text) if `cased`."""
    normal = plain if cased else fold
    out = []
    for part in parts:
        if isinstance(part, str):
            out.append(re2.escape(normal(part)))
        else:
            assert isinstance(part, Wild)
            out.append({Wild.ANY: ".*", Wild.ONE: ".", Wild.DASH: f"[{DASHES}]"}[part])
    return r"(?s)\A(?:" + "".join(out) + r")\z"
