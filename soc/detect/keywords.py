"""Keywords: events → the words that rules without a field look at, and the literals found in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from soc.detect.marks import BEGIN, BETWEEN, END, clean
from soc.detect.pivot import Cells
from soc.detect.scan import Scan
from soc.detect.value import Scalar, leaves, text

#: Names that the pipeline itself writes into every event: no words of the sender, so no keyword may find them.
_OURS: Final = frozenset(
    {
        *("@timestamp", "ecs.version", "host.os.type", "observer.vendor", "observer.product", "observer.type"),
        *("event.dataset", "event.module", "event.kind", "event.category", "event.type", "event.outcome"),
        *("event.ingested", "event.created", "event.id", "event.original"),
    }
)
#: The line as it came; where it is plain text, it is the only place that holds every word.
ORIGINAL: Final = "event.original"
_OUR_ROOTS: Final = ("soc.", "organization.", "related.")


def words(event: Mapping[str, Any]) -> Iterator[Scalar]:
    """What keywords look at: every scalar that the sender wrote, nested ones too.

    The original line counts where it is plain text; a structured one (JSON, XML) holds field names as well.
    """
    for name, value in event.items():
        if senders(name):
            yield from leaves(value)
    original = event.get(ORIGINAL)
    if isinstance(original, str) and not structured(original):
        yield original


class WordScan:
    """The words of a batch, each text once, with the events that hold it; only events of `need` count.

    `everywhere` are the events with any word at all.
    """

    def __init__(self, cells: Mapping[str, Cells], need: int) -> None:
        self._texts: list[str] = []
        self._masks: list[int] = []
        self._values: list[Scalar] = []
        for name, (plain_values, others) in cells.items():
            if name == ORIGINAL:
                plain_values = {v: m for v, m in plain_values.items() if isinstance(v, str) and not structured(v)}
                others = []
            elif not senders(name):
                continue
            for value, mask in plain_values.items():
                if mask & need:
                    self._add(value, mask & need)
            for value, bit in others:
                if bit & need:
                    for leaf in leaves(value):
                        self._add(leaf, bit)
        self.everywhere = 0
        for mask in self._masks:
            self.everywhere |= mask

    def _add(self, value: Scalar, mask: int) -> None:
        self._values.append(value)
        self._texts.append(value if type(value) is str else text(value))
        self._masks.append(mask)

    def words(self) -> Iterator[tuple[Scalar, int]]:
        """Each word with its events."""
        return zip(self._values, self._masks, strict=True)

    def hits(self, scan: Scan) -> Iterator[tuple[int, int]]:
        """Atom and events of every literal that is found in a word."""
        start, size = 0, 0
        for end, word in enumerate(self._texts):
            size += len(word)
            if size > _SCAN_CHARS:
                yield from self._hits(scan, start, end + 1)
                start, size = end + 1, 0
        yield from self._hits(scan, start, len(self._texts))

    def _hits(self, scan: Scan, start: int, end: int) -> Iterator[tuple[int, int]]:
        words = [clean(scan.normal(word)) for word in self._texts[start:end]]
        begins = list(accumulate((len(word) + 2 for word in words), initial=0))
        for atom, at in scan.positions(f"{BEGIN}{BETWEEN.join(words)}{END}"):
            yield atom, self._masks[start + bisect_right(begins, at) - 1]


#: Texts are joined up to so many characters before they are scanned.
_SCAN_CHARS: Final = 1 << 20


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
