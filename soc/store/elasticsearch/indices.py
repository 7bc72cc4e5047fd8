"""Index names → indices of ours with a known mapping: created when first written to, never by the server itself."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import orjson

from soc.event import TransportError
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.encode import Encoder
from soc.store.elasticsearch.failures import AnswerError
from soc.store.elasticsearch.known import kinds
from soc.store.elasticsearch.names import alias
from soc.store.elasticsearch.templates import MANAGED_BY

#: For searches over indices of which some may not be there (yet, or any more).
LENIENT: Final = {"ignore_unavailable": "true", "allow_no_indices": "true"}


def path(indices: Sequence[str] | str, action: str = "") -> str:
    """The path of a request to indices or patterns, or to an index itself."""
    named = quote(indices if isinstance(indices, str) else ",".join(indices), safe=",*")
    return f"/{named}/{action}" if action else f"/{named}"


class Indices:
    """Remembers which indices it has seen, and how documents are encoded for them. Raises TransportError."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._encoders: dict[str, Encoder] = {}
        self._by_mapping: dict[bytes, Encoder] = {}
        self._lock = threading.Lock()
        self.generation = 0  # goes up when an index was seen for the first time

    def encoder(self, index: str) -> Encoder:
        """How documents are encoded for the index, which is there afterwards."""
        known = self._encoders.get(index)
        return known if known is not None else self._opened(index)

    def ensure(self, index: str) -> None:
        """The index is there, made by a template of ours."""
        self.encoder(index)

    def _opened(self, index: str) -> Encoder:
        with self._lock:
            created = False
            found = self._server.call("GET", path(index, "_mapping"), absent=True)
            if found is None:
                created = self._create(index)
                found = self._server.call("GET", path(index, "_mapping"))
            mapping = found[index]["mappings"]
            if mapping.get("_meta", {}).get("managed_by") != MANAGED_BY:
                raise TransportError(
                    f"Elasticsearch at {self._server.hosts} has no template of ours for {index}: run `soc store apply`"
                    f"{'' if created and self._undone(index) else ', and delete this index, which was made without it'}"
                )
            key = orjson.dumps(mapping, option=orjson.OPT_SORT_KEYS)
            if key not in self._by_mapping:
                self._by_mapping[key] = Encoder(kinds(mapping))
            self._encoders[index] = self._by_mapping[key]
            self.generation += 1
            return self._encoders[index]

    def _undone(self, index: str) -> bool:
        """Whether an empty index that should not be there is gone; a worker's key may not delete it."""
        try:
            self._server.call("DELETE", path(index), absent=True)
        except AnswerError as refused:
            if refused.status == 403:
                return False
            raise
        return True

    def _create(self, index: str) -> bool:
        """True if it was not there. Its alias is its name without the time, if we may give it one."""
        bodies: list[dict[str, Any]] = [{"aliases": {alias(index): {}}}, {}] if is_dated(index) else [{}]
        for body in bodies:
            try:
                self._server.call("PUT", path(index), body)
                return True
            except AnswerError as refused:
                if refused.kind == "resource_already_exists_exception":
                    return False
                if refused.status != 403 or not body:
                    raise
        raise AssertionError("the last try returns or raises")

    def existing(self, patterns: Sequence[str]) -> list[str]:
        """Names of the indices that fit, sorted."""
        answer = self._server.call(
            "GET", f"/_resolve/index/{quote(','.join(patterns), safe=',*')}", params={"filter_path": "indices.name"}
        )
        return sorted(found["name"] for found in answer.get("indices", ()))

    def refresh(self, patterns: Sequence[str]) -> None:
        """What was written can be searched."""
        self._server.call("POST", path(patterns, "_refresh"), params=LENIENT)

    def delete(self, index: str) -> None:
        """Gone for readers at once; no error if somebody else was quicker."""
        self._server.call("DELETE", path(index), absent=True)
        self._encoders.pop(index, None)


def is_dated(index: str) -> bool:
    return index.rpartition("-")[2][:1].isdigit()
