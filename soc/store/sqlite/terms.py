"""A flat document → the three texts that its full-text index holds; conditions on a field → the terms that meet them.

The index is FTS5's, contentless, with the plain `ascii` tokenizer: runs of ASCII letters and digits, in which every
character from U+0080 on counts as a letter. ASCII values go in as they are; others go in as our own folded words, for
FTS5 would leave đ alone. U+0080 itself, which is no letter, is ours to use:

    between two values   "\\x80", so that a phrase never spans them
    a term               "\\x80" + letter of the field + kind + value: host.name=PC-1 → "\\x80at" + "pc-1"

so that a whole value is one token, found without looking at the document. Kind t is text, 4 and 6 are addresses in
hexadecimal digits (a network is a prefix of them), n is a whole number that was written as a fraction (73.0).
What the tokenizer would split at (punctuation) is replaced by C1 controls and private-use characters.
"""

from __future__ import annotations

import socket
import string
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from soc.event import text_of
from soc.store.evaluate import comparable, members, scalars
from soc.store.fold import words
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


#: Field → its letter; None for those that are kept out of the text of the rest.
_ROLES: Final[dict[str, str | None]] = {**LETTER, **dict.fromkeys(UNSPOKEN | {"event.original", "message"})}

#: Names that may hold objects in whose inside a term field lies ("host" with {"name": …}).
_PARENTS: Final = frozenset(
    name[:at] for name in (*TERM_FIELDS, "event.original") for at in range(len(name)) if name[at] == "."
)

#: Longer values are cut: a term then says only how a value begins.
TERM_LENGTH: Final = 96

BREAK: Final = " \x80 "
_LOST: Final = "\uf8ff"  # stands for every character that our own use of it would confuse

_FREQUENT: Final = ".-_/\\:@ $,=+%#&()[]{}*?!'\";<>"
_ENCODE: Final = {
    **dict.fromkeys((*range(128, 160), *range(57344, 57600)), _LOST),
    **{c: chr(0xE000 + c) for c in range(128) if not chr(c).isalnum()},
    **{ord(c): chr(0x81 + i) for i, c in enumerate(_FREQUENT)},
}
_DECODE: Final = {ord(code): chr(c) for c, code in _ENCODE.items() if code != _LOST}


def index_texts(fields: Mapping[str, Any]) -> tuple[str, str, str]:
    """(event.original, message, everything else with the terms), each as FTS5 is to see it."""
    out: list[str] = []
    add = out.append
    for name, value in fields.items():
        letter = _ROLES.get(name, "")
        kind = value.__class__
        if letter is None or value is None:
            continue
        if kind is str or kind is int:
            add(value if kind is str and value.isascii() else _spoken(text_of(value)))
            if letter:
                add(term(name, value))
            continue
        for member in value if kind is list else (value,):
            if member.__class__ is str and member.isascii():
                add(member)
                if letter:
                    add(term(name, member))
            else:
                for scalar in scalars(member):
                    add(_spoken(text_of(scalar)))
                    if letter:
                        add(term(name, scalar))
    if "event.id" in fields:
        out += [term("event.id", member) for member in scalars(fields["event.id"])]
    if not _PARENTS.isdisjoint(fields):
        out += [term(name, member) for name in TERM_FIELDS if name not in fields for member in members(fields, name)]
    return _text_of(fields, "event.original"), _text_of(fields, "message"), BREAK.join(out)


def _text_of(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value.__class__ is str:
        return _spoken(str(value))
    return BREAK.join(_spoken(text_of(member)) for member in members(fields, name))


def _spoken(text: str) -> str:
    return text if text.isascii() else _folded(text)


@lru_cache(1 << 14)
def _folded(text: str) -> str:
    return " ".join(words(text))


@lru_cache(1 << 16, typed=True)
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
