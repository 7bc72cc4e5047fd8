"""A flat document → the three texts that its full-text index holds; conditions on a field → the terms that meet them.

The index is FTS5's, contentless, with the plain `ascii` tokenizer: runs of ASCII letters and digits, in which every
character from U+0080 on counts as a letter. ASCII values go in as they are; others go in as our own folded words, for
FTS5 would leave đ alone. U+0080 itself, which is no letter, is ours to use:

    between two values   "\\x80" or a term, so that a phrase never spans them
    a term               "\\x80" + letter of the field + kind + value: host.name=PC-1 → "\\x80at" + "pc-1"

so that a whole value is one token, found without looking at the document. Kind t is text, 4 and 6 are addresses in
hexadecimal digits (a network is a prefix of them), n is a whole number that was written as a fraction (73.0).
What the tokenizer would split at (punctuation) is replaced by C1 controls and private-use characters.
"""

from __future__ import annotations

import socket
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from soc.event import text_of
from soc.store.evaluate import comparable, members, scalars
from soc.store.fold import spaced
from soc.store.tree import UNSPOKEN
from soc.store.values import address_of

#: Fields whose values are terms: searches, ranges, networks and wildcards on them need no look at the documents.
#: The order gives the letters: a change of it is a new FORMAT (see `documents`).
TERM_FIELDS: Final = (
    "host.name",
    "host.ip",
    "user.name",
    "source.ip",
    "destination.ip",
    "destination.port",
    "event.action",
    "event.code",
    "event.severity",
    "process.name",
    "process.executable",
    "url.domain",
    "dns.question.name",
    "http.response.status_code",
    "soc.rules",
    "soc.unit.path",
    "related.ip",
    "related.user",
    "tags",
    "rule.id",
    "rule.name",
    "event.risk_score",
    "soc.triage.status",
    "soc.triage.assignee",
    "winlog.channel",
    "file.name",
    "event.id",  # the sender's own, where there is one
)
LETTER: Final = dict(zip(TERM_FIELDS, string.ascii_lowercase + string.digits, strict=False))


#: Kept out of the text of the rest.
_APART: Final = UNSPOKEN | {"event.original", "message"}

#: Names that may hold objects in whose inside a term field lies ("host" with {"name": …}).
_PARENTS: Final = frozenset(
    name[:at] for name in (*TERM_FIELDS, "event.original") for at in range(len(name)) if name[at] == "."
)

#: Longer values are cut: a term then says only how a value begins.
TERM_LENGTH: Final = 96

_MEMO_VALUES: Final = 1 << 14  # of each field
_MEMO_LENGTH: Final = 200  # longer texts seldom come again

BREAK: Final = "\x80"
_GAP: Final = f" {BREAK} "
_LOST: Final = "\uf8ff"  # stands for every character that our own use of it would confuse

_FREQUENT: Final = ".-_/\\:@ $,=+%#&()[]{}*?!'\";<>"
_ENCODE: Final = {
    **dict.fromkeys((*range(128, 160), *range(57344, 57600)), _LOST),
    **{c: chr(0xE000 + c) for c in range(128) if not chr(c).isalnum()},
    **{ord(c): chr(0x81 + i) for i, c in enumerate(_FREQUENT)},
}
_DECODE: Final = {ord(code): chr(c) for c, code in _ENCODE.items() if code != _LOST}


class _Marks(dict[str | int, str]):
    """The terms of a field's values, made once for those that come again and again."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __missing__(self, value: str | int) -> str:
        if len(self) >= _MEMO_VALUES:
            self.clear()
        made = self[value] = term(self._name, value)
        return made


@dataclass(frozen=True, slots=True)
class _Shape:
    """What documents with the same fields have in common."""

    spoken: tuple[str, ...]  # fields whose words go into the text of the rest
    own: tuple[tuple[str, _Marks], ...]  # fields that have terms
    nested: bool  # a field may hold objects with the value of a term field


_MARKS: Final = {name: _Marks(name) for name in TERM_FIELDS}


@lru_cache(4096)
def _shape(names: tuple[str, ...]) -> _Shape:
    spoken = tuple(name for name in names if name not in _APART)
    own = tuple((name, _MARKS[name]) for name in names if name in LETTER)
    return _Shape(spoken, own, not _PARENTS.isdisjoint(names))


def index_texts(fields: Mapping[str, Any]) -> tuple[str, str, str]:
    """(event.original, message, everything else with the terms), each as FTS5 is to see it."""
    shape = _shape(tuple(fields))
    texts: list[str] = []
    for name in shape.spoken:
        value = fields[name]
        if value.__class__ is str:
            texts.append(value if value.isascii() else _spoken(value))
        elif value.__class__ is list:
            for member in value:
                if member.__class__ is str and member.isascii():
                    texts.append(member)
                else:
                    texts += [_spoken(text_of(scalar)) for scalar in scalars(member)]
        elif value.__class__ is int:
            texts.append(str(value))
        else:
            texts += [_spoken(text_of(scalar)) for scalar in scalars(value)]
    marks: list[str] = []
    for name, known in shape.own:
        value = fields[name]
        if value.__class__ is str or value.__class__ is int:
            marks.append(known[value])
        else:
            for member in value if value.__class__ is list else (value,):
                if member.__class__ is str:
                    marks.append(known[member])
                else:
                    marks += [term(name, scalar) for scalar in scalars(member)]
    if shape.nested:
        marks += [term(name, member) for name in TERM_FIELDS if name not in fields for member in members(fields, name)]
    return _text_of(fields, "event.original"), _text_of(fields, "message"), _parted(dict.fromkeys(texts), marks)


def _spoken(text: str) -> str:
    return spaced(text) if len(text) > _MEMO_LENGTH else _spaced(text)


_spaced: Final = lru_cache(_MEMO_VALUES)(spaced)


def _parted(texts: Collection[str], marks: list[str]) -> str:
    """All in one text, with a mark (or BREAK, once there are no more) between two texts."""
    gaps = len(texts) - 1
    if gaps < 1:
        return " ".join((*texts, *marks))
    out = [BREAK] * (2 * gaps + 1)
    out[::2] = texts
    between = marks[:gaps]
    out[1 : 2 * len(between) : 2] = between
    out += marks[gaps:]
    return " ".join(out)


def _text_of(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value.__class__ is str:
        return spaced(value)
    return _GAP.join([spaced(text_of(member)) for member in members(fields, name)])


def term(name: str, value: Any) -> str:
    """The term of a value; a whole number written as a fraction has two."""
    letter = LETTER[name]
    if name.endswith("ip") and (digits := _address_digits(text_of(value))):
        return f"\x80{letter}{digits}"
    plain = f"\x80{letter}t{encoded(comparable(name, value))}"
    if isinstance(value, float) and value.is_integer():
        return f"{plain} \x80{letter}n{encoded(str(int(value)))}"
    return plain


def _address_digits(text: str) -> str:
    try:
        return "4" + socket.inet_pton(socket.AF_INET, text).hex()
    except (OSError, ValueError):
        address = address_of(text)
        return "" if address is None else f"{address.version}{address.packed.hex()}"


def encoded(text: str) -> str:
    """A value as part of one token."""
    return text[:TERM_LENGTH].translate(_ENCODE)


def decoded(token: str) -> str | None:
    """The value of a token's end; None if it was cut or holds a character that is lost."""
    if len(token) >= TERM_LENGTH or _LOST in token:
        return None
    return token.translate(_DECODE)


def is_exact(text: str) -> bool:
    """Whether the term of this value stands for it alone."""
    return len(text) < TERM_LENGTH and _LOST not in text.translate(_ENCODE)


def quoted(tokens: str) -> str:
    """A phrase in FTS5's query language."""
    return f'"{tokens}"'
