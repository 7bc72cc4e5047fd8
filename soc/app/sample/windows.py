"""Windows events → JSON lines in three shapes: Winlogbeat (nested ECS), NXLog (flat) and EVTX JSON (`#attributes`).

Shapes: https://www.elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog,
https://docs.nxlog.co/refman/current/im/msvistalog.html, and the JSON of the `evtx` tool. Event data:
https://learn.microsoft.com/windows/security/threat-protection/auditing/ and Sysmon's schema 4.90.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from soc.app.sample.cast import Host
from soc.app.sample.lines import utc

#: provider → (GUID, keywords)
_PROVIDERS: Final = {
    "Microsoft-Windows-Security-Auditing": ("54849625-5478-4994-A5BA-3E3B0328C30D", "0x8020000000000000"),
    "Microsoft-Windows-Eventlog": ("FC65DDD8-D6EF-4962-83D5-6E5CFE9CE148", "0x4020000000000000"),
    "Microsoft-Windows-Sysmon": ("5770385F-C22A-43E0-BF4C-06F5698FFBD9", "0x8000000000000000"),
    "Microsoft-Windows-PowerShell": ("A0C1853B-5C40-4B15-8766-3CF1C58F985A", "0x0"),
    "Microsoft-Windows-Windows Defender": ("11CD958A-C507-4EF3-B3F2-5FD9DFBD2C78", "0x8000000000000000"),
    "Microsoft-Windows-TaskScheduler": ("DE7B24EA-73C8-4A09-985D-5BDADCFA9017", "0x8000000000000001"),
    "Service Control Manager": ("555908D1-A6D7-4695-8E1E-26931D2012F4", "0x8080000000000000"),
}
#: "The log was cleared" carries UserData instead of EventData.
_USER_DATA: Final = (104, 1102)
_SYSMON: Final = "Microsoft-Windows-Sysmon"
_SYSTEM32: Final = "C:\\Windows\\System32\\"


@dataclass(frozen=True, slots=True)
class WinEvent:
    """One Windows event: provider, channel, id, data; `level` as in System/Level (4 = information)."""

    provider: str
    channel: str
    id: int
    data: Mapping[str, Any]
    level: int = 4
    keywords: str = ""


def security(id: int, *, failed: bool = False, **data: Any) -> WinEvent:
    """An event of the Security log; `failed` = audit failure."""
    keywords = "0x8010000000000000" if failed else ""
    return WinEvent("Microsoft-Windows-Security-Auditing", "Security", id, data, 0, keywords)


def sysmon(id: int, at: datetime, **data: Any) -> WinEvent:
    """A Sysmon event; RuleName and UtcTime are filled in."""
    stamp = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"
    data = {"RuleName": "-", "UtcTime": stamp, **data}
    return WinEvent(_SYSMON, f"{_SYSMON}/Operational", id, data)


def process(host: Host, at: datetime, image: str, command: str, parent: str, pid: int, user: str = "") -> WinEvent:
    """Sysmon 1. Bare file names lie in System32; hashes are digests of the name, so they are the same on every host."""
    image, parent = (name if "\\" in name else _SYSTEM32 + name for name in (image, parent))
    name = image.rpartition("\\")[2]
    return sysmon(
        1,
        at,
        ProcessGuid=_guid(f"{host.name}{pid}{at.timestamp()}"),
        ProcessId=pid,
        Image=image,
        FileVersion="10.0.19041.1",
        Description=name.removesuffix(".exe"),
        Product="Microsoft® Windows® Operating System",
        Company="Microsoft Corporation",
        OriginalFileName=name,
        CommandLine=command,
        CurrentDirectory=f"C:\\Users\\{host.user}\\",
        User=user or f"TINH\\{host.user}",
        LogonGuid=_guid(host.user),
        LogonId="0x3e7a1",
        TerminalSessionId=1,
        IntegrityLevel="Medium",
        Hashes=f"SHA256={hashlib.sha256(name.encode()).hexdigest().upper()}",
        ParentProcessGuid=_guid(f"{host.name}{parent}"),
        ParentProcessId=pid - 4 if pid > 8 else 4,
        ParentImage=parent,
        ParentCommandLine=f'"{parent}"',
        ParentUser=f"TINH\\{host.user}",
    )


def logon(host: Host, user: str, kind: int, ip: str, *, failed: bool = False, package: str = "Kerberos") -> WinEvent:
    """Security 4624 or 4625 (wrong password) of a logon type (2 interactive, 3 network, 10 remote interactive)."""
    data: dict[str, Any] = {
        "SubjectUserSid": "S-1-5-18",
        "SubjectUserName": f"{host.name.upper()}$",
        "SubjectDomainName": "TINH",
        "SubjectLogonId": "0x3e7",
        "TargetUserSid": "S-1-0-0" if failed else f"S-1-5-21-1004336348-1177238915-682003330-{_rid(user)}",
        "TargetUserName": user,
        "TargetDomainName": "TINH",
    }
    if failed:
        data |= {"Status": "0xc000006d", "FailureReason": "%%2313", "SubStatus": "0xc000006a"}
    else:
        data |= {"TargetLogonId": f"0x{_rid(user) * 97:x}"}
    data |= {
        "LogonType": kind,
        "LogonProcessName": "NtLmSsp " if package == "NTLM" else "Kerberos",
        "AuthenticationPackageName": package,
        "WorkstationName": host.name.upper(),
        "LmPackageName": "NTLM V2" if package == "NTLM" else "-",
        "KeyLength": 128 if package == "NTLM" else 0,
        "ProcessId": "0x0",
        "ProcessName": "-",
        "IpAddress": ip,
        "IpPort": str(49152 + _rid(user) % 10_000),
    }
    return security(4625 if failed else 4624, failed=failed, **data)


def winlogbeat(at: datetime, host: Host, record: int, event: WinEvent) -> str:
    """Winlogbeat 8 document."""
    guid, _ = _PROVIDERS[event.provider]
    failed = event.keywords == "0x8010000000000000"
    keywords = ["Audit Failure" if failed else "Audit Success"] if event.channel == "Security" else []
    document = {
        "@timestamp": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
        "agent": {"name": host.name, "type": "winlogbeat", "version": "8.17.0"},
        "ecs": {"version": "8.0.0"},
        "event": {"code": str(event.id), "created": utc(at), "kind": "event", "provider": event.provider},
        "host": {"name": host.fqdn},
        "log": {"level": "information"},
        "winlog": {
            "api": "wineventlog",
            "channel": event.channel,
            "computer_name": host.fqdn,
            "user_data" if event.id in _USER_DATA else "event_data": {k: str(v) for k, v in event.data.items()},
            "event_id": str(event.id),
            **({"keywords": keywords} if keywords else {}),
            "opcode": "Info",
            "process": {"pid": 640, "thread": {"id": 712}},
            "provider_guid": f"{{{guid}}}",
            "provider_name": event.provider,
            "record_id": record,
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def nxlog(at: datetime, host: Host, record: int, event: WinEvent) -> str:
    """NXLog im_msvistalog through to_json(): one flat object, local time with its offset."""
    guid, keywords = _PROVIDERS[event.provider]
    value = int(event.keywords or keywords, 16)
    failed = event.keywords == "0x8010000000000000"
    document = {
        "EventTime": at.isoformat(timespec="microseconds"),
        "Hostname": host.fqdn,
        "Keywords": str(value - (1 << 64) if value >> 63 else value),
        "EventType": ("AUDIT_FAILURE" if failed else "AUDIT_SUCCESS") if event.channel == "Security" else "INFO",
        "SeverityValue": 4 if failed else 2,
        "Severity": "ERROR" if failed else "INFO",
        "EventID": event.id,
        "SourceName": event.provider,
        "ProviderGuid": f"{{{guid}}}",
        "Version": 1,
        "OpcodeValue": 0,
        "RecordNumber": record,
        "ExecutionProcessID": 640,
        "ExecutionThreadID": 712,
        "Channel": event.channel,
        **{name: str(value) for name, value in event.data.items()},
        "EventReceivedTime": at.isoformat(timespec="microseconds"),
        "SourceModuleName": "eventlog",
        "SourceModuleType": "im_msvistalog",
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def evtx_json(at: datetime, host: Host, record: int, event: WinEvent) -> str:
    """The JSON that the `evtx` tool writes for a record of an exported log."""
    guid, keywords = _PROVIDERS[event.provider]
    document = {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": event.provider, "Guid": guid}},
                "EventID": event.id,
                "Version": 1,
                "Level": event.level,
                "Task": 0,
                "Opcode": 0,
                "Keywords": event.keywords or keywords,
                "TimeCreated": {"#attributes": {"SystemTime": utc(at)}},
                "EventRecordID": record,
                "Correlation": None,
                "Execution": {"#attributes": {"ProcessID": 640, "ThreadID": 712}},
                "Channel": event.channel,
                "Computer": host.fqdn,
                "Security": None,
            },
            **(
                {"UserData": {"LogFileCleared": dict(event.data)}}
                if event.id in _USER_DATA
                else {"EventData": dict(event.data)}
            ),
        }
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _guid(text: str) -> str:
    digits = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest().upper()
    return f"{{{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}}}"


def _rid(user: str) -> int:
    """A relative identifier for an account, the same in every run."""
    return 1_100 + int.from_bytes(hashlib.md5(user.encode(), usedforsecurity=False).digest()[:2], "big")
