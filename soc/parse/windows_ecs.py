"""Windows event in Elastic's shape (Winlogbeat 7/8, Elastic Agent; nested or dotted) → canonical `winlog.*` fields.

Names: https://www.elastic.co/docs/reference/beats/winlogbeat/exported-fields-winlog. The sender's ECS fields stay. Its
Sysmon module moves event data to ECS names (mode `rename`) before sending, and rules ask for Sysmon's names: what it
moved is put back from where it moved it to, unchanged
(https://github.com/elastic/integrations, packages/windows/data_stream/sysmon_operational).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from soc.parse.windows_names import DATA, add, integer, put_channel, put_event_id, put_guid, put_keywords, put_time

_USER_DATA: Final = "winlog.user_data."
_XML_NAME: Final = "winlog.user_data.xml_name"
#: Names and places remembered; the bound keeps invented ones from filling the memory.
_MAX_REMEMBERED: Final = 50_000
#: Words of log.level that stand for one number (information is 0 or 4, so it stays a word).
_LEVELS: Final[Mapping[str, int]] = {"critical": 1, "error": 2, "warning": 3, "verbose": 5}
#: Envelope of Beats and Logstash, not of the event.
_ENVELOPE: Final = ("@metadata.", "@version")

_PROCESS: Final[Mapping[str, str]] = {
    "ProcessGuid": "process.entity_id",
    "ProcessId": "process.pid",
    "Image": "process.executable",
    "RuleName": "rule.name",
}
_FILE: Final[Mapping[str, str]] = {**_PROCESS, "TargetFilename": "file.path"}
_SOURCE_PROCESS: Final[Mapping[str, str]] = {
    "SourceProcessGuid": "process.entity_id",
    "SourceProcessId": "process.pid",
    "SourceImage": "process.executable",
    "RuleName": "rule.name",
}
_REGISTRY: Final[Mapping[str, str]] = {**_PROCESS, "TargetObject": "registry.path"}
_LOADED: Final[Mapping[str, str]] = {
    **_PROCESS,
    "ImageLoaded": "file.path",
    "Signature": "file.code_signature.subject_name",
    "SignatureStatus": "file.code_signature.status",
    "OriginalFileName": "file.pe.original_file_name",
}
_PIPE: Final[Mapping[str, str]] = {**_PROCESS, "PipeName": "file.name"}

#: Sysmon event id → Sysmon's name → the ECS field that Elastic's module moves it to.
_MOVED: Final[Mapping[int, Mapping[str, str]]] = {
    1: {
        **_PROCESS,
        "CommandLine": "process.command_line",
        "CurrentDirectory": "process.working_directory",
        "OriginalFileName": "process.pe.original_file_name",
        "Company": "process.pe.company",
        "Description": "process.pe.description",
        "FileVersion": "process.pe.file_version",
        "Product": "process.pe.product",
        "ParentProcessGuid": "process.parent.entity_id",
        "ParentProcessId": "process.parent.pid",
        "ParentImage": "process.parent.executable",
        "ParentCommandLine": "process.parent.command_line",
    },
    2: _FILE,
    3: {
        **_PROCESS,
        "Protocol": "network.transport",
        "SourceIp": "source.ip",
        "SourcePort": "source.port",
        "SourceHostname": "source.domain",
        "DestinationIp": "destination.ip",
        "DestinationPort": "destination.port",
        "DestinationHostname": "destination.domain",
    },
    5: _PROCESS,
    6: _LOADED,
    7: _LOADED,
    8: _SOURCE_PROCESS,
    9: _PROCESS,
    10: {**_SOURCE_PROCESS, "SourceThreadId": "process.thread.id"},
    11: _FILE,
    12: _REGISTRY,
    13: _REGISTRY,
    14: _REGISTRY,
    15: _FILE,
    17: _PIPE,
    18: _PIPE,
    20: {"Destination": "process.executable"},
    22: {**_PROCESS, "QueryName": "dns.question.name"},
    23: _FILE,
    24: _PROCESS,
    25: _PROCESS,
    26: _FILE,
    27: _FILE,
    28: _FILE,
    29: _FILE,
}


class _Paths(dict[str, "str | tuple[str] | None"]):
    """Names of the members of an object at one place of the tree → canonical field; remembers.

    A tuple holds a field to which the value is added; None is of the envelope.
    """

    remembered = 0  # by all of them

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.below = _Places(place)

    def __missing__(self, name: str) -> str | tuple[str] | None:
        made: str | tuple[str] | None
        made = path = self.place + name
        if path.startswith(DATA):
            made = path.replace(" ", "")
        elif path.startswith(_USER_DATA) and path != _XML_NAME:
            made = (DATA + path.rpartition(".")[2].replace(" ", ""),)
        elif path.startswith(_ENVELOPE):
            made = None
        if _Paths.remembered < _MAX_REMEMBERED:
            _Paths.remembered += 1
            self[name] = made
        return made


class _Places(dict[str, _Paths]):
    """Name of an object within the one at `place` → its members' names."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def __missing__(self, name: str) -> _Paths:
        found = _Paths(f"{self.place}{name}.")
        if _Paths.remembered < _MAX_REMEMBERED:
            _Paths.remembered += 1
            self[name] = found
        return found


_PATHS: Final = _Paths("")


def _flattened(tree: Mapping[str, Any]) -> dict[str, Any]:
    """`soc.event.flat` under canonical names, without the envelope and what is null outside `winlog`."""
    out: dict[str, Any] = {}
    stack = [(tree, _PATHS)]
    while stack:
        node, paths = stack.pop()
        for name, value in node.items():
            if value.__class__ is dict and value:
                stack.append((value, paths.below[name]))
            elif (path := paths[name]).__class__ is str:
                if value is not None or path.startswith("winlog."):
                    out[path] = value
            elif path is not None:
                add(out, path[0], value)
    return out


def is_ecs(record: Mapping[str, Any]) -> bool:
    """Whether the record carries `winlog`, nested or dotted."""
    return record.get("winlog").__class__ is dict or "winlog.event_id" in record or "winlog.channel" in record


def from_ecs(record: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields. Raises RecordError where there is no event id (`winlog.event_id`, else `event.code`)."""
    out = _flattened(record)
    event_id = out.pop("winlog.event_id", None)
    put_event_id(out, out.get("event.code") if event_id is None else event_id)
    put_channel(out, out.pop("winlog.channel", None))
    put_keywords(out, out.pop("winlog.keywords", None))
    put_guid(out, "winlog.provider_guid", out.pop("winlog.provider_guid", None))
    if (number := integer(out.get("winlog.record_id"))) is not None:
        out["winlog.record_id"] = number
    level = out.get("winlog.level", out.get("log.level"))
    if level.__class__ is str and (number := _LEVELS.get(level.lower())) is not None:
        out["winlog.level"] = number
    stamp = out.pop("@timestamp", None)
    put_time(out, out.pop("winlog.time_created", None) or stamp)
    _put_back(out)
    return out


def _put_back(out: dict[str, Any]) -> None:
    if "sysmon" in str(out.get("winlog.channel", "")).lower():
        for name, path in _MOVED.get(out["winlog.event_id"], {}).items():
            value = out.get(path)
            if value is not None and DATA + name not in out:
                out[DATA + name] = value
        if out["winlog.event_id"] == 13 and DATA + "Details" not in out:
            strings = out.get("registry.data.strings")
            if strings.__class__ is list and len(strings) == 1:
                out[DATA + "Details"] = strings[0]
        if DATA + "User" not in out and out.get("user.name") and out.get("user.domain"):
            out[DATA + "User"] = f"{out['user.domain']}\\{out['user.name']}"
    elif out.get("winlog.channel") != "System" and DATA + "param1" in out and DATA + "Data" not in out:
        # Winlogbeat counts unnamed data (param1, param2, …); every other shape, and Sigma, call them Data.
        values: list[Any] = []
        while (value := out.get(f"{DATA}param{len(values) + 1}")) is not None:
            values.append(value)
        out[DATA + "Data"] = values[0] if len(values) == 1 else values
