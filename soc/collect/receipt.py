"""A piece of a file in, its RawRecord with receipt (or Rejected) out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from soc.collect.evtx import EvtxRecord
from soc.collect.framing import Piece
from soc.event import RawRecord, Rejected


class Ids:
    """`record_id(received, *facts, n)` for many n: what stands before n is hashed once."""

    def __init__(self, received: datetime, *facts: str) -> None:
        self._day = f"{received:%Y%m%d}-"
        self._base = hashlib.blake2b(digest_size=12)
        for fact in facts:
            raw = fact.encode()
            self._base.update(len(raw).to_bytes(8, "big") + raw)

    def __call__(self, n: int) -> str:
        h = self._base.copy()
        raw = b"%d" % n
        h.update(len(raw).to_bytes(8, "big") + raw)
        return self._day + h.hexdigest()


@dataclass(frozen=True, slots=True)
class Origin:
    """What all records of a file share: where they are registered, and where they lie."""

    source: str
    unit: str
    name: str  # as walked
    container: str  # the sender: path on disk
    member: str  # the stream: path within the container
    host: str = ""  # the machine that wrote it, where the format does not say; a fact of every record


class Receipts:
    """Makes the records of one stream that are received at one time.

    Ids are facts: the file's fingerprint and the byte offset (EVTX: the record's ordinal).
    """

    def __init__(self, origin: Origin, received: datetime, fingerprint: str) -> None:
        self._origin = origin
        self._received = received
        self._fingerprint = fingerprint
        self._id = Ids(received, fingerprint)

    def text(self, piece: Piece) -> RawRecord | Rejected:
        """The record of a piece of text."""
        o = self._origin
        data, offset, end, number, code, detail = piece
        facts = {"file": o.name, "record": str(number), "offset": str(offset)}
        if o.host:
            facts["host"] = o.host
        record = RawRecord(self._id(offset), data, self._received, o.source, o.unit, o.container, o.member, facts)
        if not code:
            return record
        facts["bytes"] = str(end - offset)
        return Rejected(record, code, detail, "collect")

    def evtx(self, item: EvtxRecord, damages: int = 0) -> RawRecord | Rejected:
        """The record of an EVTX record; for a damage, `damages` says how many there were since the last good one."""
        o = self._origin
        facts = {"file": o.name, "record": str(item.ordinal)}
        if item.code:
            facts["damage"] = str(damages + 1)
            identity = Ids(self._received, f"{self._fingerprint} after {item.ordinal}")(damages)
            record = RawRecord(identity, b"", self._received, o.source, o.unit, o.container, o.member, facts)
            return Rejected(record, item.code, item.detail, "collect")
        if item.event_record_id is not None:
            facts["event_record_id"] = str(item.event_record_id)
        identity = self._id(item.ordinal)
        return RawRecord(identity, item.data, self._received, o.source, o.unit, o.container, o.member, facts)

    def broken(self, at: int, code: str, detail: str) -> Rejected:
        """What stands for the rest of a stream that cannot be read on from byte `at`."""
        o = self._origin
        identity = Ids(self._received, f"{self._fingerprint} broken")(at)
        facts = {"file": o.name, "offset": str(at)}
        record = RawRecord(identity, b"", self._received, o.source, o.unit, o.container, o.member, facts)
        return Rejected(record, code, detail, "collect")
