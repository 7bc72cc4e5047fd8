"""The Windows decoder: every shape of one event gives the same canonical fields, bad records are refused."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.event import RecordError, text_of
from soc.parse import DECODERS

decode = DECODERS["windows_event"].make()

GUID = "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}"
DATA = {
    "UtcTime": "2026-11-24 01:02:03.004",
    "ProcessId": "4711",
    "Image": r"C:\Windows\System32\cmd.exe",
    "CommandLine": 'cmd.exe /c "echo <hi> & exit"',
    "User": "EXAMPLE\\thu.ha",
    "Empty Name": "",
}
CANONICAL = {
    "winlog.event_id": 1,
    "winlog.channel": "Microsoft-Windows-Sysmon/Operational",
    "winlog.provider_name": "Microsoft-Windows-Sysmon",
    "winlog.provider_guid": GUID,
    "winlog.computer_name": "ws01.example",
    "winlog.record_id": 77,
    "winlog.keywords": "0x8000000000000000",
    "winlog.level": 4,
    "winlog.task": 1,
    "winlog.version": 5,
    "winlog.process.pid": 2004,
    "winlog.process.thread.id": 3008,
    "winlog.user.identifier": "S-1-5-18",
    **{f"winlog.event_data.{name.replace(' ', '')}": value for name, value in DATA.items()},
}
SYSTEM_TIME = "2026-11-24T01:02:03.0045678Z"


def evtx(**system: Any) -> dict[str, Any]:
    return {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon", "Guid": GUID.strip("{}")}},
                "EventID": 1,
                "Version": 5,
                "Level": 4,
                "Task": 1,
                "Opcode": 0,
                "Keywords": "0x8000000000000000",
                "TimeCreated": {"#attributes": {"SystemTime": SYSTEM_TIME}},
                "EventRecordID": 77,
                "Correlation": None,
                "Execution": {"#attributes": {"ProcessID": 2004, "ThreadID": 3008}},
                "Channel": "Microsoft-Windows-Sysmon/Operational",
                "Computer": "ws01.example",
                "Security": {"#attributes": {"UserID": "S-1-5-18"}},
                **system,
            },
            "EventData": dict(DATA),
        }
    }


def separate() -> dict[str, Any]:
    event = evtx()["Event"]
    system = event["System"]
    for name in ("Provider", "TimeCreated", "Execution", "Security"):
        system[f"{name}_attributes"] = system.pop(name)["#attributes"]
    system |= {"EventID": "1", "EventID_attributes": {"Qualifiers": 0}}
    return {"Event": event, "Event_attributes": event.pop("#attributes")}


def named_list(attribute: str, text: str) -> dict[str, Any]:
    event = evtx()
    event["Event"]["EventData"] = {"Data": [{attribute: name, text: value} for name, value in DATA.items()]}
    return event


def attributes_list() -> dict[str, Any]:
    event = evtx(EventID={"#attributes": {"Qualifiers": 0}, "#text": "1"})
    event["Event"]["EventData"] = [{"#attributes": {"Name": n}, "#text": v} for n, v in DATA.items()]
    return event


def velociraptor() -> dict[str, Any]:
    event = evtx()["Event"]
    system = {name: v["#attributes"] if isinstance(v, dict) else v for name, v in event["System"].items()}
    return {"System": {**system, "EventID": {"Value": 1}}, "EventData": event["EventData"], "Message": "text"}


def winlogbeat() -> dict[str, Any]:
    return {
        "@timestamp": SYSTEM_TIME,
        "@metadata": {"beat": "winlogbeat"},
        "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon", "kind": "event"},
        "host": {"name": "ws01.example"},
        "winlog": {
            "api": "wineventlog",
            "event_id": "1",
            "channel": "Microsoft-Windows-Sysmon/Operational",
            "provider_name": "Microsoft-Windows-Sysmon",
            "provider_guid": GUID,
            "computer_name": "ws01.example",
            "record_id": "77",
            "keywords": "0x8000000000000000",
            "level": 4,
            "task": 1,
            "opcode": 0,
            "version": 5,
            "process": {"pid": 2004, "thread": {"id": 3008}},
            "user": {"identifier": "S-1-5-18"},
            "event_data": dict(DATA),
        },
    }


def dotted() -> dict[str, Any]:
    from soc.event import flat

    return flat(winlogbeat())


def nxlog() -> dict[str, Any]:
    return {
        "EventTime": "2026-11-24T01:02:03.004567Z",
        "Hostname": "ws01.example",
        "Keywords": -9223372036854775808,
        "EventType": "INFO",
        "SeverityValue": 2,
        "Severity": "INFO",
        "EventID": 1,
        "SourceName": "Microsoft-Windows-Sysmon",
        "ProviderGuid": GUID,
        "Version": 5,
        "Task": 1,
        "OpcodeValue": 0,
        "Level": "4",
        "RecordNumber": 77,
        "ExecutionProcessID": 2004,
        "ExecutionThreadID": 3008,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "UserID": "S-1-5-18",
        **DATA,
    }


def snake() -> dict[str, Any]:
    return {
        "timestamp": SYSTEM_TIME,
        "event_id": 1,
        "channel": "Microsoft-Windows-Sysmon/Operational",
        "provider_name": "Microsoft-Windows-Sysmon",
        "provider_guid": GUID,
        "computer": "ws01.example",
        "record_id": 77,
        "keywords": "9223372036854775808",
        "level": "Information",
        "level_value": 4,
        "task": 1,
        "opcode": 0,
        "version": 5,
        "process_id": 2004,
        "thread_id": 3008,
        "user_id": "S-1-5-18",
        "event_data": dict(DATA),
    }


def osquery() -> dict[str, Any]:
    columns = {name: str(value) for name, value in snake().items() if name not in ("event_data", "timestamp")}
    columns |= {"eventid": columns.pop("event_id"), "source": columns.pop("channel"), "datetime": SYSTEM_TIME}
    columns["level"] = columns.pop("level_value")
    columns["data"] = json.dumps({"EventData": DATA})
    return {"name": "windows_events", "columns": columns, "action": "added"}


def evtxecmd() -> dict[str, Any]:
    data = [{"@Name": name, "#text": value} for name, value in DATA.items()]
    return {
        "PayloadData1": "ProcessID: 4711",
        "MapDescription": "Process creation",
        "ChunkNumber": 0,
        "Computer": "ws01.example",
        "Payload": json.dumps({"EventData": {"Data": data}}),
        "UserId": "S-1-5-18",
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Provider": "Microsoft-Windows-Sysmon",
        "EventId": 1,
        "EventRecordId": "77",
        "ProcessId": 2004,
        "ThreadId": 3008,
        "Level": "Info",
        "Keywords": "0x8000000000000000",
        "TimeCreated": "2026-11-24T01:02:03.0045678+00:00",
        "RecordNumber": 1,
    }


def test_evtxecmds_payload_is_the_event_data() -> None:
    fields = decode(record(evtxecmd()))

    written = {
        path: v
        for path, v in CANONICAL.items()
        if path.split(".")[1] not in ("provider_guid", "level", "task", "version")
    }
    assert {path: fields.get(path) for path in written} == written
    assert not any("PayloadData" in path or path.endswith("RecordNumber") for path in fields)


def fluent_bit() -> dict[str, Any]:
    return {
        "ProviderName": "Microsoft-Windows-Sysmon",
        "ProviderGuid": GUID,
        "Qualifiers": "",
        "EventID": 1,
        "Version": 5,
        "Level": 4,
        "Task": 1,
        "Opcode": 0,
        "Keywords": "0x8000000000000000",
        "TimeCreated": "2026-11-24 08:02:03 +0700",
        "EventRecordID": 77,
        "ActivityID": "",
        "ProcessID": 2004,
        "ThreadID": 3008,
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "Computer": "ws01.example",
        "UserID": "S-1-5-18",
        "Message": "Process Create:\r\n" + "\r\n".join(f"{n}: {v}" for n, v in DATA.items() if " " not in n),
        "StringInserts": list(DATA.values()),
    }


def xml() -> str:
    from xml.sax.saxutils import escape

    items = "".join(f'<Data Name="{name}">{escape(value)}</Data>' for name, value in DATA.items())
    return (
        '<Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>'
        f'<Provider Name="Microsoft-Windows-Sysmon" Guid="{GUID}"/><EventID>1</EventID><Version>5</Version>'
        "<Level>4</Level><Task>1</Task><Opcode>0</Opcode><Keywords>0x8000000000000000</Keywords>"
        f'<TimeCreated SystemTime="{SYSTEM_TIME}"/><EventRecordID>77</EventRecordID><Correlation/>'
        '<Execution ProcessID="2004" ThreadID="3008"/><Channel>Microsoft-Windows-Sysmon/Operational</Channel>'
        '<Computer>ws01.example</Computer><Security UserID="S-1-5-18"/></System>'
        f"<EventData>{items}</EventData></Event>"
    )


SHAPES: dict[str, Any] = {
    "evtx": evtx(),
    "evtx, attributes beside": separate(),
    "evtx, Data list with attributes": attributes_list(),
    "XML to JSON": named_list("@Name", "#text"),
    "chainsaw": {"document": {"kind": "evtx", "data": evtx()}},
    "velociraptor": velociraptor(),
    "winlogbeat": winlogbeat(),
    "winlogbeat, dotted": dotted(),
    "nxlog": nxlog(),
    "snake case": snake(),
    "osquery": osquery(),
    "xml": xml(),
    "xml in a member": {"message": xml()},
    "xml behind a syslog header": f"<13>1 2026-11-24T01:02:03Z ws01 - - - - {xml()}",
    "json behind a syslog header": f"<13>Nov 24 01:02:03 ws01 app: {json.dumps(nxlog())}",
}


def record(shape: Any) -> bytes:
    return shape.encode() if isinstance(shape, str) else orjson.dumps(shape)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_of_an_event_gives_the_same_canonical_fields(name: str) -> None:
    fields = decode(record(SHAPES[name]))

    assert {path: fields.get(path) for path in CANONICAL} == CANONICAL
    assert fields["winlog.time_created"].startswith("2026-11-24T01:02:03.004567")


def test_sysmon_items_that_an_agent_dropped_come_from_its_message() -> None:
    fields = decode(record(fluent_bit()))

    expected = {path: value for path, value in CANONICAL.items() if path != "winlog.event_data.EmptyName"}
    assert {path: fields.get(path) for path in expected} == expected
    assert fields["winlog.time_created"] == "2026-11-24 08:02:03 +0700"


def test_a_command_line_cannot_imitate_the_items_before_it() -> None:
    shape = fluent_bit()
    shape["Message"] = "Process Create:\r\nImage: C:\\evil.exe\r\nCommandLine: x\r\nImage: C:\\good.exe\r\n"

    assert decode(record(shape))["winlog.event_data.Image"] == "C:\\evil.exe"


@pytest.mark.parametrize("event_id", [4624, "4624", {"#text": 4624, "#attributes": {"Qualifiers": 16384}}])
def test_the_event_id_is_a_number_in_every_form(event_id: Any) -> None:
    fields = decode(record(evtx(EventID=event_id)))

    assert fields["winlog.event_id"] == 4624
    assert fields.get("winlog.qualifiers") == (16384 if isinstance(event_id, dict) else None)


@pytest.mark.parametrize("event_id", [None, "", "x", {"Qualifiers": 1}, [1]])
def test_a_record_without_an_event_id_is_refused(event_id: Any) -> None:
    with pytest.raises(RecordError, match="bad_format"):
        decode(record(evtx(EventID=event_id)))


@pytest.mark.parametrize(
    ("keywords", "canonical"),
    [
        ("0x8010000000000000", "0x8010000000000000"),
        (-9218868437227405312, "0x8010000000000000"),
        (9227875636482146304, "0x8010000000000000"),
        ("9227875636482146304", "0x8010000000000000"),
        (["Audit Failure"], "0x8010000000000000"),
        (0, "0x0"),
        (["Classic"], ["Classic"]),
    ],
)
def test_keywords_are_one_64_bit_number_in_every_form(keywords: Any, canonical: Any) -> None:
    assert decode(record(evtx(Keywords=keywords)))["winlog.keywords"] == canonical


@pytest.mark.parametrize(
    ("provider", "event_id", "channel"),
    [
        ("Microsoft-Windows-Sysmon", 1, "Microsoft-Windows-Sysmon/Operational"),
        ("MICROSOFT-WINDOWS-SECURITY-AUDITING", 4624, "Security"),
        ("Microsoft-Windows-Eventlog", 1102, "Security"),
        ("Microsoft-Windows-Eventlog", 104, "System"),
        ("Microsoft-Windows-Eventlog", 1, None),
        ("Example-App", 1, None),
    ],
)
def test_a_missing_channel_is_the_providers_where_it_has_one_only(
    provider: str, event_id: int, channel: str | None
) -> None:
    system = {"Provider": {"#attributes": {"Name": provider}}, "EventID": event_id}

    assert decode(record(evtx(Channel=None, **system))).get("winlog.channel") == channel


def with_data(section: dict[str, Any]) -> dict[str, Any]:
    event = evtx()["Event"]
    del event["EventData"]
    fields = decode(record({"Event": event | section}))
    return {p.removeprefix("winlog.event_data."): v for p, v in fields.items() if p.startswith("winlog.event_data.")}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"EventData": {"Data": {"#text": ["a", "b"]}, "Binary": None}}, {"Data": ["a", "b"], "Binary": None}),
        ({"EventData": {"Data": {"#text": "a"}}}, {"Data": "a"}),
        ({"EventData": {"Data": ["a", "b"]}}, {"Data": ["a", "b"]}),
        ({"EventData": "text"}, {"Data": "text"}),
        ({"EventData": None}, {}),
        ({}, {}),
        ({"EventData": {"n": 18446744073709551615, "t": True}}, {"n": 18446744073709551615, "t": True}),
        (
            {"UserData": {"EventXML": {"#attributes": {"xmlns": "Event_NS"}, "Param1": "a", "Param 2": None}}},
            {"Param1": "a", "Param2": None},
        ),
        (
            {"UserData": {"Chain": {"Certificate": [{"#attributes": {"subjectName": "x"}}, {"Flags": 1}]}}},
            {"Certificate_subjectName": "x", "Flags": 1},
        ),
    ],
)
def test_event_data_and_user_data_keep_names_and_values(section: dict[str, Any], expected: dict[str, Any]) -> None:
    assert with_data(section) == expected


def test_user_data_in_xml_give_the_same_leaves_as_in_json() -> None:
    body = '<UserData><Chain xmlns="x"><Certificate subjectName="x"/><Flags>1</Flags></Chain></UserData>'
    text = xml().replace("<EventData>", "<EventData><!--").replace("</EventData>", f"--></EventData>{body}")

    fields = decode(text.encode())

    assert fields["winlog.event_data.Certificate_subjectName"] == "x"
    assert fields["winlog.event_data.Flags"] == "1"
    assert fields["winlog.user_data.xml_name"] == "Chain"


def test_rendered_text_is_read_from_xml() -> None:
    rendering = (
        '<RenderingInfo Culture="en-US"><Message>Process Create</Message><Level>Information</Level>'
        "<Keywords><Keyword>Audit Success</Keyword></Keywords></RenderingInfo></Event>"
    )
    fields = decode(xml().replace("</Event>", rendering).encode())

    assert fields["message"] == "Process Create"
    assert fields["winlog.keywords_display_names"] == ["Audit Success"]
    assert fields["winlog.level_name"] == "Information"


BOMB = '<!DOCTYPE Event [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    "data",
    [
        (BOMB + xml().replace("cmd.exe /c", "&b;")).encode(),
        (BOMB + xml().replace("cmd.exe /c", "&c;")).encode("utf-16"),
        ("<?xml version='1.0' encoding='utf-7'?>" + BOMB + xml()).encode(),
        ("<!-- <Event -->" + BOMB + xml()).encode(),
        xml().replace("cmd.exe /c", "&undeclared;").encode(),
        (BOMB + xml()).encode("cp037"),
    ],
)
def test_xml_that_declares_or_uses_entities_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError, match="bad_format"):
        decode(data)


def test_the_word_doctype_within_a_value_is_no_declaration() -> None:
    text = xml().replace("cmd.exe /c", "<![CDATA[<!DOCTYPE html>]]>")

    assert decode(text.encode())["winlog.event_data.CommandLine"].startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("written", ["a\x01b", "a&#1;b", "a&#x01;b"])
def test_characters_that_xml_forbids_do_not_hide_an_event(written: str) -> None:
    fields = decode(xml().replace("cmd.exe /c", written).encode())

    assert fields["winlog.event_data.CommandLine"] == 'a\x01b "echo <hi> & exit"'


def test_line_ends_within_a_value_stay_as_they_are() -> None:
    fields = decode(xml().replace("cmd.exe /c", "a\r\n\tb").replace("><", ">\r\n<").encode())

    assert fields["winlog.event_data.CommandLine"].startswith("a\r\n\tb")


def test_utf16_with_byte_order_mark_is_read() -> None:
    assert decode(xml().encode("utf-16")) == decode(xml().encode())
    assert decode("﻿".encode() + record(evtx())) == decode(record(evtx()))


def test_bytes_that_are_no_utf8_and_halves_of_surrogates_do_not_lose_the_event() -> None:
    raw = record(evtx()).replace(b"/c", b"/\xff").replace(b"<hi>", b"\\ud800")

    assert decode(raw)["winlog.event_data.CommandLine"] == 'cmd.exe /\\xff "echo � & exit"'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"a":1}',
        b"text",
        b"<a/>",
        b"<Event/>",
        b"<Event>",
        b"<Events/>",
        b"\x00\xff",
    ],
)
def test_what_is_no_windows_event_is_refused(data: bytes) -> None:
    with pytest.raises(RecordError, match="bad_format"):
        decode(data)


def test_nesting_without_end_is_refused() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep}
    shape = evtx()
    shape["Event"]["UserData"] = {"X": deep}

    with pytest.raises(RecordError, match="nested deeper"):
        decode(record(shape))


def nxlog_time(**facts: Any) -> Any:
    shape = {k: v for k, v in nxlog().items() if k not in ("EventTime", "UtcTime")}
    return decode(record(shape | facts)).get("winlog.time_created")


def test_local_times_get_the_zone_that_the_record_shows() -> None:
    facts = {"EventTime": "2026-11-24 08:02:03", "EventReceivedTime": "2026-11-24 08:02:05"}

    assert nxlog_time(**facts, **{"@timestamp": "2026-11-24T01:02:06.100Z"}) == "2026-11-24 08:02:03+07:00"
    assert nxlog_time(**facts, UtcTime="2026-11-24 01:02:03.000") == "2026-11-24 01:02:03.000Z"
    assert nxlog_time(**facts) == "2026-11-24 08:02:03"
    assert nxlog_time(**facts, **{"@timestamp": "2026-11-24T01:09:30Z"}) == "2026-11-24 08:02:03"
    assert nxlog_time(TimeCreated="2026-11-24T01:02:03.1Z", **facts) == "2026-11-24T01:02:03.1Z"


def test_nxlogs_own_event_type_is_not_the_events() -> None:
    shape = nxlog() | {"EventID": 13, "Message": "Registry value set:\r\nEventType: SetValue\r\n"}
    assert decode(record(shape))["winlog.event_data.EventType"] == "SetValue"
    shape = nxlog() | {"EventID": 12, "EventType": "DeleteKey"}
    assert decode(record(shape))["winlog.event_data.EventType"] == "DeleteKey"


def test_what_elastics_sysmon_module_moved_is_put_back() -> None:
    shape = winlogbeat()
    shape["winlog"]["event_data"] = {}
    shape |= {
        "process": {"executable": "C:\\a.exe", "command_line": "a -b", "parent": {"executable": "C:\\p.exe"}},
        "user": {"domain": "EXAMPLE", "name": "thu.ha"},
    }

    fields = decode(record(shape))

    assert fields["winlog.event_data.Image"] == "C:\\a.exe"
    assert fields["winlog.event_data.CommandLine"] == "a -b"
    assert fields["winlog.event_data.ParentImage"] == "C:\\p.exe"
    assert fields["winlog.event_data.User"] == "EXAMPLE\\thu.ha"


def test_winlogbeats_counted_data_are_the_unnamed_list() -> None:
    shape = winlogbeat()
    shape["winlog"] |= {"channel": "Windows PowerShell", "event_data": {"param1": "a", "param2": "b"}}

    assert decode(record(shape))["winlog.event_data.Data"] == ["a", "b"]


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_with_bad_format(data: bytes) -> None:
    try:
        fields = decode(data)
    except RecordError as error:
        assert error.code == "bad_format"
    else:
        assert isinstance(fields["winlog.event_id"], int)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["#text", "#attributes", "Name", "Data", "a", "@x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SYSTEM = st.dictionaries(st.sampled_from(sorted(evtx()["Event"]["System"])), JSON, max_size=4)


@given(system=SYSTEM, data=JSON, section=st.sampled_from(["EventData", "UserData", "RenderingInfo"]))
def test_any_values_in_the_tree_are_decoded_or_refused_with_bad_format(
    system: dict[str, Any], data: Any, section: str
) -> None:
    shape = evtx(**system)
    shape["Event"][section] = data
    try:
        fields = decode(record(shape))
    except RecordError as error:
        assert error.code == "bad_format"
    else:
        assert isinstance(fields["winlog.event_id"], int)
        assert not any(isinstance(value, dict) for value in fields.values())


OTHER_SHAPES = [
    winlogbeat()["winlog"] | {"user_data": {}, "level": 4},
    nxlog(),
    fluent_bit(),
    snake(),
    osquery()["columns"],
]


@given(st.data())
def test_any_values_in_the_flat_shapes_are_decoded_or_refused_with_bad_format(data: st.DataObject) -> None:
    shape = dict(data.draw(st.sampled_from(OTHER_SHAPES)))
    names = st.sampled_from([*shape, "EventData", "UserData", "EventReceivedTime", "@timestamp", "Properties"])
    shape |= data.draw(st.dictionaries(names, JSON, max_size=3))
    whole: Any = {"winlog": shape, "log": {"level": "error"}} if "api" in shape else shape
    try:
        fields = decode(record(whole))
    except RecordError as error:
        assert error.code == "bad_format"
    else:
        assert isinstance(fields["winlog.event_id"], int)
        assert not any(isinstance(value, dict) and value for value in fields.values())


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_every_named_item_keeps_its_exact_value(items: dict[str, str]) -> None:
    shape = evtx()
    shape["Event"]["EventData"] = {"Data": [{"#attributes": {"Name": n}, "#text": v} for n, v in items.items()]}

    fields = decode(record(shape))

    for name, value in items.items():
        kept = fields[f"winlog.event_data.{name.replace(' ', '')}"]
        assert value == kept or value in kept


@given(st.text())
def test_text_survives_xml_exactly(value: str) -> None:
    from xml.sax.saxutils import escape

    written = xml().replace("cmd.exe /c", "A" + escape(value, {"\r": "&#13;"}))
    try:
        fields = decode(written.encode())
    except UnicodeEncodeError:
        return

    assert fields["winlog.event_data.CommandLine"] == f'A{value} "echo <hi> & exit"'
    assert text_of(fields["winlog.event_id"]) == "1"


def test_json_that_puts_attributes_beside_text_is_read() -> None:
    system = {
        "Provider": {"Name": "Service Control Manager"},
        "EventID": {"text": "7045", "Qualifiers": "16384"},
        "Channel": "System",
        "Computer": "h",
        "TimeCreated": {"SystemTime": "2026-11-24T01:00:00Z"},
    }
    items = [{"Name": "ServiceName", "text": "x"}, {"Name": "ImagePath", "text": "C:\\x.exe"}, {"Name": "AccountName"}]
    event = {"Event": {"System": system, "EventData": {"Data": items}}}
    fields = decode(orjson.dumps(event))
    assert fields["winlog.event_id"] == 7045 and fields["winlog.qualifiers"] == 16384
    assert fields["winlog.event_data.ImagePath"] == "C:\\x.exe" and fields["winlog.event_data.AccountName"] == ""
    assert decode(orjson.dumps({"tag": "t", "body": orjson.dumps(event).decode()})) == fields


def test_wmis_event_objects_are_read() -> None:
    strings = ["S-1-5-18", "H$", "D", "0x3e7", "0x2dc0", "C:\\r.exe", "%%1936", "0x98c", "r.exe /x"]
    fields = decode(
        orjson.dumps(
            {
                "EventCode": 4688,
                "EventIdentifier": 4688,
                "EventType": 4,
                "Logfile": "Security",
                "SourceName": "Microsoft-Windows-Security-Auditing",
                "ComputerName": "h.tinh.example",
                "TimeGenerated": "20261124080000.123456+420",
                "RecordNumber": 7,
                "Type": "Audit Success",
                "InsertionStrings": strings,
                "Data": None,
                "User": None,
            }
        )
    )
    assert fields["winlog.channel"] == "Security" and fields["winlog.keywords"] == "0x8020000000000000"
    assert fields["winlog.event_data.NewProcessName"] == "C:\\r.exe"
    assert fields["winlog.time_created"] == "2026-11-24T08:00:00.123456+07:00"


@pytest.mark.parametrize(
    ("severity", "event_type", "level"),
    [("ERROR", "ERROR", 2), ("WARNING", "WARNING", 3), ("ERROR", "AUDIT_FAILURE", None), ("INFO", "INFO", None)],
)
def test_nxlogs_severity_is_the_level_where_it_can_be_known(severity: str, event_type: str, level: int | None) -> None:
    record = {"EventID": 42, "SourceName": "S", "Channel": "System", "Severity": severity, "EventType": event_type}
    assert decode(orjson.dumps(record)).get("winlog.level") == level
