"""Names in flat Windows events → canonical `winlog.*` names, one table per writer.

System's fields stand in the table; any other member is event data. `*…` are targets that windows_flat makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Targets that are not copied but made, by windows_flat.
ID, CHANNEL, KEYWORDS, GUID, TIME = "*id", "*channel", "*keywords", "*guid", "*time"
DATA_SECTION, USER_SECTION, STRINGS, DROP = "*data", "*user_data", "*strings", ""

#: NXLog im_msvistalog, https://docs.nxlog.co/refman/current/im/msvistalog.html#fields; members that Logstash adds; the
#: converted recordings of OTRF's Security-Datasets (TimeCreated, Level as text) use the same names.
NXLOG: Final[Mapping[str, str]] = {
    "EventID": ID,
    "EventId": ID,
    "Channel": CHANNEL,
    "SourceName": "winlog.provider_name",
    "ProviderName": "winlog.provider_name",
    "Provider_Name": "winlog.provider_name",
    "ProviderGuid": GUID,
    "Hostname": "winlog.computer_name",
    "Computer": "winlog.computer_name",
    "ComputerName": "winlog.computer_name",
    "EventTime": "nxlog.EventTime",
    "TimeCreated": TIME,
    "EventReceivedTime": "nxlog.EventReceivedTime",
    "@timestamp": "@timestamp",
    "@version": DROP,
    "Keywords": KEYWORDS,
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
    "EventData": DATA_SECTION,
    "UserData": USER_SECTION,
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
#: Fluent Bit winevtlog, https://docs.fluentbit.io/manual/data-pipeline/inputs/windows-event-log-winevtlog, and winlog;
#: StringInserts are the event data without their names.
FLUENT_BIT: Final[Mapping[str, str]] = {
    "ProviderName": "winlog.provider_name",
    "SourceName": "winlog.provider_name",
    "ProviderGuid": GUID,
    "Qualifiers": "winlog.qualifiers",
    "EventID": ID,
    "Version": "winlog.version",
    "Level": "winlog.level",
    "Task": "winlog.task",
    "Opcode": "winlog.opcode",
    "Keywords": KEYWORDS,
    "TimeCreated": TIME,
    "TimeGenerated": TIME,
    "TimeWritten": DROP,
    "EventRecordID": "winlog.record_id",
    "RecordNumber": "winlog.record_id",
    "ActivityID": "winlog.activity_id",
    "RelatedActivityID": "winlog.related_activity_id",
    "ProcessID": "winlog.process.pid",
    "ThreadID": "winlog.process.thread.id",
    "Channel": CHANNEL,
    "Computer": "winlog.computer_name",
    "ComputerName": "winlog.computer_name",
    "UserID": "winlog.user.identifier",
    "Sid": "winlog.user.name",
    "Message": "message",
    "StringInserts": STRINGS,
    "date": DROP,
}

#: System.Diagnostics.Eventing.Reader.EventLogRecord as `Get-WinEvent | ConvertTo-Json` writes it,
#: https://learn.microsoft.com/dotnet/api/system.diagnostics.eventing.reader.eventlogrecord
POWERSHELL: Final[Mapping[str, str]] = {
    "Id": ID,
    "LogName": CHANNEL,
    "ProviderName": "winlog.provider_name",
    "ProviderId": GUID,
    "MachineName": "winlog.computer_name",
    "TimeCreated": TIME,
    "Keywords": KEYWORDS,
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
    "Properties": STRINGS,
    "Bookmark": DROP,
    "ContainerLog": DROP,
    "MatchedQueryIds": DROP,
}

#: EvtxECmd `--json`, https://github.com/EricZimmerman/evtx: the event data are JSON text in Payload.
EVTXECMD: Final[Mapping[str, str]] = {
    "EventId": ID,
    "Channel": CHANNEL,
    "Provider": "winlog.provider_name",
    "Computer": "winlog.computer_name",
    "TimeCreated": TIME,
    "EventRecordId": "winlog.record_id",
    "Keywords": KEYWORDS,
    "Level": "winlog.level_name",
    "ProcessId": "winlog.process.pid",
    "ThreadId": "winlog.process.thread.id",
    "UserId": "winlog.user.identifier",
    "Payload": DATA_SECTION,
    **dict.fromkeys(
        (
            *(f"PayloadData{number}" for number in range(1, 7)),
            *("UserName", "RemoteHost", "ExecutableInfo", "MapDescription", "ChunkNumber", "RecordNumber"),
            *("ExtraDataOffset", "HiddenRecord", "SourceFile"),
        ),
        DROP,
    ),
}

#: Vector windows_event_log, https://vector.dev/docs/reference/configuration/sources/windows_event_log/; Winlogbeat 5/6,
#: https://www.elastic.co/guide/en/beats/winlogbeat/6.8/exported-fields-eventlog.html; osquery windows_events,
#: https://osquery.io/schema/current/#windows_events (`source` is the channel, `data` JSON text).
SNAKE: Final[Mapping[str, str]] = {
    "event_id": ID,
    "eventid": ID,
    "channel": CHANNEL,
    "log_name": CHANNEL,
    "provider_name": "winlog.provider_name",
    "source_name": "winlog.provider_name",
    "provider_guid": GUID,
    "computer": "winlog.computer_name",
    "computer_name": "winlog.computer_name",
    "timestamp": TIME,
    "datetime": TIME,
    "@timestamp": TIME,
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
    "keywords": KEYWORDS,
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
    "event_data": DATA_SECTION,
    "data": DATA_SECTION,
    "user_data": USER_SECTION,
    "string_inserts": STRINGS,
}

#: WMI's Win32_NTLogEvent, https://learn.microsoft.com/previous-versions/windows/desktop/eventlogprov/win32-ntlogevent;
#: its Type is the word of the audit keyword or of the level.
WMI: Final[Mapping[str, str]] = {
    "EventCode": ID,
    "EventIdentifier": DROP,
    "Logfile": CHANNEL,
    "SourceName": "winlog.provider_name",
    "ComputerName": "winlog.computer_name",
    "RecordNumber": "winlog.record_id",
    "TimeGenerated": TIME,
    "TimeWritten": DROP,
    "Category": "winlog.task",
    "CategoryString": "winlog.task_name",
    "EventType": "winlog.event_type",
    "Type": KEYWORDS,
    "User": "winlog.user.name",
    "Message": "message",
    "InsertionStrings": STRINGS,
    "Data": DROP,
}

#: Values of NXLog's own EventType; any other value under that name is the event's (Sysmon 12-14, 17, 18).
NXLOG_EVENT_TYPES: Final = frozenset(
    {"CRITICAL", "ERROR", "WARNING", "INFO", "VERBOSE", "AUDIT_SUCCESS", "AUDIT_FAILURE"}
)


def table_for(record: Mapping[str, Any]) -> Mapping[str, str] | None:
    """The table of the writer that uses these names; None where it is no Windows event."""
    if "Payload" in record and "EventId" in record and "Provider" in record:
        return EVTXECMD
    if "EventCode" in record and "Logfile" in record:
        return WMI
    if "EventID" in record or "EventId" in record:
        fluent = "StringInserts" in record or ("ProviderName" in record and "ProcessID" in record)
        return FLUENT_BIT if fluent else NXLOG
    if "event_id" in record or "eventid" in record:
        return SNAKE
    if "Id" in record and ("LogName" in record or "ProviderName" in record):
        return POWERSHELL
    return None
