"""Regular expressions: RE2 as rules write it → Lucene's, that finds the same in an index of small letters.

Lucene's are anchored at both ends, know no flags, no `^`, `$`, `\\b`, no `(?:…)`, no lazy repeats, let `.` cross line
ends, and have operators of their own (`"`, `#`, `@`, `&`, `<`, `~`). What has no counterpart raises ValueError; long
counts are made longer (`widened`).
Sources: https://www.elastic.co/guide/en/elasticsearch/reference/current/regexp-syntax.html,
https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from soc.author.letters import LAST, Letters, capitals, complement, letters, of, small, without, without_case

_CLASSES: Final = {
    "d": letters([(0x30, 0x39)]),
    "s": of("\t\n\f\r "),
    "w": letters([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)]),
}
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
#: Branches that one expression may become where anchors stand within groups.
_MAX_BRANCHES: Final = 64
#: Lucene makes a deterministic automaton, which grows with each repetition; a server's queries stop at 10,000 steps
#: (max_determinized_states).
_MAX_COUNT: Final = 16
_MAX_LEAST: Final = 100


@dataclass(frozen=True, slots=True)
class _Set:
    """One character of these."""

    letters: Letters


@dataclass(frozen=True, slots=True)
class _Anchor:
    """`start` or `end`, of the text or (`line`) of a line."""

    side: str
    line: bool


@dataclass(frozen=True, slots=True)
class _Group:
    """Any of the branches, each a sequence; `repeat` is the quantifier as Lucene writes it."""

    branches: tuple[tuple[_Node, ...], ...]
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class _Many:
    """A character, repeated."""

    one: _Set
    repeat: str


_Node = _Set | _Anchor | _Group | _Many


def lucene(pattern: str, flags: str = "", start: bool = False, end: bool = False) -> str:
    """The expression between the slashes. `flags` of i, m, s; `start`, `end`: anchored there.

    Raises ValueError with what cannot be said in Lucene's language.
    """
    reader = _Reader(pattern, "i" in flags, "m" in flags, "s" in flags)
    branches = reader.branches()
    if reader.at < len(pattern):
        raise ValueError(f"a bracket too many at {reader.at}")
    whole = [_cut(branch, start, end) for branch in _spread(branches)]
    return _either([before + "".join(map(_text, middle)) + after for before, middle, after in whole])


def _spread(branches: Iterable[tuple[_Node, ...]]) -> list[tuple[_Node, ...]]:
    """Branches in which anchors stand at the very ends alone, where that is possible: `(^|a)b` → `^b`, `ab`."""
    out: list[tuple[_Node, ...]] = []
    waiting = list(branches)
    while waiting:
        if len(out) + len(waiting) > _MAX_BRANCHES:
            raise ValueError("too many alternatives with ^ or $ in them")
        branch = waiting.pop(0)
        for place in (0, len(branch) - 1):
            node = branch[place] if branch else None
            if isinstance(node, _Group) and not node.repeat and _anchored(node):
                waiting[:0] = [(*branch[:place], *inner, *branch[place + 1 :]) for inner in node.branches]
                break
        else:
            out.append(branch)
    return out


def _anchored(node: _Node) -> bool:
    if isinstance(node, _Group):
        return any(_anchored(inner) for branch in node.branches for inner in branch)
    return isinstance(node, _Anchor)


def _cut(branch: tuple[_Node, ...], start: bool, end: bool) -> tuple[str, tuple[_Node, ...], str]:
    """What stands before, in and after a branch: its anchors, or any text."""
    before, after = "" if start else ".*", "" if end else ".*"
    while branch and isinstance(node := branch[0], _Anchor) and node.side == "start":
        before, branch = "(.*\n)?" if node.line and not start else "", branch[1:]
    while branch and isinstance(node := branch[-1], _Anchor) and node.side == "end":
        after, branch = "(\n.*)?" if node.line and not end else "", branch[:-1]
    if any(_anchored(node) for node in branch):
        raise ValueError("^ or $ in the middle")
    return before, branch, after


def _either(texts: list[str]) -> str:
    return "|".join(dict.fromkeys(texts))


def _text(node: _Node) -> str:
    if isinstance(node, _Set):
        return _class(node.letters)
    if isinstance(node, _Many):
        return _class(node.one.letters) + node.repeat
    assert isinstance(node, _Group), "anchors are cut off before"
    inner = _either(["".join(map(_text, branch)) or "()" for branch in node.branches])
    return f"({inner}){node.repeat}"


@lru_cache(maxsize=1024)
def _class(has: Letters) -> str:
    """One character, as the index of small letters knows it; whatever else is said of capitals is left out."""
    known = small(has)
    if not known:
        return "#"  # the empty language
    if len(known) == 1 and known[0][0] == known[0][1]:
        return _escaped(known[0][0])
    negated = known[-1][1] == LAST
    listed = without(complement(known), capitals()) if negated else known
    if negated and not listed:
        return "."
    inner = "".join(
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}" for first, last in listed
    )
    return f"[{'^' if negated else ''}{inner}]"


def _escaped(char: int) -> str:
    text = chr(char)
    return f"\\{text}" if text.isascii() and text.isprintable() and not text.isalnum() and text != " " else text


def widened(pattern: str) -> bool:
    """Does the expression count further than Lucene can, so that `{n,m}` became `{n,}`?"""
    return any(int(high) - int(low) > _MAX_COUNT for low, high in re.findall(r"\{(\d+),(\d+)\}", pattern))


def _counted(low: str, comma: str, high: str) -> str:
    if int(low) > _MAX_LEAST:
        raise ValueError(f"a count of {low}")
    if high and int(high) - int(low) > _MAX_COUNT:
        high = ""
    return f"{{{low}{comma}{high}}}"


@dataclass(slots=True)
class _Reader:
    """Reads one expression from left to right."""

    pattern: str
    ignore_case: bool
    multiline: bool
    dotall: bool
    at: int = 0

    def branches(self) -> tuple[tuple[_Node, ...], ...]:
        out: list[tuple[_Node, ...]] = []
        branch: list[_Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            char = self.take()
            if char == "|":
                out.append(tuple(branch))
                branch = []
            elif (node := self.node(char)) is not None:
                branch.append(self.repeated(node))
        return (*out, tuple(branch))

    def take(self) -> str:
        if self.at >= len(self.pattern):
            raise ValueError("it ends too early")
        self.at += 1
        return self.pattern[self.at - 1]

    def node(self, char: str) -> _Node | None:
        """What begins with the character; None for flags, which stand for nothing."""
        if char == "(":
            return self.group()
        if char == "[":
            return _Set(self.cased(self.members()))
        if char == ".":
            return _Set(complement(() if self.dotall else of("\n")))
        if char in "^$":
            return _Anchor("start" if char == "^" else "end", self.multiline)
        if char == "\\":
            return self.escape()
        return _Set(self.cased(of(char)))

    def cased(self, has: Letters) -> Letters:
        return without_case(has) if self.ignore_case else has

    def group(self) -> _Node | None:
        before = (self.ignore_case, self.multiline, self.dotall)
        if self.pattern.startswith("?", self.at):
            self.at += 1
            named = self.pattern[self.at : self.at + 1] in ("P", "<")
            end = self.pattern.find(">" if named else ":", self.at)
            closed = self.pattern.find(")", self.at)
            if not named and (end < 0 or -1 < closed < end):  # (?i): from here to the end of the group around it
                self.flags(self.pattern[self.at : closed])
                self.at = closed + 1
                return None
            if not named:
                self.flags(self.pattern[self.at : end])
            self.at = end + 1
        inner = self.branches()
        if self.take() != ")":
            raise ValueError("a bracket is not closed")
        self.ignore_case, self.multiline, self.dotall = before
        return _Group(inner)

    def flags(self, text: str) -> None:
        on, _, off = text.partition("-")
        for names, value in ((on, True), (off, False)):
            for name in names:
                if name not in "ims":
                    raise ValueError(f"(?{text})")
                attribute = {"i": "ignore_case", "m": "multiline", "s": "dotall"}[name]
                setattr(self, attribute, value)

    def escape(self) -> _Node:
        char = self.take()
        if char in "Az":
            return _Anchor("start" if char == "A" else "end", False)
        if (known := self.named(char)) is not None:
            return _Set(known)
        return _Set(self.cased(of(self.literal(char))))

    def named(self, char: str) -> Letters | None:
        r"""The set of `\d`, `\W`, …"""
        found = _CLASSES.get(char.lower())
        return found if found is None or char.islower() else complement(found)

    def literal(self, char: str) -> str:
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            end = self.pattern.find("}", self.at) if self.pattern.startswith("{", self.at) else self.at + 1
            digits = self.pattern[self.at : end + 1].strip("{}")
            self.at = end + 1
            return chr(int(digits, 16))
        if char.isalnum():
            raise ValueError(f"\\{char}")
        return char

    def members(self) -> Letters:
        """A class in square brackets, the first bracket taken."""
        negated = self.pattern.startswith("^", self.at)
        self.at += negated
        out: list[tuple[int, int]] = []
        first = True
        while (char := self.take()) != "]" or first:
            first = False
            if char == "[" and self.pattern.startswith(":", self.at):
                raise ValueError("[[:…:]]")
            if char == "\\":
                char = self.take()
                if (known := self.named(char)) is not None:
                    out += known
                    continue
                char = self.literal(char)
            last = char
            if self.pattern.startswith("-", self.at) and not self.pattern.startswith("-]", self.at):
                self.at += 1
                last = self.take()
                if last == "\\":
                    last = self.literal(self.take())
            out.append((ord(char), ord(last)))
        has = letters(out)
        return complement(self.cased(has)) if negated else has

    def repeated(self, node: _Node) -> _Node:
        """The node with the quantifier after it; a lazy one finds the same."""
        repeat = ""
        if self.at < len(self.pattern) and self.pattern[self.at] in "*+?":
            repeat = self.take()
        elif self.pattern.startswith("{", self.at):
            end = self.pattern.find("}", self.at)
            low, comma, high = self.pattern[self.at + 1 : max(end, self.at)].partition(",")
            if end < 0 or not low.isdigit() or (high and not high.isdigit()):
                return node  # a brace that is one
            repeat, self.at = _counted(low, comma, high), end + 1
        if not repeat:
            return node
        if self.pattern.startswith("?", self.at):
            self.at += 1
        if isinstance(node, _Anchor):
            raise ValueError("a repeated ^ or $")
        if isinstance(node, _Group):
            return replace(node, repeat=repeat) if not node.repeat else _Group(((node,),), repeat)
        return _Many(node, repeat) if isinstance(node, _Set) else _Group(((node,),), repeat)
