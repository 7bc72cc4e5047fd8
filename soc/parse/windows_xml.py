"""Windows event as XML (`<Event xmlns="…/win/2004/08/events/event">`) → canonical `winlog.*` fields.

What Windows renders itself: wevtutil, event forwarding, NXLog, rsyslog and every agent that passes the XML on
(schema: https://learn.microsoft.com/windows/win32/wes/eventschema-schema). Every value is text, as XML has it.

Read by expat through ElementTree: it is C (a hand-written scanner in Python was slower and had to know entities, CDATA
and comments again). An event holds no DOCTYPE, so one is refused and no entity is ever declared: nothing to expand and
nothing to fetch. The text is decoded here and fed as text, so no encoding declaration can hide a DOCTYPE from us.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

from soc.event import RecordError
from soc.parse.windows_evtx import put_execution, put_rendering
from soc.parse.windows_names import (
    DATA,
    DATA_NAMES,
    add,
    integer,
    number_or_text,
    put_channel,
    put_event_id,
    put_guid,
    put_keywords,
    put_time,
)

#: Characters that XML 1.0 forbids (https://www.w3.org/TR/xml/#charsets) and Windows writes none the less, raw or as a
#: reference: a command line may hold them, and must not escape its rules that way.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_FORBIDDEN_REFERENCE: Final = re.compile(r"&#(?:x0*([0-9A-Fa-f]{1,4})|0*([0-9]{1,5}));")
#: Where forbidden characters wait while expat reads: the first of these planes (two of private use, then the empty ones
#: of Unicode) of which the text holds no character.
_WAITING: Final = tuple(
    (base, re.compile(f"[{chr(base)}-{chr(base + 0xFFFF)}]"))
    for base in (0xF0000, 0x100000, *range(0x40000, 0xE0000, 0x10000))
)
#: Text of an element that is more than the white space between tags.
_CONTENT: Final = re.compile(r">[^<>]*[^<>\s][^<>]*<")
_MAX_DEPTH: Final = 16

_PLAIN: Final = {
    "Version": "winlog.version",
    "Level": "winlog.level",
    "Task": "winlog.task",
    "Opcode": "winlog.opcode",
}


class _NoDoctype(TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser at a document type declaration, before any entity of it."""
        raise RecordError("bad_format", f"XML: document type declaration ({name[:40]}) in an event")


def _tree(text: str) -> Element:
    if "\r" in text and "<![CDATA[" not in text:
        # A parser must turn CR LF into LF (https://www.w3.org/TR/xml/#sec-line-ends); Windows means it, so keep it.
        text = _CONTENT.sub(lambda found: found[0].replace("\r", "&#13;"), text)
    # Only text that holds the word needs the watching builder, which costs a call per element.
    parser = XMLParser(target=_NoDoctype()) if "<!DOCTYPE" in text else XMLParser()
    parser.feed(text)
    root: Element = parser.close()
    return root


def _hide(text: str) -> tuple[str, int, re.Pattern[str]]:
    """The text with its forbidden characters put `base` higher, and how to find them again."""
    free = next((plane for plane in _WAITING if not plane[1].search(text)), None)
    if free is None:
        raise RecordError("bad_format", "XML: forbidden characters beside every free plane")
    base, waiting = free

    def reference(found: re.Match[str]) -> str:
        code = int(found[1], 16) if found[1] else int(found[2])
        return chr(base + code) if code < 0x10000 and _FORBIDDEN.match(chr(code)) else found[0]

    text = _FORBIDDEN.sub(lambda found: chr(base + ord(found[0])), text)
    return _FORBIDDEN_REFERENCE.sub(reference, text), base, waiting


def _shown(value: Any, base: int, waiting: re.Pattern[str]) -> Any:
    if value.__class__ is list:
        return [_shown(v, base, waiting) for v in value]
    if value.__class__ is not str:
        return value
    return waiting.sub(lambda found: chr(ord(found[0]) - base), value)


def from_xml(text: str) -> dict[str, Any]:
    """Canonical fields of one event. Raises RecordError for what is no event, or no XML."""
    try:
        return _fields(_tree(text))
    except ParseError as error:
        hidden, base, waiting = _hide(text)
        if hidden == text:
            raise RecordError("bad_format", f"XML: {error}") from error
    except ValueError as error:  # a lone surrogate cannot be fed
        raise RecordError("bad_format", f"XML: {error}") from error
    try:
        fields = _fields(_tree(hidden))
    except (ParseError, ValueError) as error:
        raise RecordError("bad_format", f"XML: {error}") from error
    return {name: _shown(value, base, waiting) for name, value in fields.items()}


def _fields(root: Element) -> dict[str, Any]:
    if root.tag.rpartition("}")[2] == "Events":
        if len(root) != 1:
            raise RecordError("bad_format", f"XML: {len(root)} events in one record")
        root = root[0]
    space, _, name = root.tag.rpartition("}")
    if name != "Event":
        raise RecordError("bad_format", f"XML: <{name[:40]}>, not <Event>")
    skip = len(space) + 1 if space else 0
    out: dict[str, Any] = {}
    sections = list(root)
    for section in sections:
        if section.tag[skip:] == "System":
            _put_system(out, section, skip)
            break
    else:
        raise RecordError("bad_format", "Windows event without System")
    for section in sections:
        name = section.tag[skip:]
        if name == "EventData":
            _put_event_data(out, section, skip)
        elif name in ("UserData", "ProcessingErrorData", "DebugData"):
            _put_user_data(out, section)
        elif name == "RenderingInfo":
            _put_rendering(out, section)
    return out


def _put_system(out: dict[str, Any], system: Element, skip: int) -> None:
    event_id = channel = None
    for element in system:
        name = element.tag[skip:]
        path = _PLAIN.get(name)
        if path is not None:
            if text := _text(element):
                out[path] = number_or_text(text)
        elif name == "Provider":
            if (provider := element.get("Name")) is not None:
                out["winlog.provider_name"] = provider
            put_guid(out, "winlog.provider_guid", element.get("Guid"))
            if source := element.get("EventSourceName"):
                out["winlog.event_source_name"] = source
        elif name == "EventID":
            event_id = _text(element)
            if (qualifiers := integer(element.get("Qualifiers"))) is not None:
                out["winlog.qualifiers"] = qualifiers
        elif name == "Channel":
            channel = _text(element)
        elif name == "Computer":
            if text := _text(element):
                out["winlog.computer_name"] = text
        elif name == "Keywords":
            put_keywords(out, _text(element))
        elif name == "TimeCreated":
            put_time(out, element.get("SystemTime"))
        elif name == "EventRecordID":
            if (number := integer(element.text)) is not None:
                out["winlog.record_id"] = number
        elif name == "Execution":
            put_execution(out, element.attrib)
        elif name == "Security":
            if user := element.get("UserID"):
                out["winlog.user.identifier"] = user
        elif name == "Correlation":
            put_guid(out, "winlog.activity_id", element.get("ActivityID"))
            put_guid(out, "winlog.related_activity_id", element.get("RelatedActivityID"))
    put_event_id(out, event_id)
    put_channel(out, channel)


def _text(element: Element) -> str:
    """The text, exact; white space that only breaks and indents a line is the layout of a tool, not a value."""
    text = element.text
    if text is None or (text[:1] == "\n" and text.isspace()):
        return ""
    return text


def _put_event_data(out: dict[str, Any], section: Element, skip: int) -> None:
    if section.get("Name"):
        out["winlog.event_data_name"] = section.get("Name")
    unnamed: list[str] = []
    for element in section:
        name = element.get("Name")
        if len(element):
            _put_leaves(out, element, 1)
        elif name is None:
            if element.tag[skip:] == "Data":
                unnamed.append(_text(element))
            else:
                add(out, DATA_NAMES[element.tag[skip:]], _text(element))
        else:
            path = DATA_NAMES[name]
            if path in out:
                add(out, path, _text(element))
            else:
                out[path] = _text(element)
    if unnamed:
        out[DATA + "Data"] = unnamed[0] if len(unnamed) == 1 else unnamed


def _put_user_data(out: dict[str, Any], section: Element) -> None:
    for element in section:
        if len(element) or not _text(element):
            out["winlog.user_data.xml_name"] = element.tag.rpartition("}")[2]
        if len(element) or element.attrib or _text(element):
            _put_leaves(out, element, 1)


def _put_leaves(out: dict[str, Any], element: Element, depth: int) -> None:
    """Leaves by their own name, attributes as `<element>_<attribute>` (Sigma's taxonomy)."""
    if depth > _MAX_DEPTH:
        raise RecordError("bad_format", f"Windows event: data nested deeper than {_MAX_DEPTH} levels")
    tag = element.tag.rpartition("}")[2]
    name = element.get("Name") if tag == "Data" else None
    for attribute, value in element.items():
        if attribute != "Name" or name is None:
            add(out, DATA_NAMES[f"{tag}_{attribute.rpartition('}')[2]}"], value)
    if len(element):
        for child in element:
            _put_leaves(out, child, depth + 1)
    elif element.text is not None or not element.attrib or name is not None:
        add(out, DATA_NAMES[name if name is not None else tag], _text(element))


def _put_rendering(out: dict[str, Any], section: Element) -> None:
    words: dict[str, Any] = {}
    for element in section:
        name = element.tag.rpartition("}")[2]
        words[name] = [child.text for child in element] if name == "Keywords" else element.text
    put_rendering(out, words)
