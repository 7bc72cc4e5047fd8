"""What a query is: a tree of conditions on a flat document. Made by `soc.store.query`, carried out by every store."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

#: Fields whose values are prose: searched by words, not compared as a whole.
TEXT_FIELDS: Final = frozenset({"message", "event.original", "event.reason", "error.message"})

#: Never searched by words without a field: the store's own id, and a time that no one looks for by its digits.
UNSPOKEN: Final = frozenset({"event.id", "@timestamp"})


def is_text_field(field: str) -> bool:
    """Whether a condition on the field searches words rather than whole values."""
    return field in TEXT_FIELDS


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Everything:
    """Meets every document."""


@dataclass(frozen=True, slots=True)
class Words:
    """These folded words follow each other in one value of the field ("" = any). `prefix`: the last is a beginning."""

    field: str
    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Equals:
    """A member of the field is this text, as `evaluate.comparable` gives it, or this number."""

    field: str
    text: str
    number: int | float | None = None


@dataclass(frozen=True, slots=True)
class Wild:
    """A member of the field fits the parts, with any characters (None) or one character ("") between the literals.

    In text fields and without a field, one word or one run of non-blanks fits.
    """

    field: str
    parts: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A member lies between the bounds; None is open. `kind` says what the bounds are and how values are read.

    Bounds by kind: number int | float; time the text of rfc3339(); address the text of `address_key`;
    text as `fold.keyword` gives it.
    """

    field: str
    kind: Literal["number", "time", "address", "text"]
    low: int | float | str | None
    high: int | float | str | None
    with_low: bool = True
    with_high: bool = True


@dataclass(frozen=True, slots=True)
class Network:
    """A member is an address within the network."""

    field: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Exists:
    """The field has a value: not null, not an empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Query


Query = Everything | Words | Equals | Wild | Range | Network | Exists | And | Or | Not
