"""Recordings with an answer key, in every shape that agents ship, raise the same rules as the EVTX file.

EVTX and JSON as they lie there are test_sigma_windows's; here the same events are written the way that Windows' XML,
Winlogbeat, NXLog, osquery and Fluent Bit write them, and go through the real decoder, mapping, pipeline and matcher.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from evtx import PyEvtxParser

from soc.detect import RuleSet, load_rules
from soc.event import Event, RawRecord, flat, text_of
from soc.normalize import Sources, load_sources
from soc.normalize.golden import RECEIVED
from soc.parse.windows_strings import NAMES

PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")


@pytest.fixture(scope="module")
def rules(root: Path, shared_data: Path) -> RuleSet:
    return load_rules(
        [shared_data / "sigmahq" / pack for pack in PACKS], [root / "pipelines" / "sigma" / "windows.yml"]
    )


@pytest.fixture(scope="module")
def sources(root: Path) -> Sources:
    return load_sources([root / "pipelines" / "sources"])


def trees(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(r["data"])["Event"] for r in PyEvtxParser(str(path)).records_json()]


def attributes(tree: dict[str, Any], name: str) -> dict[str, Any]:
    return (tree["System"].get(name) or {}).get("#attributes", {})


def event_id(tree: dict[str, Any]) -> int:
    given = tree["System"]["EventID"]
    return int(given["#text"] if isinstance(given, dict) else given)


def items(tree: dict[str, Any]) -> dict[str, Any]:
    """Names and texts of the data, unnamed ones as param1, param2, …"""
    data = {k: v for k, v in (tree.get("EventData") or {}).items() if k != "#attributes"}
    if isinstance(unnamed := data.pop("Data", None), dict):
        listed = unnamed["#text"] if isinstance(unnamed["#text"], list) else [unnamed["#text"]]
        data = {f"param{i}": v for i, v in enumerate(listed, 1)} | data
    return {k: v if v is None else text_of(v) for k, v in data.items()}


def user_data(tree: dict[str, Any]) -> dict[str, Any]:
    ((name, inner),) = tree["UserData"].items()
    return {"xml_name": name, **{k: v for k, v in inner.items() if k != "#attributes"}}


def winlogbeat(tree: dict[str, Any]) -> bytes:
    system = tree["System"]
    winlog = {
        "channel": system["Channel"],
        "event_id": str(event_id(tree)),
        "provider_name": attributes(tree, "Provider")["Name"],
        "provider_guid": "{" + str(attributes(tree, "Provider").get("Guid", "")).strip("{}") + "}",
        "computer_name": system["Computer"],
        "record_id": system["EventRecordID"],
        "process": {"pid": attributes(tree, "Execution").get("ProcessID")},
        "event_data": {k: v for k, v in items(tree).items() if v not in (None, "")},
    }
    if "UserData" in tree:
        winlog["user_data"] = user_data(tree)
    log = {"level": {1: "critical", 2: "error", 3: "warning"}.get(system["Level"], "information")}
    return orjson.dumps(
        {
            "@timestamp": attributes(tree, "TimeCreated")["SystemTime"],
            "event": {"code": str(event_id(tree)), "kind": "event"},
            "log": log,
            "host": {"name": system["Computer"]},
            "winlog": winlog,
        }
    )


def winlogbeat_dotted(tree: dict[str, Any]) -> bytes:
    return orjson.dumps(flat(orjson.loads(winlogbeat(tree))))


def elastic_sysmon(tree: dict[str, Any]) -> bytes:
    """As Winlogbeat with its Sysmon module, which moves process starts to ECS."""
    record = orjson.loads(winlogbeat(tree))
    data = record["winlog"]["event_data"]
    if event_id(tree) == 1 and "Sysmon" in tree["System"]["Channel"]:
        record["process"] = {
            "executable": data.pop("Image"),
            "command_line": data.pop("CommandLine"),
            "working_directory": data.pop("CurrentDirectory", None),
            "pid": int(data.pop("ProcessId")),
            "pe": {"original_file_name": data.pop("OriginalFileName", None)},
            "parent": {
                "executable": data.pop("ParentImage", None),
                "command_line": data.pop("ParentCommandLine", None),
            },
        }
    return orjson.dumps(record)


def nxlog(tree: dict[str, Any]) -> bytes:
    system = tree["System"]
    keywords = int(system["Keywords"], 16)
    return orjson.dumps(
        {
            "EventTime": attributes(tree, "TimeCreated")["SystemTime"],
            "Hostname": system["Computer"],
            "Keywords": keywords - 2**64 if keywords >= 2**63 else keywords,
            "EventID": event_id(tree),
            "SourceName": attributes(tree, "Provider")["Name"],
            "Level": str(system["Level"]),
            "Task": system["Task"],
            "RecordNumber": system["EventRecordID"],
            "Channel": system["Channel"].lower() if system["Channel"] == "Security" else system["Channel"],
            **({k: v for k, v in items(tree).items() if not k.startswith("param")} if "EventData" in tree else {}),
            **({k: v for k, v in user_data(tree).items() if k != "xml_name"} if "UserData" in tree else {}),
        }
    )


def osquery(tree: dict[str, Any]) -> bytes:
    system = tree["System"]
    data = {name: tree[name] for name in ("EventData", "UserData") if name in tree}
    columns = {
        "datetime": attributes(tree, "TimeCreated")["SystemTime"],
        "source": system["Channel"],
        "provider_name": attributes(tree, "Provider")["Name"],
        "computer_name": system["Computer"],
        "eventid": str(event_id(tree)),
        "level": str(system["Level"]),
        "data": json.dumps(data),
    }
    return orjson.dumps({"name": "windows_events", "columns": columns})


def fluent_bit(tree: dict[str, Any]) -> bytes:
    """Names of the data are lost: Sysmon's come from its message, Security's from their order."""
    system = tree["System"]
    data = items(tree)
    return orjson.dumps(
        {
            "ProviderName": attributes(tree, "Provider")["Name"],
            "EventID": event_id(tree),
            "Level": system["Level"],
            "TimeCreated": "2026-11-24 08:00:00 +0700",
            "Channel": system["Channel"],
            "Computer": system["Computer"],
            "ProcessID": 4,
            "Message": "Title:\r\n" + "\r\n".join(f"{k}: {v}" for k, v in data.items()),
            "StringInserts": [v or "" for v in data.values()],
        }
    )


SHAPES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "winlogbeat": winlogbeat,
    "winlogbeat, dotted": winlogbeat_dotted,
    "elastic sysmon module": elastic_sysmon,
    "nxlog": nxlog,
    "osquery": osquery,
}


def fired(records: list[bytes], sources: Sources, rules: RuleSet) -> list[list[str]]:
    events: list[Event] = []
    for number, data in enumerate(records, 1):
        events += sources.events(RawRecord(str(number), data, RECEIVED, "auto"))
    assert {event.source for event in events} == {"windows"}
    found = rules.match([event.fields for event in events], [event.logsources for event in events])
    return [sorted(d.rule_id for d in detections) for detections in found]


def recordings(shared_data: Path) -> list[Path]:
    return [p for f in ("sigma_regression", "evtx_cc0") for p in sorted((shared_data / f).glob("*.evtx"))]


@pytest.fixture(scope="module")
def key(shared_data: Path, sources: Sources, rules: RuleSet) -> dict[Path, list[list[str]]]:
    """What the EVTX files raise, record by record (test_sigma_windows holds that to the answer keys)."""
    return {
        path: fired([orjson.dumps({"Event": t}) for t in trees(path)], sources, rules)
        for path in recordings(shared_data)
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_raises_the_rules_of_the_evtx_file(
    shape: str, key: dict[Path, list[list[str]]], sources: Sources, rules: RuleSet
) -> None:
    for path, expected in key.items():
        read = trees(path)
        found = fired([SHAPES[shape](tree) for tree in read], sources, rules)
        for tree, one, other in zip(read, found, expected, strict=True):
            if shape == "nxlog" and any(name.startswith("param") for name in items(tree)):
                continue  # NXLog drops unnamed data
            assert one == other, path.name


def test_xml_raises_the_rules_of_the_evtx_file(
    key: dict[Path, list[list[str]]], sources: Sources, rules: RuleSet
) -> None:
    for path, expected in key.items():
        records = [r["data"].encode() for r in PyEvtxParser(str(path)).records()]
        assert fired(records, sources, rules) == expected, path.name


def test_bare_values_raise_the_rules_where_names_can_be_known(
    shared_data: Path, sources: Sources, rules: RuleSet
) -> None:
    for path in sorted((shared_data / "sigma_regression").glob("*.evtx")):
        for tree in trees(path):
            known = ("microsoft-windows-security-auditing", event_id(tree)) in NAMES
            sysmon = "Sysmon" in tree["System"]["Channel"] and not any("\n" in str(v) for v in items(tree).values())
            if known or sysmon:
                raised = fired([orjson.dumps({"Event": tree})], sources, rules)
                assert fired([fluent_bit(tree)], sources, rules) == raised, path.name
