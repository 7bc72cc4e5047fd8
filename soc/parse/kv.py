"""key=value pairs in one line → a dict of texts.

As FortiOS writes them (Fortinet, "FortiOS Log Message Reference", section "Log field format": values with spaces stand
in double quotes, quotes and backslashes within are escaped by a backslash) and, with the options, as others do:
logfmt, auditd, Check Point (`pair: ";"`), Sophos, SonicWall.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


#: Stand for a blank and an equals sign within quotes while a line is taken apart.
_BLANK, _EQUALS = "\x00", "\x01"


def _protected(text: str) -> str | None:
    """The line without its quotes, what they protect marked; None when a quote is not the border of a value."""
    opened = text.count('="')
    if text.count('" ') + text.endswith('"') != opened or text.count('"') != 2 * opened:
        return None
    pieces = text.split('"')
    quoted = '"'.join(pieces[1::2])
    if not quoted.isprintable():
        return None
    if " " in quoted or "=" in quoted:
        pieces[1::2] = quoted.replace(" ", _BLANK).replace("=", _EQUALS).split('"')
    return "".join(pieces)


def _plain(text: str, names: Names) -> dict[str, Any] | None:
    """The pairs of an ordinary line, in which nothing is escaped and no name stands twice; None if it is not so.

    Splits of whole lines instead of a regular expression per pair: a quarter of the time for a firewall's 40 pairs.
    """
    if _BLANK in text or _EQUALS in text:
        return None
    line = _protected(text) if '"' in text else text
    if line is None:
        return None
    pairs = line.split()
    parts = "=".join(pairs).split("=")
    if len(parts) != 2 * len(pairs) or len([p for p in pairs if "=" in p]) != len(pairs):
        return None  # a piece with no, or more than one, equals sign
    keys, values = parts[::2], parts[1::2]
    if _BLANK in line or _EQUALS in line:
        values = '"'.join(values).replace(_BLANK, " ").replace(_EQUALS, "=").split('"')
    out: dict[str, Any] = dict(zip(map(names.__getitem__, keys), values, strict=True))
    return out if len(out) == len(keys) and names.root not in out and keys else None


#: A pair of an ordinary line, and what separates it from the next.
_ORDINARY: Final = re.compile(r"([^\s=\"]+)=(?:(\"[^\"]*\")|[^\s=\"]*)(?: (?=\S)|\Z)")
#: Lines of one layout before it gets an expression, layouts that get one, and of those how many look alike.
_SEEN, _MAX_LAYOUTS, _MAX_ALIKE, _MAX_COUNTED = 32, 128, 8, 1000


class _Layouts:
    """Which names stand in a line, in which order and with which quotes → one expression for all of the line.

    A device writes its lines in few layouts, so after some lines of each one match does all: a third of the time. An
    expression takes nothing that the thorough way reads otherwise: its values hold no quote, bare ones no blank either.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], list[tuple[Callable[[str], re.Match[str] | None], list[str]]]] = {}
        self._seen: dict[tuple[str, ...], int] = {}
        self._left = _MAX_LAYOUTS

    def read(self, text: str) -> dict[str, Any] | None:
        """Names and values of a line in a known layout, which holds no escape; None if it is in no such one."""
        for match, names in self._known.get((text.count("="), text.count('"')), ()):
            found = match(text)
            if found is not None:
                return dict(zip(names, found.groups(), strict=True))
        return None

    def saw(self, text: str, pairs: dict[str, Any]) -> None:
        """Learn from a line that was read as `pairs`, each name once."""
        if not self._left:
            return
        names = tuple(pairs)
        count = self._seen[names] = self._seen.get(names, 0) + 1
        if count >= _SEEN:
            del self._seen[names]
            self._learn(text, list(names))
        elif len(self._seen) > _MAX_COUNTED:
            self._seen.clear()

    def _learn(self, text: str, names: list[str]) -> None:
        found = list(_ORDINARY.finditer(text))
        alike = self._known.setdefault((text.count("="), text.count('"')), [])
        if "".join(f[0] for f in found) != text or len(found) != len(names) or len(alike) >= _MAX_ALIKE:
            return
        self._left -= 1
        pieces = [re.escape(f[1]) + ('="([^"]*+)"' if f[2] else r"=([^\s=\"]*+)") for f in found]
        alike.append((re.compile(" ".join(pieces)).fullmatch, names))


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
    layouts = _Layouts()

    def apart(text: str) -> None:
        if strict and (rest := text.strip(pair + " \t\r\n")):
            raise RecordError("bad_format", f"no pair: {rest[:80]!r}")

    def decode(text: str) -> dict[str, Any]:
        if simple and (not escape or escape not in text):
            known = layouts.read(text)
            if known is not None:
                return known
            plain = _plain(text, names)
            if plain is not None:
                layouts.saw(text, plain)
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


DECODER: Final = Decoder("kv", make, rooted=True, texts=True)
