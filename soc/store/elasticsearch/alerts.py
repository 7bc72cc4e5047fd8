"""Alerts → documents of an index per namespace and year, behind an alias; changed if unchanged since they were read.

A version is "index|sequence number|primary term": where the alert is, and what the server calls this state of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from soc.event import Alert, Fields, parse_rfc3339
from soc.store.base import VersionConflictError
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.decode import EXCLUDED, decode
from soc.store.elasticsearch.failures import DOCUMENT_FAULTS, AnswerError
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.moments import microseconds
from soc.store.elasticsearch.names import Names
from soc.store.elasticsearch.search import Search, Span
from soc.store.tree import Query

_SHORTEST_PREFIX: Final = 8


class Alerts:
    """Raises TransportError. Reads by id see every acknowledged write; searches see it within a second."""

    def __init__(self, server: Server, indices: Indices, names: Names) -> None:
        self._server, self._indices, self._names = server, indices, names
        self.found = Search(server, indices, names.alerts, lambda fields, alert_id: None)

    def create(self, alert: Alert) -> bool:
        """1. look for it in every index of alerts 2. create it where it belongs, unless somebody was quicker.

        An alert of units or levels that another namespace takes now stays where it was created.
        """
        if self._got(alert.id) is not None:
            return False
        index = self._names.alert_index(alert.document)
        made = self._put(index, f"_create/{quote(alert.id, safe='')}", alert.id, alert.document, {})
        return made is not None

    def get(self, alert_id: str) -> Alert | None:
        """By id, or by a prefix of 8 characters or more that only one id has."""
        got = self._got(alert_id)
        if got is None and len(alert_id) >= _SHORTEST_PREFIX:
            body = {"query": {"prefix": {"soc.index.id": alert_id}}, "size": 2, "_source": False}
            hits = self._server.read("POST", path(self._names.alerts, "_search"), body, params=LENIENT)["hits"]["hits"]
            got = self._got(hits[0]["_id"]) if len(hits) == 1 else None
        return got

    def _got(self, alert_id: str) -> Alert | None:
        there = self._indices.existing(self._names.alerts) if alert_id else []
        if not there:
            return None
        source = {"excludes": list(EXCLUDED)}
        docs = [{"_index": index, "_id": alert_id, "_source": source} for index in there]
        answer = self._server.read("POST", "/_mget", {"docs": docs})
        return next((_alert(doc, decode(doc["_source"])) for doc in answer["docs"] if doc.get("found")), None)

    def update(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        """Sets the fields if the version is still current; the new version. Raises VersionConflictError."""
        now = self._got(alert_id)
        if now is None or now.version != version:
            state = "is not there" if now is None else f"is at version {now.version}"
            raise VersionConflictError(f"alert {alert_id} {state}, not at version {version}")
        index, seq_no, term = version.rsplit("|", 2)
        unchanged = {"if_seq_no": seq_no, "if_primary_term": term}
        fields = {**now.document, **changes}
        made = self._put(index, f"_doc/{quote(alert_id, safe='')}", alert_id, fields, unchanged)
        if made is None:
            raise VersionConflictError(f"alert {alert_id} is not at version {version} any more")
        return _version(index, made)

    def search(self, query: Query, bounds: Span, limit: int, offset: int) -> tuple[int, list[Alert]]:
        total, hits = self.found.search(query, bounds, limit, offset, oldest_first=False)
        return total, [_alert(hit.meta, hit.fields) for hit in hits]

    def _put(
        self, index: str, action: str, alert_id: str, fields: Fields, params: Mapping[str, str]
    ) -> Mapping[str, Any] | None:
        """The server's answer; None on a conflict. Objects that a mapping minds go where none does.

        Raises ValueError for a document without a readable @timestamp, TypeError for what JSON cannot say.
        """
        ts = microseconds(parse_rfc3339(str(fields.get("@timestamp"))))
        encoder = self._indices.encoder(index)
        for careful in (False, True):
            body = encoder.encode(fields, ts, own_id=alert_id, careful=careful)
            try:
                made: Mapping[str, Any] = self._server.call(
                    "PUT", path(index, action), orjson.Fragment(body), params=params
                )
                return made
            except AnswerError as refused:
                if refused.status == 409:
                    return None
                if careful or refused.kind not in DOCUMENT_FAULTS:
                    raise
        raise AssertionError("the last try returns or raises")


def _alert(found: Mapping[str, Any], fields: Fields) -> Alert:
    return Alert(found["_id"], fields, _version(found["_index"], found))


def _version(index: str, found: Mapping[str, Any]) -> str:
    return f"{index}|{found['_seq_no']}|{found['_primary_term']}"
