"""Filtered and rejected records of a day → documents of one index; a record that is stored has none there.

A record has one fate, stored before filtered before rejected, whatever is redelivered and in whichever order. Two
indices hold it, so both writers write first and look afterwards: 1. write the event 2. take its record back — and
1. write the record 2. take it back if its event is there. Reads by id see what was acknowledged: one sees the other.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from soc.event import RawRecord, Rejected, TransportError, rfc3339
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.bulk import Bulk, Item
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.moments import microseconds, moment_of
from soc.store.elasticsearch.names import Names, day_of

#: A rejected record that is rejected again; `again` tells `forget` that a replay has been here already.
_REJECT: Final = (
    "def r = ctx._source.soc.record; if (r.fate == 'filtered') { ctx.op = 'none' } else "
    "{ r.again = true; r.code = params.code; r.detail = params.detail; r.stage = params.stage }"
)
_FORGET: Final = (
    "def r = ctx._source.soc.record; if (r.fate != 'rejected') { ctx.op = 'none' } else "
    "if (r.again == true) { r.again = false } else { ctx.op = 'delete' }"
)
_PAGE: Final = 500


class Records:
    """`stored(day, ids)`: those of the ids that are stored events. Raises TransportError."""

    def __init__(
        self,
        server: Server,
        bulk: Bulk,
        indices: Indices,
        names: Names,
        stored: Callable[[str, Sequence[str]], Iterable[str]],
    ) -> None:
        self._server, self._bulk, self._indices, self._names, self._stored = server, bulk, indices, names, stored

    def write(self, rejected: Sequence[Rejected], filtered: Sequence[RawRecord]) -> None:
        """1. write them 2. take back those that are stored."""
        days: dict[str, list[Item]] = defaultdict(list)
        for record in filtered:
            day = _day(record)
            body = orjson.dumps(_document(record, "filtered"))
            days[day].append(Item("index", self._names.records_index(day), record.id, body))
        for item in rejected:
            day = _day(item.record)
            why = {"code": item.code, "detail": _sayable(item.detail), "stage": item.stage}
            script = {"source": _REJECT, "params": why}
            body = orjson.dumps({"script": script, "upsert": _rejection(item.record, why)})
            days[day].append(Item("update", self._names.records_index(day), item.record.id, body))
        for day, items in sorted(days.items()):
            self._indices.ensure(self._names.records_index(day))
            self._send(items)
            self._delete(day, self._stored(day, list(dict.fromkeys(item.id for item in items))))

    def take_back(self, day: str, record_ids: Sequence[str]) -> None:
        """These records are stored: they are neither filtered nor rejected."""
        if record_ids:
            self._indices.ensure(self._names.records_index(day))
            self._delete(day, self._found(day, record_ids))

    def _found(self, day: str, record_ids: Sequence[str]) -> list[str]:
        """Those that have a document. Asks first whether any has: nearly always none, and the answer is empty."""
        where, body = path(self._names.records_index(day), "_mget"), {"ids": record_ids}
        params = {"_source": "false", "filter_path": "docs._version,docs.error.type,docs.error.reason"}
        answer = self._server.read("POST", where, body, params=params)
        if not any("_version" in doc for doc in answer.get("docs", ())):
            return []
        params["filter_path"] = "docs._id,docs.found,docs.error.type,docs.error.reason"
        docs = self._server.read("POST", where, body, params=params)["docs"]
        return [doc["_id"] for doc in docs if doc.get("found")]

    def _delete(self, day: str, record_ids: Iterable[str]) -> None:
        index = self._names.records_index(day)
        self._bulk.send([Item("delete", index, record_id) for record_id in record_ids])

    def fates(self, day: str, record_ids: Sequence[str]) -> dict[str, str]:
        """Record id → "filtered" or "rejected"."""
        params = {
            "_source": "soc.record.fate",
            "filter_path": "docs._id,docs.found,docs._source,docs.error.type,docs.error.reason",
        }
        answer = self._server.read(
            "POST", path(self._names.records_index(day), "_mget"), {"ids": record_ids}, params=params
        )
        docs = answer.get("docs", ())
        return {doc["_id"]: doc["_source"]["soc"]["record"]["fate"] for doc in docs if doc.get("found")}

    def rejected(self, since: datetime | None, limit: int) -> list[Rejected]:
        """Newest first by receipt."""
        held: list[dict[str, Any]] = [{"term": {"soc.record.fate": "rejected"}}]
        if since is not None:
            held.append({"range": {"soc.record.received_us": {"gte": microseconds(since)}}})
        order = [{"soc.record.received_us": "desc"}, {"soc.record.id": "desc"}]
        found: list[Rejected] = []
        after: list[Any] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            body: dict[str, Any] = {"query": {"bool": {"filter": held}}, "sort": order, "size": size}
            body |= {"track_total_hits": False} | ({"search_after": after} if after else {})
            hits = self._server.read("POST", path(self._names.records, "_search"), body, params=LENIENT)["hits"]["hits"]
            found += [_rejected(hit["_source"]["soc"]["record"]) for hit in hits]
            if len(hits) < size:
                break
            after = hits[-1]["sort"]
        return found

    def forget(self, record_ids: Iterable[str]) -> None:
        """Take rejected ones out, unless they were rejected anew since the last time."""
        there = self._indices.existing([self._names.records])
        body = orjson.dumps({"script": {"source": _FORGET}})
        items: list[Item] = []
        for record_id in dict.fromkeys(record_ids):
            day = day_of(record_id)
            indices = there if day is None else [self._names.records_index(day)]
            items += [Item("update", index, record_id, body) for index in indices if index in there]
        self._send(items)

    def _send(self, items: Sequence[Item]) -> None:
        """Our own documents: none of them is refused unless the index is not ours."""
        for item, outcome in zip(items, self._bulk.send(items), strict=True):
            if outcome.refused:
                raise TransportError(
                    f"Elasticsearch at {self._server.hosts} refuses {item.index}/{item.id}: {outcome.why}"
                )


def _day(record: RawRecord) -> str:
    return day_of(record.id) or f"{record.received:%Y%m%d}"


def _document(record: RawRecord, fate: str) -> dict[str, Any]:
    return {
        "@timestamp": rfc3339(record.received),
        "soc": {
            "record": {
                "id": record.id,
                "fate": fate,
                "unit": record.unit,
                "registered": record.source,
                "received_us": microseconds(record.received),
            }
        },
    }


def _rejection(record: RawRecord, why: Mapping[str, str]) -> dict[str, Any]:
    """With everything that is needed to try the record again."""
    made = _document(record, "rejected")
    made["soc"]["record"] |= {
        **why,
        "sender": _sayable(record.sender),
        "stream": _sayable(record.stream),
        "facts": orjson.dumps({_sayable(k): _sayable(v) for k, v in record.facts.items()}).decode(),
        "data": base64.b64encode(record.data).decode(),
    }
    return made


def _sayable(text: str) -> str:
    """The text, with what UTF-8 cannot say written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _rejected(held: Mapping[str, Any]) -> Rejected:
    record = RawRecord(
        held["id"],
        base64.b64decode(held["data"]),
        moment_of(held["received_us"]),
        held["registered"],
        held["unit"],
        held["sender"],
        held["stream"],
        orjson.loads(held["facts"]),
    )
    return Rejected(record, held["code"], held["detail"], held["stage"])
