"""Windows event as nested JSON (`Event.System`, `Event.EventData`) → canonical `winlog.*` fields.

The tree is that of the event schema (https://learn.microsoft.com/windows/win32/wes/eventschema-schema). Who writes it:
the `evtx` reader (attributes in `#attributes`, https://github.com/omerbenamram/evtx), the same with
`--separate-json-attributes` and chainsaw (`Provider_attributes`), XML-to-JSON tools (`@Name`), Velociraptor's
`parse_evtx` (`EventID: {Value: …}`, attributes as plain members), and others that write `text` beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soc.event import RecordError
from soc.parse.windows_names import (
    integer,
    number_or_text,
    put_channel,
    put_data,
    put_event_id,
    put_guid,
    put_keywords,
    put_time,
    put_user_data,
)

_NOTHING: Mapping[str, Any] = {}

#: Elements of System that are numbers, where a writer did not put a word.
_NUMBERS = (
    ("Version", "winlog.version"),
    ("Level", "winlog.level"),
    ("Task", "winlog.task"),
    ("Opcode", "winlog.opcode"),
    ("EventRecordID", "winlog.record_id"),
)


def attributes(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The attributes of a child element, wherever the writer puts them."""
    element = parent.get(name)
    if element.__class__ is dict:
        inner = element.get("#attributes")
        if inner.__class__ is dict:
            return inner
        inner = element.get("_attributes")
        if inner.__class__ is dict:
            return inner
        if any(key[:1] == "@" for key in element):
            return {key.lstrip("@"): value for key, value in element.items()}
        return element
    outer = parent.get(name + "_attributes")
    return outer if outer.__class__ is dict else _NOTHING


def text(element: Any) -> Any:
    """The text of an element that may also be written as a dict of its attributes and text; None for anything else."""
    if element.__class__ is dict:
        for key in ("#text", "_text", "Value", "text"):
            if key in element:
                element = element[key]
                break
    return None if element.__class__ is dict or element.__class__ is list else element


def from_tree(event: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields of one event. Raises RecordError where System or its EventID is missing."""
    system = event.get("System")
    if system.__class__ is not dict:
        raise RecordError("bad_format", "Windows event without System")
    out: dict[str, Any] = {}
    _put_system(out, system)
    if (data := event.get("EventData")) is not None:
        put_data(out, data)
    if (data := event.get("UserData")) is not None:
        put_user_data(out, data)
    if (data := event.get("ProcessingErrorData")) is not None:
        put_data(out, data)
    rendering = event.get("RenderingInfo")
    if rendering.__class__ is dict:
        put_rendering(out, dict(rendering))
    elif event.get("Message").__class__ is str:
        out["message"] = event["Message"]
    return out


def _put_system(out: dict[str, Any], system: Mapping[str, Any]) -> None:
    event_id = system.get("EventID")
    if event_id.__class__ is int and 0 <= event_id <= 0xFFFF:
        out["winlog.event_id"] = event_id
    else:
        put_event_id(out, text(event_id))
    if event_id.__class__ is dict or "EventID_attributes" in system:
        qualifiers = integer(attributes(system, "EventID").get("Qualifiers"))
        if qualifiers is not None:
            out["winlog.qualifiers"] = qualifiers
    provider = attributes(system, "Provider")
    if isinstance(name := provider.get("Name"), str):
        out["winlog.provider_name"] = name
    if isinstance(name := provider.get("EventSourceName"), str) and name:
        out["winlog.event_source_name"] = name
    put_guid(out, "winlog.provider_guid", provider.get("Guid"))
    channel = system.get("Channel")
    if channel.__class__ is str and channel:
        out["winlog.channel"] = channel
    else:
        put_channel(out, text(channel))
    for element, path in _NUMBERS:
        value = system.get(element)
        if value.__class__ is int or ((value := number_or_text(text(value))) is not None and value != ""):
            out[path] = value
    if isinstance(computer := text(system.get("Computer")), str) and computer:
        out["winlog.computer_name"] = computer
    keywords = system.get("Keywords")
    put_keywords(out, keywords if keywords.__class__ is list else text(keywords))
    put_time(out, attributes(system, "TimeCreated").get("SystemTime"))
    if (execution := attributes(system, "Execution")) is not _NOTHING:
        put_execution(out, execution)
    if isinstance(user := attributes(system, "Security").get("UserID"), str) and user:
        out["winlog.user.identifier"] = user
    if (correlation := attributes(system, "Correlation")) is not _NOTHING:
        put_guid(out, "winlog.activity_id", correlation.get("ActivityID"))
        put_guid(out, "winlog.related_activity_id", correlation.get("RelatedActivityID"))


def put_execution(out: dict[str, Any], execution: Mapping[str, Any]) -> None:
    """Process and thread that wrote the event (not the one it is about)."""
    pid = execution.get("ProcessID")
    if pid is not None and (number := pid if pid.__class__ is int else integer(pid)) is not None:
        out["winlog.process.pid"] = number
    thread = execution.get("ThreadID")
    if thread is not None and (number := thread if thread.__class__ is int else integer(thread)) is not None:
        out["winlog.process.thread.id"] = number


def put_rendering(out: dict[str, Any], rendering: Mapping[str, Any]) -> None:
    """What Windows rendered in words beside the event (RenderingInfo): message, keywords, level."""
    if isinstance(message := text(rendering.get("Message")), str):
        out["message"] = message
    for name, path in (("Level", "winlog.level_name"), ("Task", "winlog.task_name"), ("Opcode", "winlog.opcode_name")):
        if isinstance(word := text(rendering.get(name)), str) and word:
            out[path] = word
    keywords = rendering.get("Keywords")
    if keywords.__class__ is dict:
        keywords = keywords.get("Keyword")
    listed = keywords if keywords.__class__ is list else [keywords]
    if names := [keyword for keyword in listed if keyword.__class__ is str and keyword]:
        out["winlog.keywords_display_names"] = names
