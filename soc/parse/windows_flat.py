"""Windows event as one flat JSON object (NXLog, Fluent Bit, Vector, osquery, PowerShell, …) → canonical `winlog.*`.

System's fields and the event data stand side by side there; a table per writer says which is which, the rest is event
data. Where each table comes from stands above it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from soc.event import RecordError
from soc.parse.windows_names import (
    DATA,
    DATA_NAMES,
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
from soc.parse.windows_strings import NAMES

#: Canonical targets that are not copied but made: the value goes through a function below.
_ID, _CHANNEL, _KEYWORDS, _GUID, _TIME = "*id", "*channel", "*keywords", "*guid", "*time"
_DATA, _USER_DATA, _STRINGS, _DROP = "*data", "*user_data", "*strings", ""

#: NXLog im_msvistalog, https://docs.nxlog.co/refman/current/im/msvistalog.html#fields; members that Logstash adds; the
#: converted recordings of OTRF's Security-Datasets (TimeCreated, Level as text) use the same names.
_NXLOG: Final[Mapping[str, str]] = {
    "EventID": _ID,
    "EventId": _ID,
    "Channel": _CHANNEL,
    "SourceName": "winlog.provider_name",
    "ProviderName": "winlog.provider_name",
    "Provider_Name": "winlog.provider_name",
    "ProviderGuid": _GUID,
    "Hostname": "winlog.computer_name",
    "Computer": "winlog.computer_name",
    "ComputerName": "winlog.computer_name",
    "EventTime": "nxlog.EventTime",
    "TimeCreated": _TIME,
    "EventReceivedTime": "nxlog.EventReceivedTime",
    "@timestamp": "@timestamp",
    "@version": _DROP,
    "Keywords": _KEYWORDS,
    "RecordNumber": "winlog.record_id",
    "EventRecordID": "winlog.record_id",
    "Version": "winlog.version",
    "Level": "winlog.level",
    "LevelValue": "winlog.level",
    "Task": "winlog.task",
    "OpcodeValue": "winlog.opcode",
    "Opcode": "winlog.opcode_name",
    "Category": "winlog.task_name",
    "ExecutionProcessID": "winlog.process.pid",
    "ExecutionThreadID": "winlog.process.thread.id",
    "ThreadID": "winlog.process.thread.id",
    "UserID": "winlog.user.identifier",
    "AccountName": "winlog.user.name",
    "Domain": "winlog.user.domain",
    "AccountType": "winlog.user.type",
    "ActivityID": "winlog.activity_id",
    "RelatedActivityID": "winlog.related_activity_id",
    "Message": "message",
    "EventData": _DATA,
    "UserData": _USER_DATA,
    "Severity": "nxlog.Severity",
    "SeverityValue": "nxlog.SeverityValue",
    "SourceModuleName": "nxlog.SourceModuleName",
    "SourceModuleType": "nxlog.SourceModuleType",
    "ERROR_EVT_UNRESOLVED": "nxlog.ERROR_EVT_UNRESOLVED",
    "host": "logstash.host",
    "port": "logstash.port",
    "tags": "tags",
    "type": "logstash.type",
}
#: Values of NXLog's own EventType; any other value under that name is the event's (Sysmon 12-14, 17, 18).
_NXLOG_EVENT_TYPES: Final = frozenset(
    {"CRITICAL", "ERROR", "WARNING", "INFO", "VERBOSE", "AUDIT_SUCCESS", "AUDIT_FAILURE"}
)

#: Fluent Bit winevtlog, https://docs.fluentbit.io/manual/data-pipeline/inputs/windows-event-log-winevtlog, and winlog;
#: StringInserts are the event data without their names.
_FLUENT_BIT: Final[Mapping[str, str]] = {
    "ProviderName": "winlog.provider_name",
    "SourceName": "winlog.provider_name",
    "ProviderGuid": _GUID,
    "Qualifiers": "winlog.qualifiers",
    "EventID": _ID,
    "Version": "winlog.version",
    "Level": "winlog.level",
    "Task": "winlog.task",
    "Opcode": "winlog.opcode",
    "Keywords": _KEYWORDS,
    "TimeCreated": _TIME,
    "TimeGenerated": _TIME,
    "TimeWritten": _DROP,
    "EventRecordID": "winlog.record_id",
    "RecordNumber": "winlog.record_id",
    "ActivityID": "winlog.activity_id",
    "RelatedActivityID": "winlog.related_activity_id",
    "ProcessID": "winlog.process.pid",
    "ThreadID": "winlog.process.thread.id",
    "Channel": _CHANNEL,
    "Computer": "winlog.computer_name",
    "ComputerName": "winlog.computer_name",
    "UserID": "winlog.user.identifier",
    "Sid": "winlog.user.name",
    "Message": "message",
    "StringInserts": _STRINGS,
    "date": _DROP,
}

#: System.Diagnostics.Eventing.Reader.EventLogRecord as `Get-WinEvent | ConvertTo-Json` writes it,
#: https://learn.microsoft.com/dotnet/api/system.diagnostics.eventing.reader.eventlogrecord
_POWERSHELL: Final[Mapping[str, str]] = {
    "Id": _ID,
    "LogName": _CHANNEL,
    "ProviderName": "winlog.provider_name",
    "ProviderId": _GUID,
    "MachineName": "winlog.computer_name",
    "TimeCreated": _TIME,
    "Keywords": _KEYWORDS,
    "KeywordsDisplayNames": "winlog.keywords_display_names",
    "RecordId": "winlog.record_id",
    "Version": "winlog.version",
    "Qualifiers": "winlog.qualifiers",
    "Level": "winlog.level",
    "LevelDisplayName": "winlog.level_name",
    "Task": "winlog.task",
    "TaskDisplayName": "winlog.task_name",
    "Opcode": "winlog.opcode",
    "OpcodeDisplayName": "winlog.opcode_name",
    "ProcessId": "winlog.process.pid",
    "ThreadId": "winlog.process.thread.id",
    "UserId": "winlog.user.identifier",
    "ActivityId": "winlog.activity_id",
    "RelatedActivityId": "winlog.related_activity_id",
    "Message": "message",
    "Properties": _STRINGS,
    "Bookmark": _DROP,
    "ContainerLog": _DROP,
    "MatchedQueryIds": _DROP,
}

#: Vector windows_event_log, https://vector.dev/docs/reference/configuration/sources/windows_event_log/; Winlogbeat 5/6,
#: https://www.elastic.co/guide/en/beats/winlogbeat/6.8/exported-fields-eventlog.html; osquery windows_events,
#: https://osquery.io/schema/current/#windows_events (`source` is the channel, `data` JSON text).
_SNAKE: Final[Mapping[str, str]] = {
    "event_id": _ID,
    "eventid": _ID,
    "channel": _CHANNEL,
    "log_name": _CHANNEL,
    "provider_name": "winlog.provider_name",
    "source_name": "winlog.provider_name",
    "provider_guid": _GUID,
    "computer": "winlog.computer_name",
    "computer_name": "winlog.computer_name",
    "timestamp": _TIME,
    "datetime": _TIME,
    "@timestamp": _TIME,
    "record_id": "winlog.record_id",
    "record_number": "winlog.record_id",
    "version": "winlog.version",
    "qualifiers": "winlog.qualifiers",
    "level": "winlog.level_name",
    "level_value": "winlog.level",
    "task": "winlog.task",
    "task_name": "winlog.task_name",
    "opcode": "winlog.opcode",
    "opcode_name": "winlog.opcode_name",
    "keywords": _KEYWORDS,
    "keyword_names": "winlog.keywords_display_names",
    "process_id": "winlog.process.pid",
    "thread_id": "winlog.process.thread.id",
    "activity_id": "winlog.activity_id",
    "related_activity_id": "winlog.related_activity_id",
    "user_id": "winlog.user.identifier",
    "user_sid": "winlog.user.identifier",
    "user_name": "winlog.user.name",
    "message": "message",
    "rendered_message": "message",
    "event_data": _DATA,
    "data": _DATA,
    "user_data": _USER_DATA,
    "string_inserts": _STRINGS,
}

#: Sysmon renders every item as its own line `Name: value`, in English everywhere; the first of a name is Sysmon's,
#: for what a user can write (command lines) comes after the names it could imitate.
_SYSMON_LINE: Final = re.compile(r"^([A-Za-z0-9]+): (.*?)\r?$", re.MULTILINE)
#: Sysmon events with an item EventType, which NXLog's own field of that name hides.
_WITH_EVENT_TYPE: Final = frozenset({12, 13, 14, 17, 18, 19, 20, 21})
_ZONE: Final = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_QUARTER: Final = timedelta(minutes=15)


def table_for(record: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The table of the writer that uses these names; None where it is no Windows event."""
    if "EventID" in record or "EventId" in record:
        fluent = "StringInserts" in record or ("ProviderName" in record and "ProcessID" in record)
        return _FLUENT_BIT if fluent else _NXLOG
    if "event_id" in record or "eventid" in record:
        return _SNAKE
    if "Id" in record and ("LogName" in record or "ProviderName" in record):
        return _POWERSHELL
    return None


def from_flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields. Raises RecordError where no table knows the record or it has no event id."""
    table = table_for(record)
    if table is None:
        raise RecordError("bad_format", f"no Windows event: members {', '.join(list(record)[:8]) or 'none'}")
    out: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name, value in record.items():
        path = table.get(name)
        if path is None:
            if name == "EventType" and table is _NXLOG and str(value) in _NXLOG_EVENT_TYPES:
                out["nxlog.EventType"] = value
            elif value.__class__ is dict or value.__class__ is list:
                put_data(out, {name: value})
            elif table is _SNAKE:
                out[f"winlog.{name}"] = value
            else:
                out[DATA_NAMES[name]] = value
        elif path[:1] == "*":
            made.setdefault(path, value)
        elif path:
            if value.__class__ is dict:  # PowerShell writes some values as objects of one Value
                value = value.get("Value")
            if value is not None and value != "":
                out[path] = value
    put_event_id(out, made.get(_ID))
    if table is _SNAKE and _CHANNEL not in made:
        made[_CHANNEL] = out.pop("winlog.source", None)
    put_channel(out, made.get(_CHANNEL))
    put_keywords(out, made.get(_KEYWORDS))
    put_guid(out, "winlog.provider_guid", made.get(_GUID))
    if "winlog.level" not in out and (number := integer(out.get("winlog.level_name"))) is not None:
        out["winlog.level"] = number  # osquery has the number where others have the word
        del out["winlog.level_name"]
    _put_numbers(out)
    _put_sections(out, _opened(made.get(_DATA)), made.get(_USER_DATA))
    _put_strings(out, made.get(_STRINGS))
    if out.get("winlog.event_id") == 7045 and "winlog.user.name" in out:
        out.setdefault(
            DATA + "AccountName", out["winlog.user.name"]
        )  # the service's account; NXLog has one name for both
    if "sysmon" in str(out.get("winlog.channel", "")).lower():
        _put_sysmon_lines(out)
    _put_time(out, made.get(_TIME))
    return out


def _put_numbers(out: dict[str, Any]) -> None:
    for path in (
        "winlog.record_id",
        "winlog.process.pid",
        "winlog.process.thread.id",
        "winlog.version",
        "winlog.level",
        "winlog.task",
        "winlog.opcode",
    ):
        if path in out:
            out[path] = number_or_text(out[path])
    for path in ("winlog.activity_id", "winlog.related_activity_id"):
        if path in out:
            put_guid(out, path, out.pop(path))


def _opened(data: Any) -> Any:
    """Event data that stand as JSON text in one member (osquery)."""
    if data.__class__ is str and data[:1] == "{":
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise RecordError("bad_format", f"event data as JSON text: {error}") from error
    return data


def _put_sections(out: dict[str, Any], data: Any, user_data: Any) -> None:
    """Event data and user data; osquery names which of the two it has below `data`."""
    if data.__class__ is dict and ("EventData" in data or "UserData" in data):
        data, user_data = data.get("EventData"), data.get("UserData")
    put_data(out, data)
    put_user_data(out, user_data)


def _put_strings(out: dict[str, Any], values: Any) -> None:
    """Values whose names the writer dropped: by the names of the event's template, else the list `Data`."""
    if values.__class__ is not list or not values or any(path.startswith(DATA) for path in out):
        return
    texts = [v.get("Value") if v.__class__ is dict else v for v in values]
    names = NAMES.get((str(out.get("winlog.provider_name", "")).lower(), out["winlog.event_id"]))
    if names is not None:
        out.update({DATA + name: value for name, value in zip(names, texts, strict=False)})
    else:
        out[DATA + "Data"] = texts[0] if len(texts) == 1 else texts


def _put_sysmon_lines(out: dict[str, Any]) -> None:
    """Items that only the message has (names dropped by the agent, or hidden by a name of its own)."""
    if DATA + "UtcTime" in out and (DATA + "EventType" in out or out["winlog.event_id"] not in _WITH_EVENT_TYPE):
        return
    message = out.get("message")
    if message.__class__ is str:
        for name, value in _SYSMON_LINE.findall(message):
            out.setdefault(DATA + name, value)


def _put_time(out: dict[str, Any], created: Any) -> None:
    """When it happened: the sender's time with a zone, else the one whose zone can be known, else as it is.

    NXLog writes EventTime and EventReceivedTime in local time without zone. Beside Logstash's @timestamp (UTC, taken
    within seconds of the receipt) the zone shows; Sysmon's UtcTime needs none.
    """
    local, received, stamp = (out.pop(p, None) for p in ("nxlog.EventTime", "nxlog.EventReceivedTime", "@timestamp"))
    utc = out.get(DATA + "UtcTime")
    for path, value in (("nxlog.EventTime", local), ("nxlog.EventReceivedTime", received)):
        if value is not None:
            out[path] = value
    candidates = [created, local]
    for value in candidates:
        if value is not None and (value.__class__ is not str or _ZONE.search(value) or value[:1] == "/"):
            put_time(out, value)
            return
    if local.__class__ is str and (shift := _offset(received, stamp)) is not None:
        put_time(out, f"{local}{shift}")
    elif utc.__class__ is str and _parsed(f"{utc}Z") is not None:
        put_time(out, f"{utc}Z")
    else:
        put_time(out, next((v for v in (*candidates, stamp) if v is not None), None))


def _parsed(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text.__class__ is str else None
    except ValueError:
        return None


def _offset(received: Any, stamp: Any) -> str | None:
    """`+07:00` where local receipt and UTC stamp are a whole number of quarters apart, within five minutes."""
    there, here = _parsed(received), _parsed(stamp)
    if there is None or here is None or there.tzinfo is not None or here.tzinfo is None:
        return None
    apart = there - here.replace(tzinfo=None)
    quarters = round(apart / _QUARTER)
    if abs(apart - quarters * _QUARTER) > timedelta(minutes=5) or abs(quarters) > 56:
        return None
    sign, minutes = ("-" if quarters < 0 else "+"), abs(quarters) * 15
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
