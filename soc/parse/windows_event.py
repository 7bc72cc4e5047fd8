"""Windows event log, one event in whatever shape it is shipped → canonical `winlog.*` fields.

The first character tells XML from JSON, the members of the object tell the JSON shapes apart; one source definition
therefore serves an EVTX file, forwarded XML and every agent. The shapes: windows_evtx, windows_xml, windows_ecs,
windows_flat.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from soc.event import RecordError, nested
from soc.parse.base import Decode, Decoder
from soc.parse.windows_ecs import from_ecs, is_ecs
from soc.parse.windows_evtx import from_tree
from soc.parse.windows_flat import from_flat
from soc.parse.windows_tables import table_for
from soc.parse.windows_xml import from_xml

_XML_START: Final = re.compile(r"<(?:\?xml|!--|!DOCTYPE|(?:\w+:)?Events?[\s>])")
#: A syslog header before the event (rsyslog, NXLog): priority, then text without braces or event tag.
_SYSLOG: Final = re.compile(r"<\d{1,3}>[^{<]{0,1000}?(?=\{|<(?:\?xml|Event[\s>]))")
_JSON_START: Final = re.compile(r'\s*\{\s*"(?:Event|System|winlog|EventID)"\s*:')
_LONE: Final = re.compile("[\ud800-\udfff]")
#: Members in which forwarders carry the XML as text, most telling first.
_XML_MEMBERS: Final = ("event.original", "raw_xml", "xml", "Xml", "RawEventData", "Event", "System", "message")
#: Members in which collectors carry the JSON of the event as text.
_JSON_MEMBERS: Final = ("body", "event.original", "message", "raw")
#: Envelopes around the event: chainsaw's hunts, and forwarders that put the record below one member.
_ENVELOPES: Final = ("document", "data", "columns", "_source")


def make() -> Decode:
    """No options."""
    return decode


def decode(data: bytes) -> dict[str, Any]:
    """Canonical fields of one event; flat. Raises RecordError("bad_format") for what is no Windows event."""
    start = data[:1]
    if start == b"{":
        return from_json(_loads(data))
    text = decoded(data).lstrip("\ufeff \t\r\n")
    if text[:1] == "<":
        if found := _SYSLOG.match(text):
            text = text[found.end() :]
        if text[:1] == "<":
            if not _XML_START.match(text):
                raise RecordError("bad_format", f"XML, but no Windows event: {text[:40]}")
            return from_xml(text)
    return from_json(_loads(text.encode("utf-8", "surrogatepass")))


def decoded(data: bytes) -> str:
    """Text of the record: UTF-16 by its byte order mark (what Windows tools write), else UTF-8; bad bytes as \\xNN."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    return data.decode(encoding, "backslashreplace")


def _loads(data: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        value = _loads_mended(data, error)
    if value.__class__ is not dict:
        raise RecordError("bad_format", f"JSON, but no object: {data[:40]!r}")
    return value


def _loads_mended(data: bytes, error: orjson.JSONDecodeError) -> Any:
    """The record all the same if only its letters are bad: bytes that are no UTF-8, halves of surrogate pairs.

    NTFS names and command lines may hold both, and an event must not be lost for it: bytes become \\xNN as in
    event.original, halves U+FFFD.
    """
    text = data.decode("utf-8", "surrogateescape")
    mended = re.sub("[\udc80-\udcff]", lambda found: f"\\\\x{ord(found[0]) - 0xDC00:02x}", text)
    if mended == text and b"\\u" not in data:
        raise RecordError("bad_format", f"JSON: {error}") from error
    try:
        return _whole(json.loads(mended, parse_constant=_refuse))
    except (ValueError, RecursionError) as again:
        raise RecordError("bad_format", f"JSON: {again}") from again


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _whole(value: Any) -> Any:
    if value.__class__ is str:
        return _LONE.sub("\ufffd", value)
    if value.__class__ is list:
        return [_whole(v) for v in value]
    if value.__class__ is dict:
        return {_whole(name): _whole(v) for name, v in value.items()}
    return value


def from_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields of an object of any JSON shape. Raises RecordError where it is none of them."""
    event = record.get("Event")
    if event.__class__ is dict:
        return from_tree(event)
    if record.get("System").__class__ is dict:
        return from_tree(record)
    if is_ecs(record):
        return from_ecs(record)
    for name in _XML_MEMBERS:
        text = record.get(name)
        if text.__class__ is str and _XML_START.match(text):
            fields = from_xml(text)
            if record.get("Message").__class__ is str:  # rendered by Fluent Bit beside the XML
                fields.setdefault("message", record["Message"])
            return fields
    for name in _JSON_MEMBERS:
        text = record.get(name)
        if text.__class__ is str and _JSON_START.match(text) and table_for(record) is None:
            return from_json(_loads(text.encode("utf-8", "surrogatepass")))
    for name in _ENVELOPES:
        inner = record.get(name)
        if inner.__class__ is dict and _inside(inner):
            return from_json(inner)
    if "Event.System.EventID" in record or "Event.System.EventID.#text" in record:
        return from_json(nested(record))
    return from_flat(record)


def _inside(inner: Mapping[str, Any]) -> bool:
    """Whether an envelope's content is an event, or the next envelope of chainsaw's two."""
    return any(name in inner for name in ("Event", "System", "winlog", "eventid", "EventID")) or (
        "kind" in inner and inner.get("data").__class__ is dict
    )


DECODER: Final = Decoder("windows_event", make, takes="bytes")
