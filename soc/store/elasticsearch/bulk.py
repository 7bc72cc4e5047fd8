"""Documents as bytes → `_bulk` requests of bounded size, each item's outcome back; what passes is tried again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from soc.event import TransportError
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.failures import DOCUMENT_FAULTS, PASSING, AnswerError, reason, said

MAX_BYTES: Final = 8 << 20  # of a request; the server takes 100 MB, and is quickest with some MB
MAX_ITEMS: Final = 2_000
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_FILTER: Final = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by"

Operation = Literal["create", "index", "delete", "update"]


@dataclass(frozen=True, slots=True)
class Item:
    """One line pair of a request. `body` is JSON; b"" for a delete."""

    operation: Operation
    index: str
    id: str
    body: bytes = b""

    def lines(self) -> bytes:
        more = b',"retry_on_conflict":5' if self.operation == "update" else b""
        where = b'{"%b":{"_index":"%b","_id":%b%b}}\n' % (
            self.operation.encode(),
            self.index.encode(),
            orjson.dumps(self.id),
            more,
        )
        return b"%b%b\n" % (where, self.body) if self.operation != "delete" else where


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is HTTP's: 200 or 201 done, 404 nothing to delete or update, 409 there already, 400 never (`why`)."""

    status: int
    why: str = ""

    @property
    def refused(self) -> bool:
        return self.status == 400


class Bulk:
    """Sends to one server. Raises TransportError when it does not answer, or answers for `patience_s` that it is busy.

    Whatever has been written by then is written: every operation of ours may be repeated.
    """

    def __init__(self, server: Server, patience_s: float = 30.0, wait: Callable[[float], None] = time.sleep) -> None:
        self._server = server
        self._patience_s = patience_s
        self._wait = wait

    def send(self, items: Sequence[Item]) -> list[Outcome]:
        """An outcome for each item, in order."""
        outcomes: list[Outcome] = []
        for part, body in _requests(items):
            outcomes += self._sent(part, body)
        return outcomes

    def _sent(self, items: Sequence[Item], body: bytes) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting = list(range(len(items)))
        pause_s, waited_s = _FIRST_PAUSE_S, 0.0
        while True:
            passing = self._ask(body, items, waiting, outcomes)
            waiting = [at for at in waiting if at not in outcomes]
            if not waiting:
                return [outcomes[at] for at in range(len(items))]
            if waited_s + pause_s > self._patience_s:
                raise TransportError(f"{passing}; {len(waiting)} documents wait")
            self._wait(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
            body = b"".join(items[at].lines() for at in waiting)

    def _ask(self, body: bytes, items: Sequence[Item], waiting: Sequence[int], outcomes: dict[int, Outcome]) -> str:
        """Sends what waits and notes the outcomes; the sentence of what passes, "" if everything has an outcome."""
        try:
            answer = self._server.call("POST", "/_bulk", body, params={"filter_path": _FILTER})
        except AnswerError as refused:
            if refused.status == 413 and len(waiting) == 1:
                outcomes[waiting[0]] = Outcome(400, f"the document is larger than the server takes ({len(body)} bytes)")
                return ""
            if refused.status not in PASSING:
                raise
            return str(refused)
        passing = ""
        for at, answered in zip(waiting, answer["items"], strict=True):
            (told,) = answered.values()
            status, error = int(told["status"]), told.get("error")
            if error is None or _settled(items[at].operation, status, str(error.get("type"))):
                outcomes[at] = Outcome(status, reason(error) if error and status == 400 else "")
            else:
                passing = self._state(status, error, items[at])
        return passing

    def _state(self, status: int, error: Mapping[str, Any], item: Item) -> str:
        """The sentence on an item that the server does not take now. Raises TransportError if waiting will not help."""
        kind = str(error.get("type", ""))
        why = f"{item.index}: {reason(error)}"
        sentence = said(status, kind, why, self._server.hosts, self._server.access.who)
        if status in PASSING or status == 409:
            return sentence
        raise AnswerError(sentence, status, kind)


def _settled(operation: Operation, status: int, kind: str) -> bool:
    """Whether an item's error is its outcome: a document that is there, not there, or never to be taken."""
    if status == 400:
        return kind in DOCUMENT_FAULTS
    return (status == 409 and operation == "create") or (status == 404 and kind == "document_missing_exception")


def _requests(items: Sequence[Item]) -> Iterator[tuple[Sequence[Item], bytes]]:
    """Parts of at most MAX_ITEMS items and, but for a single larger one, MAX_BYTES, with the request's body."""
    begin, size = 0, 0
    lines: list[bytes] = []
    for at, item in enumerate(items):
        line = item.lines()
        if lines and (size + len(line) > MAX_BYTES or len(lines) == MAX_ITEMS):
            yield items[begin:at], b"".join(lines)
            begin, size, lines = at, 0, []
        lines.append(line)
        size += len(line)
    if lines:
        yield items[begin:], b"".join(lines)
