"""key=value pairs in one line → a dict of texts.

As FortiOS writes them (Fortinet, "FortiOS Log Message Reference", section "Log field format": values with spaces stand
in double quotes, quotes and backslashes within are escaped by a backslash) and, with the options, as others do:
logfmt, auditd, Check Point (`pair: ";"`), Sophos, SonicWall.
"""

from __future__ import annotations

import re
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def _plain(text: str, names: Names) -> dict[str, Any] | None:
    """The pairs of a line in which every quoted value is a value of its own and nothing is escaped; None = not so.

    Two splits instead of one regular expression: about half the time for a firewall's 40 pairs.
    """
    out: dict[str, Any] = {}
    pairs = 0
    outside = text.split('"')
    last = len(outside) - 1
    if last % 2:
        return None
    for at in range(0, last, 2):
        bare = outside[at].split()
        if not bare or (at and not outside[at][0].isspace()):
            return None
        opened = bare.pop()
        name = opened[:-1]
        if opened[-1] != "=" or not name or "=" in name or outside[at][-1] != "=":
            return None
        for pair in bare:
            key, assigned, value = pair.partition("=")
            if not assigned or not key:
                return None
            out[names[key]] = value
        out[names[name]] = outside[at + 1]
        pairs += len(bare) + 1
    rest = outside[last]
    if last and rest and not rest[0].isspace():
        return None
    bare = rest.split()
    for pair in bare:
        key, assigned, value = pair.partition("=")
        if not assigned or not key:
            return None
        out[names[key]] = value
    return out if out and len(out) == pairs + len(bare) else None


def _pair_pattern(pair: str, assign: str, escape: str, quotes: str) -> re.Pattern[str]:
    blank = r"\s" if pair == " " else re.escape(pair)
    equals = re.escape(assign)
    quoted = []
    for quote in quotes:
        q, esc = re.escape(quote), re.escape(escape)
        inner = rf"[^{q}{esc}]*(?:{esc}.[^{q}{esc}]*)*" if escape else rf"[^{q}]*"
        quoted.append(rf"{q}({inner}){q}(?={blank}|$)")
    name = rf"([^{blank}{equals}\"]+){equals}" if pair == " " else rf"\s*([^{blank}{equals}]+?)\s*{equals}"
    # a quoted value that never closes, or goes on behind its quote, is taken bare up to the next separator
    value = "|".join([*quoted, rf"([^{blank}]*)"])
    return re.compile(rf"{name}(?:{value})", re.DOTALL)


def make(
    pair: str = " ", assign: str = "=", escape: str = "\\", quotes: str = '"', strict: bool = False, root: str = ""
) -> Decode:
    """Separators of pairs and of name and value (one character each; `pair` " " also means tabs and runs of blanks).

    `escape`: the character that takes the next one literally within quotes, "" for none. `quotes`: the characters
    that may open a value. `strict`: text that belongs to no pair is `bad_format`; else it is left to event.original.
    A name that stands twice makes a list. No pair at all is `bad_format`.
    """
    if len(pair) != 1 or len(assign) != 1 or len(escape) > 1 or pair == assign:
        raise ValueError("`pair` and `assign` are one character each and differ, `escape` is one or none")
    find = _pair_pattern(pair, assign, escape, quotes).finditer
    bare = len(quotes) + 2
    names = Names(root)
    simple = (pair, assign, quotes) == (" ", "=", '"')

    def apart(text: str) -> None:
        if strict and (rest := text.strip(pair + " \t\r\n")):
            raise RecordError("bad_format", f"no pair: {rest[:80]!r}")

    def decode(text: str) -> dict[str, Any]:
        if simple and (not escape or escape not in text) and (plain := _plain(text, names)) is not None:
            return plain
        out: dict[str, Any] = {}
        end = 0
        for found in find(text):
            apart(text[end : found.start()])
            end = found.end()
            group = found.lastindex or bare
            key, item = names[found[1]], found[group]
            if group != bare and escape and escape in item:
                item = _ESCAPE.sub(r"\1", item) if escape == "\\" else item.replace(escape, "")
            if key in out:
                before = out[key]
                out[key] = [*before, item] if before.__class__ is list else [before, item]
            else:
                out[key] = item
        if not out:
            raise RecordError("bad_format", f"no {assign!r} pair: {text[:80]!r}")
        apart(text[end:])
        return out

    return decode


DECODER: Final = Decoder("kv", make, rooted=True)
