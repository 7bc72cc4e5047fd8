"""A checked `Definition` → one function: RawRecord in, Events out. No clock, disk or network is touched by it.

The mapping becomes straight-line Python (see `emit`), so that nothing of the definition is interpreted per event.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

import orjson

from soc.event import Event, LogSource, RawRecord, RecordError
from soc.normalize.ecs import ecs
from soc.normalize.emit import Emitter
from soc.normalize.model import Definition
from soc.normalize.related import RELATED, merged
from soc.normalize.text import shown, texts
from soc.normalize.times import ZONE_GUESSED, received_moment, time_reader, utc_reader
from soc.normalize.values import CONVERT, conformed, long
from soc.parse import DECODERS, Decode
from soc.parse.base import Names
from soc.parse.json import flatten

Compiled = Callable[[RawRecord], list[Event]]
#: (record, event.original, decoded, envelope and scratch, event id) → event, None = filtered by policy.
_Body = Callable[[RawRecord, str, dict[str, Any], dict[str, Any], str], Event | None]

#: A sender may claim any number of repetitions; this many events at most come from one record.
MAX_REPEATED: Final = 100
#: Where conform moves a value of the sender that does not fit its ECS type.
ASIDE: Final = "unmapped."
#: Names that only we may set: a sender's own go aside.
RESERVED: Final = "soc."
#: Shapes of records that are remembered, and how many names each may have.
_MAX_SHAPES: Final = 4096
_MAX_NAMES: Final = 256


def _emit_body(emitter: Emitter, definition: Definition) -> None:
    put = emitter.put
    everything = definition.keep == ""
    put(0, "def body(record, original, d, t, event_id):")
    if definition.keep is None:
        put(1, "e = {}")
    else:
        put(1, "e = d")
    put(1, f"ls = {emitter.constant(definition.logsources)}")
    if everything:
        put(1, "misplaced, known = SHAPES[tuple(e)]")
        put(1, "if misplaced:")
        put(2, "SET_ASIDE(e, misplaced)")
    if definition.conform is not None:
        put(1, f"if {emitter.condition(definition.conform)}:")
        put(2, f"CONFORM(e, {'known' if everything else '[n for n in e if n in KINDS]'}, KINDS, CLOSED, ASIDE)")
    if everything:
        put(1, "if 'event.kind' not in e:")
        put(2, "e['event.kind'] = 'event'")
    else:
        put(1, "e['event.kind'] = 'event'")
    for block in definition.blocks:
        emitter.block(1, block)
    for condition, _ in definition.filters:
        put(1, f"if {emitter.condition(condition)}:")
        put(2, "return None")
    for name, fields in RELATED.items():
        of = tuple(f for f in fields if everything or f in emitter.targets)
        if of:
            put(1, "r = []")
            for field in of:
                put(1, f"v = e.get({field!r})")
                put(1, "if v is not None:")
                put(2, "r.append(v)")
            put(1, "if r:")
            put(2, f"e[{name!r}] = r if len(r) == 1 and r[0].__class__ is not list else MERGED(r)")
    _emit_time(emitter, definition)
    put(1, "e['@timestamp'] = moment[1]")
    put(1, f"e['event.dataset'] = {definition.name!r}")
    put(1, "e['event.original'] = original")
    put(1, f"return Event(event_id, record.id, moment[0], record.received, {definition.name!r}, ls, e, record.unit)")


def _emit_time(emitter: Emitter, definition: Definition) -> None:
    """Lines that leave the moment of the event, and its text, in `moment`."""
    put = emitter.put
    put(1, "moment = None")
    for stamp in definition.time.candidates:
        put(1, "if moment is None:")
        emitter.value(2, stamp.value)
        put(2, "if v is not None:")
        reader = emitter.constant(time_reader(stamp.formats, definition.time_zone))
        if stamp.lenient:
            put(3, "try:")
            put(4, f"moment = {reader}(v, record.received)")
            put(3, "except RecordError:")
            put(4, "moment = None")
        else:
            put(3, f"moment = {reader}(v, record.received)")
        in_utc = utc_reader(stamp.formats, definition.time_zone)
        if in_utc is not None:
            meant = f"{emitter.constant(in_utc)}(v, record.received, moment)"
            put(3, f"if 'file' not in record.facts and moment and (meant := {meant}) is not None:")
            put(4, "moment = meant")
            put(4, "e['event.timezone'] = 'UTC'")
            put(4, f"e[{ZONE_GUESSED!r}] = True")
    put(1, "if moment is None:")
    if definition.time.required:
        put(2, "raise RecordError('bad_timestamp', 'no time stamp')")
    else:
        put(2, "moment = RECEIVED(record.received)")


def _kinds() -> dict[str, tuple[Callable[[Any], Any], bool]]:
    """ECS name → (conversion, whether it is a list); a set's own name (`host`) takes objects only.

    "@timestamp" is left to `time`.
    """
    kinds = {name: (CONVERT[t.kind], t.many) for name, t in ecs().fields.items() if name != "@timestamp"}
    for name in list(kinds):
        parts = name.split(".")
        for at in range(1, len(parts)):
            kinds.setdefault(".".join(parts[:at]), (CONVERT["object"], False))
    return kinds


class _Shapes(dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]]):
    """Names of a record → (those that may not stand where they stand, those that ECS knows).

    Misplaced is what is reserved for us, and what stands below a field to which ECS gives a plain value
    (`message.text`): no store can hold both.

    Remembers; bounded. Senders write few shapes, and one look at a shape is cheaper than a look at each name.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        super().__init__()
        self.kinds = kinds
        self.plain = frozenset(name for name, kind in ecs().fields.items() if kind.kind != "object")

    def _misplaced(self, name: str) -> bool:
        parts = name.split(".")
        return name.startswith(RESERVED) or any(".".join(parts[:at]) in self.plain for at in range(1, len(parts)))

    def __missing__(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        misplaced = tuple(name for name in names if self._misplaced(name))
        made = (misplaced, tuple(name for name in names if name in self.kinds and name not in misplaced))
        if len(names) <= _MAX_NAMES:
            if len(self) >= _MAX_SHAPES:
                self.clear()
            self[names] = made
        return made


def _set_aside(e: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        e[ASIDE + name] = e.pop(name)


def _body(definition: Definition) -> _Body:
    last = DECODERS[definition.steps[-1].decoder]
    alone = last.envelope  # the envelope is all there is
    decoded = "d" if definition.keep is None else "e"
    prefix = f"{definition.keep}." if definition.keep else ""
    enveloped = any(DECODERS[s.decoder].envelope for s in definition.steps)
    emitter = Emitter(decoded, "" if alone else prefix, definition.skip, enveloped, last.texts)
    emitter.constants |= {
        "MERGED": merged,
        "RECEIVED": received_moment,
        "RecordError": RecordError,
        "Event": Event,
        "SET_ASIDE": _set_aside,
        "CONFORM": conformed,
        "KINDS": _kinds(),
        "CLOSED": ecs().allowed,
        "ASIDE": ASIDE,
    }
    emitter.constants["SHAPES"] = _Shapes(emitter.constants["KINDS"])
    _emit_body(emitter, definition)
    source = "\n\n".join([*emitter.functions, "\n".join(emitter.lines)])
    namespace = emitter.constants
    # The text holds nothing but names and repr() of literals from a checked definition; see `emit`.
    exec(compile(source, f"<{definition.path}>", "exec"), namespace)
    for table in emitter.late_tables:
        namespace[table] = _resolved(namespace[table], namespace)
    body: _Body = namespace["body"]
    return body


def _resolved(value: Any, namespace: dict[str, Any]) -> Any:
    """Tables of names of emitted functions → tables of the functions."""
    if isinstance(value, dict):
        return {key: _resolved(item, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return tuple((regex, namespace[name]) for regex, name in value)
    return namespace[value]


#: record → (event.original, decoded or None = no record, envelope and scratch)
Decoding = Callable[[RawRecord], tuple[str, dict[str, Any] | None, dict[str, Any]]]


def decoding(definition: Definition) -> Decoding:
    """The first half of a source: its decoders, with the charset resolved before and the envelope taken off."""
    prefix = f"{definition.keep}." if definition.keep else ""
    made: list[Decode] = []
    for step in definition.steps:
        decoder = DECODERS[step.decoder]
        made.append(decoder.make(**step.options, root=prefix) if decoder.rooted else decoder.make(**step.options))
    last = DECODERS[definition.steps[-1].decoder]
    read = texts(definition.charset, last.undecodable)
    inner, outer = made[-1], made[0]

    def of_bytes(record: RawRecord) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        return shown(record.data), inner(record.data), {}

    def of_stream(record: RawRecord) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        text, original = read(record.data)
        return original, inner(text, (record.sender, record.stream)), {}

    def of_both(record: RawRecord) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        text, original = read(record.data)
        envelope = outer(text)
        return original, inner(envelope["message"]), envelope

    def of_envelope(record: RawRecord) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        text, original = read(record.data)
        return original, {}, inner(text)

    def of_text(record: RawRecord) -> tuple[str, dict[str, Any] | None, dict[str, Any]]:
        text, original = read(record.data)
        return original, inner(text), {}

    if last.takes == "bytes":
        return of_bytes
    if last.takes == "stream":
        return of_stream
    if len(made) == 2:
        return of_both
    return of_envelope if last.envelope else of_text


def compiled(definition: Definition) -> Compiled:
    """The function of a source. It raises RecordError; [] = every event of the record is filtered by policy."""
    body = _body(definition)
    decode = decoding(definition)
    if definition.each:
        return _each(definition, decode, body)
    repeat = definition.repeat

    def events(record: RawRecord) -> list[Event]:
        original, d, t = decode(record)
        if d is None:
            return []
        event = body(record, original, d, t, record.id)
        if event is None:
            return []
        if repeat and (count := _count(repeat, d, t)) > 1:
            return [event, *(_again(event, n) for n in range(1, min(count, MAX_REPEATED)))]
        return [event]

    return events


def _count(name: str, d: dict[str, Any], t: dict[str, Any]) -> int:
    return long(t.get(name.removeprefix("syslog."), d.get(name))) or 1


def _again(event: Event, n: int) -> Event:
    """The same once more, as an event of its own."""
    fields = {k: list(v) if v.__class__ is list else v for k, v in event.fields.items()}
    return Event(
        f"{event.record_id}-{n}",
        event.record_id,
        event.timestamp,
        event.received,
        event.source,
        event.logsources,
        fields,
        event.unit,
    )


def _each(definition: Definition, decode: Decoding, body: _Body) -> Compiled:
    """Every member of the list `each` is an event; a record without that list is one event itself."""
    prefix = f"{definition.keep}." if definition.keep else ""
    names = Names(prefix)
    key = prefix + definition.each

    def events(record: RawRecord) -> list[Event]:
        original, d, t = decode(record)
        if d is None:
            return []
        items = d.get(key)
        if items.__class__ is not list:
            event = body(record, original, d, t, record.id)
            return [] if event is None else [event]
        made = []
        for n, item in enumerate(items):
            if item.__class__ is not dict:
                raise RecordError("bad_format", f"member {n} of {definition.each} is no object")
            fields: dict[str, Any] = {}
            flatten(item, names, fields)
            event_id = f"{record.id}-{n}" if n else record.id
            event = body(record, orjson.dumps(item).decode(), fields, dict(t), event_id)
            if event is not None:
                made.append(event)
        return made

    return events


def logsources(definition: Definition) -> tuple[LogSource, ...]:
    """All logsources that an event of this source may be."""
    found: dict[LogSource, None] = dict.fromkeys(definition.logsources)

    def walk(block: Any) -> None:
        found.update(dict.fromkeys(block.logsources))
        for when in block.when:
            walk(when.body)
        for switch in block.switches:
            for inner in switch.blocks:
                walk(inner)
        for patterns in block.patterns:
            for listed in (*patterns.cases.values(), patterns.default):
                for pattern in listed:
                    walk(pattern.body)

    for block in definition.blocks:
        walk(block)
    return tuple(found)
