"""Windows event log: the sender's names and values of any shape → the canonical `winlog.*` ones.

Names are Winlogbeat's (https://www.elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog), values are the
sender's. What is one number in the XML schema (event id, record number, keywords) is made one form here, for senders
write it as number, text, hex or signed: https://learn.microsoft.com/windows/win32/wes/eventschema-systempropertiestype-complextype
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from soc.event import RecordError

DATA: Final = "winlog.event_data."
#: Most distinct data names kept; a sender that invents names must not fill the memory.
_MAX_NAMES: Final = 20_000
_MASK_64: Final = 0xFFFF_FFFF_FFFF_FFFF
#: Nesting below EventData or UserData that is followed; the schemas of Windows use two or three levels.
_MAX_DEPTH: Final = 16


class _DataNames(dict[str, str]):
    """Name of a data item → canonical field: spaces go, as Sigma's taxonomy has it (`Threat Name` → `ThreatName`)."""

    def __missing__(self, name: str) -> str:
        path = DATA + name.replace(" ", "")
        if len(self) < _MAX_NAMES:
            self[name] = path
        return path


DATA_NAMES: Final = _DataNames()

#: Providers that write to one channel only → that channel, for records whose channel is missing or null.
_CHANNEL_OF: Final[Mapping[str, str]] = {
    "microsoft-windows-security-auditing": "Security",
    "microsoft-windows-sysmon": "Microsoft-Windows-Sysmon/Operational",
    "microsoft-windows-powershell": "Microsoft-Windows-PowerShell/Operational",
    "powershellcore": "PowerShellCore/Operational",
    "powershell": "Windows PowerShell",
    "microsoft-windows-windows defender": "Microsoft-Windows-Windows Defender/Operational",
    "microsoft-windows-taskscheduler": "Microsoft-Windows-TaskScheduler/Operational",
    "microsoft-windows-wmi-activity": "Microsoft-Windows-WMI-Activity/Operational",
    "microsoft-windows-bits-client": "Microsoft-Windows-Bits-Client/Operational",
    "microsoft-windows-codeintegrity": "Microsoft-Windows-CodeIntegrity/Operational",
    "microsoft-windows-dns-client": "Microsoft-Windows-DNS Client Events/Operational",
    "microsoft-windows-ntlm": "Microsoft-Windows-NTLM/Operational",
    "microsoft-windows-terminalservices-localsessionmanager": (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational"
    ),
    "microsoft-windows-terminalservices-remoteconnectionmanager": (
        "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational"
    ),
    "microsoft-windows-windows firewall with advanced security": (
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall"
    ),
    "openssh": "OpenSSH/Operational",
    "service control manager": "System",
}
#: The event log service writes to the log that was cleared or filled up; these ids name it.
_EVENTLOG_CHANNELS: Final[Mapping[int, str]] = {1100: "Security", 1102: "Security", 1104: "Security", 104: "System"}

#: Names that agents print for the audit keywords → the number in the XML
#: (https://learn.microsoft.com/dotnet/api/system.diagnostics.eventing.reader.standardeventkeywords).
_AUDIT_KEYWORDS: Final[Mapping[str, str]] = {
    "audit success": "0x8020000000000000",
    "audit failure": "0x8010000000000000",
}

_OLD_UTC: Final = re.compile(r" ?UTC$")
_JSON_DATE: Final = re.compile(r"/Date\((-?\d+)\)/")
#: CIM's date and time, zone in minutes: https://learn.microsoft.com/windows/win32/wmisdk/cim-datetime
_CIM_DATE: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-])(\d{3})$")


def integer(value: Any) -> int | None:
    """The number that a sender wrote as number, decimal text or 0x text; None for anything else."""
    if value.__class__ is int:
        return int(value)
    if value.__class__ is str:
        text = value.strip()
        try:
            return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
        except ValueError:
            return None
    if value.__class__ is float and value.is_integer():
        return int(value)
    return None


def number_or_text(value: Any) -> Any:
    """The number where a sender wrote one as text (`"4"`), else the value itself (`"Info"`)."""
    number = integer(value)
    return value if number is None else number


def put_event_id(out: dict[str, Any], value: Any) -> None:
    """`winlog.event_id` as int, whatever form. Raises RecordError where there is none: no event without its id."""
    number = integer(value)
    if number is None:
        raise RecordError("bad_format", f"Windows event: EventID is {value!r:.60}")
    if number > 0xFFFF or number < 0:  # the old API's 32 bits: severity and facility above the id
        out["winlog.qualifiers"] = (number >> 16) & 0xFFFF
        number &= 0xFFFF
    out["winlog.event_id"] = number


def put_keywords(out: dict[str, Any], value: Any) -> None:
    """`winlog.keywords` as the XML has it (0x…, 64 bit without sign); names of keywords beside it."""
    if value is None or value == "":
        return
    if value.__class__ is str and value[:2] == "0x":
        out["winlog.keywords"] = value
        return
    number = integer(value)
    if number is not None:
        out["winlog.keywords"] = hex(number & _MASK_64)
        return
    names = [value] if value.__class__ is str else value
    if names.__class__ is not list:
        return
    names = [name for name in names if name.__class__ is str]
    out["winlog.keywords_display_names"] = names
    known = [_AUDIT_KEYWORDS[str(name).lower()] for name in names if str(name).lower() in _AUDIT_KEYWORDS]
    out["winlog.keywords"] = known[0] if known else names


def put_guid(out: dict[str, Any], path: str, value: Any) -> None:
    """A GUID in braces, as Windows writes it; letters as the sender wrote them."""
    if value.__class__ is str and value:
        out[path] = value if value[0] == "{" else f"{{{value}}}"


def put_time(out: dict[str, Any], value: Any) -> None:
    """`winlog.time_created`: the sender's text, RFC 3339 where it named a zone; numbers are seconds of the epoch."""
    if value.__class__ is str:
        if value[-1:] == "C":
            value = _OLD_UTC.sub("Z", value)
        elif value[:6] == "/Date(" and (found := _JSON_DATE.match(value)):
            value = _epoch(int(found[1]) / 1000)
        elif value[14:15] == "." and (found := _CIM_DATE.match(value)):
            hours, minutes = divmod(int(found[9]), 60)
            value = "{}-{}-{}T{}:{}:{}.{}{}".format(*found.groups()[:8]) + f"{hours:02d}:{minutes:02d}"
        if value:
            out["winlog.time_created"] = value
    elif value.__class__ is float or value.__class__ is int:
        out["winlog.time_created"] = _epoch(value)


def _epoch(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise RecordError("bad_format", f"Windows event: time {seconds!r} does not exist") from error


def put_channel(out: dict[str, Any], value: Any) -> None:
    """`winlog.channel`: as written, else the one channel of the provider. Needs provider and event id in `out`."""
    if value.__class__ is str and value:
        out["winlog.channel"] = value
        return
    provider = out.get("winlog.provider_name")
    if provider.__class__ is str:
        name = provider.lower()
        channel = _CHANNEL_OF.get(name)
        if channel is None and name == "microsoft-windows-eventlog":
            channel = _EVENTLOG_CHANNELS.get(out["winlog.event_id"])
        if channel is not None:
            out["winlog.channel"] = channel


def add(out: dict[str, Any], path: str, value: Any) -> None:
    """One more value under a name: the second makes a list."""
    known = out.get(path)
    if path not in out:
        out[path] = value
    elif known.__class__ is list:
        out[path] = [*known, value]
    else:
        out[path] = [known, value]


def put_data(out: dict[str, Any], data: Any) -> None:
    """Everything below EventData (or UserData) of a JSON shape under `winlog.event_data.`, values as they are."""
    if data.__class__ is dict:
        for name, value in data.items():
            if value.__class__ is not dict and value.__class__ is not list:
                out[DATA_NAMES[name]] = value
            elif name == "Data":
                _put_unnamed(out, value)
            elif name == "#attributes":
                if isinstance(value, dict) and isinstance(given := value.get("Name"), str):
                    out["winlog.event_data_name"] = given
            else:
                _put_tree(out, name, value, 0)
    elif data.__class__ is list:
        _put_unnamed(out, data)
    elif data is not None and data != "":
        out[DATA + "Data"] = data


def _put_unnamed(out: dict[str, Any], value: Any) -> None:
    """`Data` elements: with a Name attribute each its own field, without one the list (or the one text) `Data`."""
    unnamed: list[Any] = []
    _put_items(out, value, unnamed, 0)
    if unnamed:
        out[DATA + "Data"] = unnamed[0] if len(unnamed) == 1 else unnamed


def _put_items(out: dict[str, Any], value: Any, unnamed: list[Any], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise RecordError("bad_format", f"Windows event: data nested deeper than {_MAX_DEPTH} levels")
    if value.__class__ is list:
        for item in value:
            _put_items(out, item, unnamed, depth + 1)
    elif value.__class__ is not dict:
        unnamed.append(value)
    elif (name := _name(value)) is not None:
        _put_tree(out, name, _text(value), depth + 1)
    else:
        _put_items(out, _text(value), unnamed, depth + 1)


def _name(item: Mapping[str, Any]) -> str | None:
    for key in ("#attributes", "_attributes"):
        inner = item.get(key)
        if isinstance(inner, dict) and isinstance(name := inner.get("Name"), str):
            return name
    for key in ("@Name", "Name"):
        if isinstance(name := item.get(key), str):
            return name
    return None


def _text(item: Mapping[str, Any]) -> Any:
    for key in ("#text", "_text", "text", "content", "Value", "value"):
        if key in item:
            return item[key]
    return ""


def put_user_data(out: dict[str, Any], data: Any) -> None:
    """UserData: its one element's name, and every leaf below it under `winlog.event_data.`."""
    if data.__class__ is not dict:
        return
    for name, value in data.items():
        if name.endswith("_attributes") or name == "#attributes":
            continue
        if value.__class__ is dict:
            out["winlog.user_data.xml_name"] = name
            _put_members(out, name, value, 1)
        elif name == "xml_name":
            out["winlog.user_data.xml_name"] = value
        else:
            _put_tree(out, name, value, 1)


def _put_tree(out: dict[str, Any], name: str, value: Any, depth: int) -> None:
    if value.__class__ is list:
        if depth > _MAX_DEPTH:
            raise RecordError("bad_format", f"Windows event: data nested deeper than {_MAX_DEPTH} levels")
        for item in value:
            _put_tree(out, name, item, depth + 1)
    elif value.__class__ is not dict:
        add(out, DATA_NAMES[name], value)
    else:
        _put_members(out, name, value, depth)


def _put_members(out: dict[str, Any], name: str, value: Mapping[str, Any], depth: int) -> None:
    """Leaves by their own name, attributes as `<element>_<attribute>` (Sigma's taxonomy), text under the element's."""
    if depth > _MAX_DEPTH:
        raise RecordError("bad_format", f"Windows event: data nested deeper than {_MAX_DEPTH} levels")
    for key, inner in value.items():
        if key in ("#attributes", "_attributes") and inner.__class__ is dict:
            owner, attributes = name, inner
        elif key.endswith("_attributes") and inner.__class__ is dict:
            owner, attributes = key[: -len("_attributes")], inner
        elif key[:1] == "@":
            owner, attributes = name, {key[1:]: inner}
        elif key in ("#text", "_text"):
            _put_tree(out, name, inner, depth + 1)
            continue
        else:
            _put_tree(out, key, inner, depth + 1)
            continue
        for attribute, text in attributes.items():
            if not attribute.startswith("xmlns"):
                _put_tree(out, f"{owner}_{attribute}", text, depth + 1)
