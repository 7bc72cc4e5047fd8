"""Events → documents of their days, each created once; a record is stored with all its events or not at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from soc.event import Event, Fields
from soc.store.base import Written
from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.bulk import Bulk, Item, Outcome
from soc.store.elasticsearch.decode import EXCLUDED, decode
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.moments import microseconds
from soc.store.elasticsearch.names import Names, day_of

_LONGEST_ID: Final = 512  # bytes; the server's
_FEW: Final = 2_000  # look-ups by id and index in one request; beyond, a refresh and a search are cheaper
_CHUNK: Final = 4_000


@dataclass(slots=True)
class _Made:
    """An event on its way: where it goes and as what."""

    event: Event
    day: str
    item: Item
    record: dict[str, Any]
    outcome: Outcome | None = None


class Events:
    """Raises TransportError."""

    def __init__(self, server: Server, bulk: Bulk, indices: Indices, names: Names) -> None:
        self._server, self._bulk, self._indices, self._names = server, bulk, indices, names

    def write(self, events: Sequence[Event], again: bool, written: Written) -> dict[str, list[str]]:
        """Counts into `written`; day → ids of the records that are stored now, or were before.

        1. encode 2. (again) look for them elsewhere 3. create 4. without their objects, what the mapping refuses
        5. undo the records that it refuses still
        """
        why: dict[str, str] = {}
        made = list(self._encoded(events, why))
        made = [one for one in made if one.event.record_id not in why]
        if again:
            self._seek(made)
        self._send([one for one in made if one.outcome is None])
        self._send_plain([one for one in made if one.outcome is not None and one.outcome.refused])
        for one in made:
            if one.outcome is not None and one.outcome.refused:
                why.setdefault(one.event.record_id, one.outcome.why)
        if why:
            self._undo([one for one in made if one.event.record_id in why])
            made = [one for one in made if one.event.record_id not in why]
            written.refused.update({e.id: why[e.record_id] for e in events if e.record_id in why})
        created = sum(one.outcome is not None and one.outcome.status == 201 for one in made)
        written.created += created
        written.existed += len(made) - created
        stored: dict[str, list[str]] = defaultdict(list)
        for one in made:
            if one.event.id == one.event.record_id:
                stored[one.day].append(one.event.id)
        return stored

    def _encoded(self, events: Sequence[Event], why: dict[str, str]) -> Iterator[_Made]:
        """Notes in `why` the records that cannot be encoded."""
        more = Counter(event.record_id for event in events if event.id != event.record_id)
        event_index, encoder = self._names.event_index, self._indices.encoder
        for event in events:
            day = day_of(event.id)
            if day is None or len(event.id) > _LONGEST_ID or not event.id.isascii():
                why[event.record_id] = (
                    f"the id {event.id[:80]!r} does not begin with the day of receipt, or is too long"
                )
                continue
            record: dict[str, Any] = {
                "unit": event.unit,
                "source": event.source,
                "received_us": microseconds(event.received),
            }
            if event.id == event.record_id:
                record["registered"] = event.registered or event.source
                if event.fields.get("soc.late") is True:
                    record["late"] = True
                if event.id in more:
                    record["events"] = more[event.id] + 1
            index = event_index(event.fields, day)
            try:
                body = encoder(index).encode(event.fields, microseconds(event.timestamp), record)
            except (TypeError, ValueError) as wrong:
                why[event.record_id] = f"event {event.id} cannot be written: {wrong}"
                continue
            yield _Made(event, day, Item("create", index, event.id, body), record)

    def _seek(self, made: Sequence[_Made]) -> None:
        """Those that another index of their day holds are there already."""
        days: dict[str, list[_Made]] = defaultdict(list)
        for one in made:
            days[one.day].append(one)
        for day, some in days.items():
            there = self._searched(day, [one.event.id for one in some])
            for one in some:
                if there.get(one.event.id, one.item.index) != one.item.index:
                    one.outcome = Outcome(409)

    def _send(self, made: Sequence[_Made]) -> None:
        for one, outcome in zip(made, self._bulk.send([one.item for one in made]), strict=True):
            one.outcome = outcome

    def _send_plain(self, made: Sequence[_Made]) -> None:
        """Once more, with objects and lists of them where no mapping minds them."""
        for one in made:
            encoder, event = self._indices.encoder(one.item.index), one.event
            body = encoder.encode(event.fields, microseconds(event.timestamp), one.record, careful=True)
            one.item = Item("create", one.item.index, event.id, body)
        self._send(made)

    def _undo(self, made: Sequence[_Made]) -> None:
        """Delete what is there of records that are refused, but for those that an earlier call stored whole."""
        created = [one for one in made if one.outcome is not None and one.outcome.status == 201]
        existed = [one for one in made if one.outcome is not None and one.outcome.status == 409]
        whole = {record_id for one in existed if self._is_whole(record_id := one.event.record_id, one.day)}
        gone = created + [one for one in existed if one.event.record_id not in whole]
        self._bulk.send([Item("delete", one.item.index, one.event.id) for one in gone])

    def _is_whole(self, record_id: str, day: str) -> bool:
        docs = self._got(day, [record_id], "soc.record.events")
        if not docs:
            return False
        count = int(docs[0].get("_source", {}).get("soc", {}).get("record", {}).get("events", 1))
        ids = [record_id, *(f"{record_id}-{n}" for n in range(1, count))]
        return len(set(self.stored(day, ids))) == count

    # -- reading by id

    def get(self, event_id: str) -> Fields | None:
        """The fields, with the id as event.id unless the sender gave that field a value."""
        day = day_of(event_id)
        docs = [] if day is None else self._got(day, [event_id], "*")
        if not docs:
            return None
        fields = decode(docs[0]["_source"])
        fields.setdefault("event.id", event_id)
        return fields

    def _got(self, day: str, ids: Sequence[str], fields: str) -> list[dict[str, Any]]:
        """Documents as they are now, searchable or not, with these parts of their source ("" = none)."""
        source = {"includes": [fields], "excludes": list(EXCLUDED)} if fields == "*" else fields or False
        docs = [
            {"_index": index, "_id": some_id, "_source": source}
            for some_id in ids
            for index in self._names.event_indices(day)
        ]
        params = {"filter_path": "docs._id,docs.found,docs._source,docs.error.type,docs.error.reason"}
        answer = self._server.read("POST", "/_mget", {"docs": docs}, params=params)
        return [doc for doc in answer.get("docs", ()) if doc.get("found")]

    def stored(self, day: str, ids: Sequence[str]) -> Iterable[str]:
        """Those of the ids that are events of the day."""
        if len(ids) * len(self._names.event_indices(day)) <= _FEW:
            return [doc["_id"] for doc in self._got(day, ids, "")] if ids else []
        return self._searched(day, ids)

    def _searched(self, day: str, ids: Sequence[str]) -> dict[str, str]:
        """Id → index, over all classes and namespaces of the day; refreshes them before."""
        indices = self._names.event_indices(day)
        self._indices.refresh(indices)
        there: dict[str, str] = {}
        for start in range(0, len(ids), _CHUNK):
            some = ids[start : start + _CHUNK]
            body = {"query": {"ids": {"values": some}}, "size": 10_000, "_source": False, "track_total_hits": False}
            params = {**LENIENT, "filter_path": "hits.hits._id,hits.hits._index"}
            answer = self._server.read("POST", path(indices, "_search"), body, params=params)
            there |= {hit["_id"]: hit["_index"] for hit in answer.get("hits", {}).get("hits", ())}
        return there
