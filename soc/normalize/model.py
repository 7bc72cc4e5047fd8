"""What a source definition says, once it is read and checked: plain frozen values for the compiler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soc.event import LogSource


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a value: a name to read (see `language` for "_x", "@x", "syslog.x") or a literal."""

    name: str = ""
    literal: Any = None


@dataclass(frozen=True, slots=True)
class Value:
    """Where a field's value comes from, and what is done to it.

    `op`: "first" present of the parts; "sum" of those present; "join" of all of them (absent unless all are there);
    "list" of those present. Then in this order: `pick` (that member of each object in a list), `replace`, `before`
    (text before the first one), `after` (text behind the last one), `lower`, `split`, `map`, `default` (when nothing
    came out so far), `scale`; last the conversion to the target's type.
    """

    op: str
    parts: tuple[Part, ...]
    pick: str = ""
    replace: tuple[tuple[str, str], ...] = ()
    before: str = ""
    after: str = ""
    lower: bool = False
    split: str = ""
    map: Mapping[str, Any] | None = None
    default: Any = None
    scale: float | int | None = None


@dataclass(frozen=True, slots=True)
class Assign:
    """One line of `fields`. `kind`, `many`: the ECS type of the target ("" = keep the value as it is)."""

    target: str
    value: Value
    kind: str
    many: bool


@dataclass(frozen=True, slots=True)
class Test:
    """One key of an `if`: exactly one of `values`, `regex`, `exists` is given."""

    name: str
    values: frozenset[str] | None = None
    regex: str | None = None
    exists: bool | None = None
    negated: bool = False


#: Alternatives, each of them tests that must all hold.
Condition = tuple[tuple[Test, ...], ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One `match`: the whole text must match `regex`; group number i+1 goes to captures[i] (a target or "_name")."""

    text: str
    regex: str
    word: str  # literal first word of every match, "" if there is none
    captures: tuple[tuple[str, str, bool], ...]  # (target, kind, many)
    body: Block


@dataclass(frozen=True, slots=True)
class Patterns:
    """`of`: the name whose text is matched; `by`: the name whose value picks the list; `required`: else bad_format."""

    of: str
    by: str
    cases: Mapping[str, tuple[Pattern, ...]]
    default: tuple[Pattern, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class Switch:
    by: str
    fold: bool
    cases: Mapping[str, int]  # text → index into blocks
    default: int | None
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """`K=V,K2=V2` in the text of `of`: K → the assignment's target."""

    of: str
    pair: str
    assign: str
    targets: Mapping[str, tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class When:
    """`condition` None = `else`: no block before it in its list applied."""

    condition: Condition | None
    body: Block


@dataclass(frozen=True, slots=True)
class Block:
    """Applied in this order: constants, patterns, pairs, fields, logsources, when, switches."""

    constants: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[Assign, ...] = ()
    logsources: tuple[LogSource, ...] = ()
    patterns: tuple[Patterns, ...] = ()
    pairs: tuple[Pairs, ...] = ()
    when: tuple[When, ...] = ()
    switches: tuple[Switch, ...] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """A candidate for the time, read by the first of its formats that fits. `lenient`: none fits = not present."""

    value: Value
    formats: tuple[str, ...]
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Time:
    """The first candidate whose value is present counts. `required`: bad_timestamp when there is none; else the time
    of receipt stands in.
    """

    candidates: tuple[Stamp, ...] = ()
    required: bool = False

    @property
    def formats(self) -> tuple[str, ...]:
        return tuple(f for stamp in self.candidates for f in stamp.formats)


@dataclass(frozen=True, slots=True)
class Sign:
    """One rule of `recognise`. Exactly one of the kinds is given; `values` belongs to `keys`."""

    score: int
    start: bytes = b""
    regex: re.Pattern[str] | None = None
    line: re.Pattern[str] | None = None
    keys: tuple[str, ...] = ()
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    decoder: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Definition:
    """A whole source.yml."""

    name: str
    path: Path
    title: str
    format: str
    framings: tuple[str, ...]
    time_zone: str
    charset: str
    keep: str | None
    skip: tuple[str, ...]
    conform: Condition | None  # () = always
    logsources: tuple[LogSource, ...]
    signs: tuple[Sign, ...]
    steps: tuple[Step, ...]
    time: Time
    blocks: tuple[Block, ...]  # those of `use`, then its own
    filters: tuple[tuple[Condition, str], ...]
    each: str
    repeat: str
