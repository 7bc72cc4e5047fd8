"""What flows through the pipeline, and how it fails. Imports nothing of ours.

RawRecord ── parse, normalize, enrich ──▶ Event ── match ──▶ Detection ── correlate, build ──▶ Alert

SocError
 ├─ RecordError      one record is bad: it is set aside with a code, the stream goes on
 ├─ ContentError     a rule, source, model or configuration is bad: refused at load
 ├─ ContentErrors    several of them, collected
 └─ TransportError   a bus, store or network did not answer: wait and try again
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

# ---------------------------------------------------------------- failures


class SocError(Exception):
    """Root of what we raise on purpose."""


#: Codes of a rejected record: few and fixed, for they are metric labels and a column of the ledger.
RECORD_ERROR_CODES: Final = frozenset(
    {
        "bad_encoding",  # bytes that the source's charset cannot be
        "bad_format",  # not the wire format that the source declares
        "bad_timestamp",  # a time that does not exist or cannot be read
        "bad_value",  # a field's value does not fit its type and the record is useless without it
        "damaged",  # a part of a file is broken (EVTX chunk, gzip member)
        "too_large",  # longer than the limit of the collector or the topic
        "store_refused",  # the store will never take this document
        "internal_error",  # a bug of ours; the detail holds the trace
    }
)


class RecordError(SocError):
    """One record cannot be used. `code` is one of RECORD_ERROR_CODES; `detail` is for people."""

    def __init__(self, code: str, detail: str = "") -> None:
        assert code in RECORD_ERROR_CODES, code
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class ContentError(SocError):
    """Content of ours or the user's is wrong: where (`path`, 1-based `line` or 0) and what was expected."""

    def __init__(self, path: Path | str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.path = str(path)
        self.line = line
        self.why = why


class ContentErrors(SocError):
    """All ContentErrors of one load, so that a user mends them in one go."""

    def __init__(self, errors: Sequence[ContentError]) -> None:
        super().__init__("\n".join(str(e) for e in errors))
        self.errors = list(errors)


class TransportError(SocError):
    """The bus, the store or a network peer did not answer. The caller waits and tries again."""


# ---------------------------------------------------------------- ids and times


def digest(*parts: str | bytes | int) -> str:
    """24 hex digits (96 bit of BLAKE2b) over the parts; parts are length-prefixed, so ("ab","c") ≠ ("a","bc")."""
    h = hashlib.blake2b(digest_size=12)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        h.update(len(raw).to_bytes(8, "big"))
        h.update(raw)
    return h.hexdigest()


def record_id(received: datetime, *facts: str | bytes | int) -> str:
    """Id of a raw record: day of receipt (UTC), then a digest of the facts that identify it at its sender."""
    return f"{received:%Y%m%d}-{digest(*facts)}"


def rfc3339(moment: datetime) -> str:
    """Text of an aware UTC time as it stands in documents: 2026-11-24T01:02:03.000000Z, always 27 characters.

    Of one length, so that text order is time order.
    """
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def parse_rfc3339(text: str) -> datetime:
    """Aware UTC datetime of an RFC 3339 text. Raises ValueError, also when the text names no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.astimezone(UTC)


# ---------------------------------------------------------------- what flows

#: Source of records that other shippers write to topic soc.raw themselves: recognised as "auto" ones are, and counted
#: apart in the ledger, for no collector of ours has received them.
FOREIGN: Final = "bus"


class LogSource(NamedTuple):
    """Sigma's logsource. As a rule's: what it asks for (None = any). As an event's: what the event is."""

    product: str | None = None
    category: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record as its sender wrote it.

    `id` comes from `record_id`. `received` is aware UTC. `data` is exactly what arrived, without framing.
    `source` names a folder of pipelines/sources, or is "auto" or FOREIGN. `unit` is the uid that the collector's
    configuration registers for it ("" = none). `sender` is an address, host or path; `stream` is the path,
    connection or channel within it: (`sender`, `stream`) is the bus key, and order holds within it.
    `facts` are small texts of the collector: path, offset, record (1-based ordinal), peer, …
    """

    id: str
    data: bytes
    received: datetime
    source: str = "auto"
    unit: str = ""
    sender: str = ""
    stream: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


#: A flat document: dotted ECS (or vendor) field name → JSON value; lists only of scalars or of vendor objects.
Fields = dict[str, Any]


@dataclass(slots=True)
class Event:
    """One thing that happened: flat fields in ECS names beside the vendor's own, exact values.

    `id` is the record's id, with "-1", "-2", … for the second and later events of one record.
    `timestamp` (when it happened, aware UTC) equals fields["@timestamp"]; `received` is the record's.
    `logsources` are all the Sigma logsources that it is. `source` is the definition that made it.
    """

    id: str
    record_id: str
    timestamp: datetime
    received: datetime
    source: str
    logsources: tuple[LogSource, ...]
    fields: Fields
    unit: str = ""  # registered by the collector; the resolved one is fields["soc.unit.uid"]
    registered: str = ""  # source that the collector registered ("auto", say); "" = the same as `source`


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was set aside, with everything needed to try it again."""

    record: RawRecord
    code: str
    detail: str
    stage: str  # "parse", "normalize", "enrich", "match", "store", "collect"


@dataclass(frozen=True, slots=True)
class Matched:
    """One predicate that held: the rule's field name, its ECS name, Sigma's operator, pattern, actual value."""

    field: str
    ecs: str
    op: str
    pattern: str
    actual: str


@dataclass(frozen=True, slots=True)
class Detection:
    """A rule, correlation or model found something.

    From `RuleSet.match` come rule facts and `matched` alone; the detect worker completes id, event and times.
    `kind`: "rule", "correlation" or "anomaly". `timestamp` is event time. `fields` are those of the event
    (of the last event for a correlation). A correlation also has group, count, first, last and evidence.
    `feeds` names the correlation that this copy is for ("" = the alert builder).
    """

    rule_id: str
    title: str
    level: str
    matched: tuple[Matched, ...] = ()
    rule_version: str = ""
    id: str = ""
    kind: str = "rule"
    timestamp: datetime | None = None
    event_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    group: Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    first: datetime | None = None
    last: datetime | None = None
    evidence: tuple[str, ...] = ()
    feeds: str = ""


@dataclass(slots=True)
class Alert:
    """What an analyst triages. `document` is the flat alert document (workflows: the 60-second alert).

    `version` is the store's version of it (opaque, for update-if-unchanged).
    """

    id: str
    document: Fields
    version: str = ""


@dataclass(slots=True)
class Batch:
    """What one turn of a worker carries: the records read, and what became of each of them."""

    records: list[RawRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    filtered: list[RawRecord] = field(default_factory=list)
    detections: list[list[Detection]] = field(default_factory=list)  # one list for each event


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The nested document of a flat one; where a name is both value and parent, its children keep dotted names."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        *parents, leaf = name.split(".")
        node = tree
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                break
            node = child
        else:
            if isinstance(children := node.get(leaf), dict) and not isinstance(value, dict):
                tree |= {f"{name}.{path}": child for path, child in flat(children).items()}
            node[leaf] = value
            continue
        tree[name] = value
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> Fields:
    """The flat document of a nested one (dicts in dicts); lists and empty dicts stay as they are."""
    out: Fields = {}
    stack: list[tuple[str, Mapping[str, Any]]] = [(prefix, tree)]
    while stack:
        at, node = stack.pop()
        for name, value in node.items():
            if value.__class__ is dict and value:
                stack.append((f"{at}{name}.", value))
            else:
                out[at + name] = value
    return out


def text_of(value: object) -> str:
    """Canonical text of a JSON value: true/false, null, numbers as JSON writes them."""
    if isinstance(value, str):
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return "null"
    if isinstance(value, Iterable):
        return ", ".join(text_of(v) for v in value)
    return str(value)
