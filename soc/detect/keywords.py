"""Keywords: an event → the words that rules without a field look at, one by one or as one marked text for a scan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, Final

from soc.detect.marks import BEGIN, BETWEEN, END, STAND_INS
from soc.detect.value import Scalar, leaves, text

#: Names that the pipeline itself writes into every event: no words of the sender, so no keyword may find them.
_OURS: Final = frozenset(
    (
        "@timestamp",
        "ecs.version",
        "event.dataset",
        "event.module",
        "event.kind",
        "event.category",
        "event.type",
        "event.outcome",
        "event.ingested",
        "event.created",
        "event.id",
        "event.original",
    )
)
_OUR_ROOTS: Final = ("soc.", "organization.", "related.")


def words(event: Mapping[str, Any]) -> Iterator[Scalar]:
    """What keywords look at: every scalar that the sender wrote, nested ones too.

    The original line counts where it is plain text; a structured one (JSON, XML) holds field names as well.
    """
    for name, value in event.items():
        if senders(name):
            yield from leaves(value)
    original = event.get("event.original")
    if isinstance(original, str) and not structured(original):
        yield original


def marked_text(event: Mapping[str, Any], names: Set[str]) -> str:
    """All `words` in one text, each between marks, "" if there are none.

    `names` are those of the event's fields that the sender wrote.
    """
    inner: list[int] = []  # how many words each field is that is neither text nor number
    found = [value if type(value) is str else _other(value, inner) for name, value in event.items() if name in names]
    original = event.get("event.original")
    if isinstance(original, str) and not structured(original):
        found.append(original)
    if len(found) == inner.count(0):
        return ""
    joined = BETWEEN.join(found)
    marks = len(found) - 1 + sum(inner) - len(inner) + inner.count(0)
    if joined.count(BEGIN) != marks or joined.count(END) != marks:  # a word holds a mark itself
        joined = BETWEEN.join(text(word).translate(STAND_INS) for word in words(event))
    return f"{BEGIN}{joined}{END}"


def _other(value: Any, inner: list[int]) -> str:
    """A field that is no text: its words; one without any (null, an empty list) leaves an empty place."""
    if isinstance(value, bool | int | float):
        return text(value)
    found = list(map(text, leaves(value)))
    inner.append(len(found))
    return BETWEEN.join(found)


def senders(name: str) -> bool:
    """Is it a field that the sender wrote, rather than one that the pipeline adds to every event?"""
    return name not in _OURS and not name.startswith(_OUR_ROOTS)


def structured(line: str) -> bool:
    """Is a line JSON or XML, rather than text for people?"""
    start = line[:64].lstrip("\ufeff \t\r\n")
    return (
        start[:1] == "{"
        or (start[:1] == "[" and start[1:].lstrip()[:1] in ("{", '"'))
        or (start[:1] == "<" and (start[1:2].isalpha() or start[1:2] in ("?", "!")))
    )
