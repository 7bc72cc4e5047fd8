"""Required literals: a regular expression → texts of which every match holds at least one, so that a scan for literals
can tell where the expression need not be tried.

A plain reading of RE2 syntax that gives up (None) rather than guess: only characters outside of groups and classes
count, one run of them per alternative, the longest. Source: github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_ASSERTION_OR_CLASS: Final = "dDsSwWbBAz"
_REPEAT: Final = re.compile(r"\{(\d+)(?:,\d*)?\}")
_FLAGS: Final = re.compile(r"\(\?[imsU]+\)")


def required(pattern: str) -> list[str] | None:
    """One literal per alternative, in the case that they are written in; None if some alternative has none."""
    try:
        return _Reading(pattern).literals()
    except _GiveUp:
        return None


class _GiveUp(Exception):
    """The expression holds something that is not read here."""


class _Reading:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.run: list[str] = []
        self.best = ""
        self.found: list[str] = []

    def literals(self) -> list[str] | None:
        while self.at < len(self.pattern):
            self.step()
        self.alternative()
        return self.found if all(self.found) else None

    def step(self) -> None:
        char = self.pattern[self.at]
        if char == "|":
            self.at += 1
            self.alternative()
        elif char == "(":
            flags = _FLAGS.match(self.pattern, self.at)
            if flags is None:
                self.end_run()
                self.group()
                self.quantifier()
            else:
                self.at = flags.end()
        elif char == "[":
            self.end_run()
            self.character_class()
            self.quantifier()
        elif char in ".^$":
            self.end_run()
            self.at += 1
            self.quantifier()
        else:
            self.literal()

    def literal(self) -> None:
        """One character, and what its quantifier leaves of it."""
        char = self.character()
        if char is None:
            self.end_run()
            self.quantifier()
            return
        at_least = self.quantifier()
        if at_least is None:
            self.run.append(char)
        elif at_least == 0:
            self.end_run()
        else:  # a+ or a{3}: one more of it is sure, what follows is not its neighbour for sure
            self.run.append(char)
            self.end_run()
            self.run.append(char)
            self.end_run()

    def character(self) -> str | None:
        """The literal character here; None for a class or an assertion. Moves on."""
        char = self.pattern[self.at]
        self.at += 1
        if char != "\\":
            return char
        escaped = self.pattern[self.at : self.at + 1]
        self.at += 1
        if escaped in _CONTROL:
            return _CONTROL[escaped]
        if escaped and escaped in _ASSERTION_OR_CLASS:
            return None
        if not escaped or escaped.isalnum():
            raise _GiveUp
        return escaped

    def quantifier(self) -> int | None:
        """How often at least; None if nothing repeats what stands before. Moves on."""
        char = self.pattern[self.at : self.at + 1]
        at_least: int | None = None
        if char and char in "?*+":
            at_least = 1 if char == "+" else 0
            self.at += 1
        elif char == "{":
            repeat = _REPEAT.match(self.pattern, self.at)
            if repeat is None:
                raise _GiveUp
            at_least = int(repeat[1])
            self.at = repeat.end()
        if at_least is not None and self.pattern[self.at : self.at + 1] == "?":
            self.at += 1
        return at_least

    def group(self) -> None:
        """Past a group with everything in it."""
        depth = 0
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "[":
                self.character_class()
                continue
            if char == "\\":
                if self.pattern[self.at + 1 : self.at + 2] in ("Q", "E"):
                    raise _GiveUp
                self.at += 1
            depth += (char == "(") - (char == ")")
            self.at += 1
            if depth == 0:
                return
        raise _GiveUp

    def character_class(self) -> None:
        """Past `[…]`."""
        start = self.at
        self.at += 2 if self.pattern.startswith("[^", self.at) else 1
        if self.pattern[self.at : self.at + 1] == "]":
            self.at += 1
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if self.pattern.startswith("[:", self.at):
                self.at = self.pattern.find(":]", self.at) + 2
                if self.at <= start:
                    raise _GiveUp
                continue
            self.at += 2 if char == "\\" else 1
            if char == "]":
                return
        raise _GiveUp

    def end_run(self) -> None:
        if len(self.run) > len(self.best):
            self.best = "".join(self.run)
        self.run.clear()

    def alternative(self) -> None:
        self.end_run()
        self.found.append(self.best)
        self.best = ""
