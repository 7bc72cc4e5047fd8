"""A pattern in grok's words → a regular expression with numbered groups and the names they go to.

`%{IP:source.ip}` captures, `%{IP}` only matches, `(?<name>…)` captures what stands in the group; the rest is a regular
expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax: no look-around, no back-references), so that a
long hostile line can always be matched in linear time. Words are Logstash's
(https://github.com/logstash-plugins/logstash-patterns-core), meanings kept simple: a type check is the target's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import re2

#: Grok word → expression without capturing groups.
WORDS: Final = {
    "IP": r"[0-9A-Fa-f.:]+(?:%[0-9A-Za-z.-]+)?",
    "HOST": r"[0-9A-Za-z_.:-]+(?:%[0-9A-Za-z.-]+)?",
    "INT": r"[+-]?\d+",
    "POSINT": r"\d+",
    "NUMBER": r"[+-]?\d+(?:\.\d+)?",
    "HEX": r"(?:0[xX])?[0-9A-Fa-f]+",
    "WORD": r"\w+",
    "NOTSPACE": r"\S+",
    "DATA": r".*?",
    "REST": r".*",
    "ESCAPED": r'[^"\\]*(?:\\.[^"\\]*)*',
    "BRACKETED": r"[^\]]*",
    "HTTPDATE": r"\d{1,2}/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}",
    "ISO8601": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    "METHOD": r"[A-Za-z_-]+",
}

_GROK: Final = re.compile(r"%\{(\w+)(?::([\w@.-]+))?\}|\(\?<([A-Za-z_@][\w@.-]*)>|(\\.)|(\((?!\?))", re.DOTALL)
_SPECIAL: Final = frozenset("\\.^$*+?{}[]|()%")


class PatternError(ValueError):
    """What is wrong with a pattern, as a sentence."""


def expand(text: str, words: Mapping[str, str] | None = None) -> tuple[str, tuple[str, ...]]:
    """(regular expression, names of its groups in order). Raises PatternError.

    `words`: a source's own words; what `%{word}` stands for may itself capture, and use the words before it.
    """
    for name, meaning in reversed(list((words or {}).items())):
        text = text.replace(f"%{{{name}}}", f"(?:{meaning})")
    names: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        word, name, group, escaped, bare = found.groups()
        if escaped:
            return str(escaped)
        if bare:
            return "(?:"
        if group:
            names.append(group)
            return "("
        expression = WORDS.get(word)
        if expression is None:
            raise PatternError(f"unknown word %{{{word}}}; known: {', '.join(WORDS)}")
        if not name:
            return f"(?:{expression})"
        names.append(name)
        return f"({expression})"

    expression = _GROK.sub(replaced, text)
    try:
        compiled = re.compile(expression, re.DOTALL)
    except re.error as error:
        raise PatternError(f"no regular expression: {error}") from error
    try:
        re2.compile(expression, _re2_options())
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else error
        raise PatternError(f"not RE2: {reason}") from error
    if compiled.groups != len(names):
        raise PatternError("a group is counted wrongly: write `[(]` for a bracket within a class")
    return expression, tuple(names)


def _re2_options() -> re2.Options:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    return options


#: Up to here (characters) `re`, which is several times faster on ordinary lines; beyond it RE2, whose time is linear.
LINEAR_ABOVE: Final = 1024


class Regex:
    """A compiled pattern. `full(text)`: the groups if the whole text matches; `found(text)`: whether it occurs in it.

    Linear time on long texts.
    """

    __slots__ = ("_linear", "expression", "match", "search")

    def __init__(self, expression: str) -> None:
        self.expression = expression
        compiled = re.compile(expression, re.DOTALL)
        self.match = compiled.fullmatch
        self.search = compiled.search
        self._linear: re2._Regexp | None = None

    def full(self, text: str) -> tuple[str | None, ...] | None:
        found = self.match(text) if len(text) <= LINEAR_ABOVE else self._long().fullmatch(text)
        return found.groups() if found else None

    def found(self, text: str) -> bool:
        return (self.search(text) if len(text) <= LINEAR_ABOVE else self._long().search(text)) is not None

    def _long(self) -> re2._Regexp:
        if self._linear is None:
            self._linear = re2.compile(self.expression, _re2_options())
        return self._linear


def _alternates(expression: str) -> bool:
    """Whether a `|` stands outside all groups and classes."""
    depth, bracket = 0, False
    for piece in re.findall(r"\\.|.", expression, re.DOTALL):
        if bracket:
            bracket = piece != "]"
        elif piece == "[":
            bracket = True
        elif piece in "()":
            depth += 1 if piece == "(" else -1
        elif piece == "|" and depth == 0:
            return True
    return False


def first_word(expression: str) -> str:
    """The literal word (up to a blank) that every match starts with; "" if it is not literal."""
    if _alternates(expression):
        return ""
    word: list[str] = []
    at = 0
    while at < len(expression):
        char = expression[at]
        if char == "\\" and at + 1 < len(expression) and not expression[at + 1].isalnum():
            at += 1
            char = expression[at]
        elif char in _SPECIAL:
            return ""
        if char == " ":
            following = expression[at + 1 : at + 2]
            return "" if following and following in "*?{" else "".join(word)
        word.append(char)
        at += 1
        if expression[at : at + 1] in ("*", "?", "{", "+"):
            return ""
    return "".join(word)
