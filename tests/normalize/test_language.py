"""A source definition is refused with file, line and a sentence that helps; nothing wrong passes in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.event import ContentErrors, Event, LogSource, RawRecord, RecordError
from soc.normalize import load_sources

HEAD = "title: T\nformat: json\ndecode: [json: {}]\nkeep: v\n"
RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def write(folder: Path, text: str, name: str = "probe") -> Path:
    source = folder / name
    source.mkdir(parents=True, exist_ok=True)
    (source / "source.yml").write_text(text, "utf-8")
    return source


def events(folder: Path, text: str, data: str) -> list[Event]:
    sources = load_sources([write(folder, text)])
    return sources.get("probe").events(RawRecord("20261124-1", data.encode(), RECEIVED, "probe"))


WRONG: list[tuple[str, str, str]] = [
    (
        "an unknown key names the nearest",
        HEAD + "constant: {}\n",
        "5: unknown key 'constant'; did you mean 'constants'?",
    ),
    ("a duplicate key", HEAD + "fields: {source.ip: a, source.ip: b}\n", "stands twice"),
    (
        "an unknown ECS field",
        HEAD + "fields:\n  source.ipp: a\n",
        "6: unknown ECS field 'source.ipp'; did you mean 'source.ip'?",
    ),
    ("a field of ours", HEAD + "fields: {'@timestamp': a}\n", "written by the program itself"),
    ("a list where ECS wants one value", HEAD + "constants: {event.kind: [event]}\n", "one value, no list in ECS"),
    (
        "one value where ECS wants a list",
        HEAD + "constants: {event.category: web}\n",
        "event.category is a list in ECS",
    ),
    ("a value that ECS does not allow", HEAD + "constants: {event.category: [webb]}\n", "did you mean 'web'?"),
    (
        "an outcome that ECS does not allow",
        HEAD + "fields: {event.outcome: {from: a, map: {x: fail}}}\n",
        "unknown value of",
    ),
    ("an unquoted yes", HEAD + "fields: {event.outcome: {from: a, map: {yes: success}}}\n", "quote the key"),
    ("a number for a keyword", HEAD + "constants: {event.code: 1}\n", "quote the value"),
    ("an unknown decoder", HEAD.replace("json: {}", "jsn: {}"), "unknown decoder 'jsn'; did you mean 'json'?"),
    ("an unknown option", HEAD.replace("json: {}", "kv: {pairs: x}"), "did you mean 'pair'?"),
    ("a bad option", HEAD.replace("json: {}", "kv: {pair: '=='}"), "one character each"),
    ("two inner formats", HEAD.replace("[json: {}]", "[json: {}, kv: {}]"), "one step, or an envelope"),
    ("an envelope that is not there", HEAD + "fields: {host.name: syslog.host}\n", "no envelope"),
    ("an unknown shared mapping", HEAD + "use: [nope]\n", "unknown shared mapping"),
    ("a time without zone", HEAD + "time: {from: t, format: syslog}\n", "declare the device's `time_zone`"),
    ("an unknown time format", HEAD + "time: {from: t, format: rfc3338}\n", "did you mean 'rfc3339'?"),
    ("an unknown time zone", HEAD + "time_zone: Asia/Hanoi\n", "Asia/Ho_Chi_Minh"),
    ("an unknown charset", HEAD + "charset: vni-9\n", "no charset"),
    (
        "a block after else",
        HEAD + "when: [{if: {a: 1}}, {else: {}}, {if: {b: 1}}]\n",
        "never reached: it stands after `else`",
    ),
    ("the same condition twice", HEAD + "when: [{if: {a: 1}}, {if: {a: 1}}]\n", "the same `if` stands before"),
    (
        "a condition that its surroundings exclude",
        HEAD + "when:\n  - if: {a: x}\n    when:\n      - if: {a: y}\n",
        "8: never holds: here a is x",
    ),
    ("a case that stands twice", HEAD + "switch: {by: a, cases: {'x, y': {}, y: {}}}\n", "the case 'y' stands before"),
    (
        "a pattern that stands twice",
        HEAD + "patterns:\n  of: a\n  list:\n    - {match: 'x%{INT}'}\n    - {match: 'x%{INT}'}\n",
        "9: never reached: the same pattern",
    ),
    (
        "a pattern behind one that matches all",
        HEAD + "patterns: {of: a, list: [{match: '%{REST:_x}'}, {match: 'y'}]}\n",
        "matches everything",
    ),
    (
        "an unknown word of a pattern",
        HEAD + "patterns: {of: a, list: [{match: '%{IPP:source.ip}'}]}\n",
        "unknown word %{IPP}",
    ),
    ("a look-ahead", HEAD + "patterns: {of: a, list: [{match: '(?=x)y'}]}\n", "not RE2"),
    ("a filter without reason", HEAD + "filter: [{if: {a: 1}}]\n", "say `why`"),
    ("a sign of no kind", HEAD + "recognise: [{score: 10}]\n", "exactly one of"),
    ("text in scale", HEAD + "fields: {event.duration: {from: a, scale: x}}\n", "`scale` is a number"),
    ("a missing key", "title: T\nformat: json\n", "`decode` is missing"),
    ("no mapping at all", "- a\n", "a source is a mapping"),
]


@pytest.mark.parametrize(("what", "text", "why"), WRONG, ids=[w[0] for w in WRONG])
def test_is_refused(tmp_path: Path, what: str, text: str, why: str) -> None:
    with pytest.raises(ContentErrors) as refused:
        load_sources([write(tmp_path, text)])
    assert why in str(refused.value)
    assert str(tmp_path / "probe" / "source.yml") in str(refused.value)


def test_all_errors_of_all_sources_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, HEAD + "a: 1\nb: 2\n", "one")
    write(tmp_path, HEAD + "fields: {nope.x: a}\n", "two")
    with pytest.raises(ContentErrors) as refused:
        load_sources([tmp_path])
    assert len(refused.value.errors) == 3


def test_a_folder_that_is_not_there_and_a_taken_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, HEAD, "unknown")
    with pytest.raises(ContentErrors) as refused:
        load_sources([tmp_path, tmp_path / "nowhere"])
    assert "is no folder of sources" in str(refused.value) and "'unknown' is taken" in str(refused.value)


def test_every_kind_of_value(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
skip: ['', '-']
roots: [w]
fields:
  user.name: [none, dash, name]
  network.bytes: {sum: [in, out, none]}
  url.full: {join: ['http://', {from: host}, {from: path}]}
  url.original: {join: [{from: host}, {from: none}]}
  host.ip: {list: [ip, dash, ip6, bad]}
  event.outcome: {from: result, map: {"1": success, "0": failure}}
  event.action: {from: none, default: nothing}
  event.duration: {from: seconds, scale: 1000000000}
  process.name: {from: exe, after: /}
  user.domain: {from: account, before: '\\'}
  tags: {from: many, split: ','}
  dns.resolved_ip: {from: answers, pick: data}
  source.port: hex
  destination.port: toobig
  w.raw: result
  log.level: {from: level, lower: true}
  user_agent.original: {from: agent, replace: {'+': ' '}}
"""
    )
    data = """{"dash": "-", "name": "an", "in": 3, "out": "4", "host": "h", "path": "/p", "ip": "192.0.2.1",
      "ip6": "::1", "bad": "x", "result": 1, "seconds": 1.5, "exe": "/bin/sh", "account": "EX\\\\an", "many": "a, b,,c",
      "answers": [{"data": "192.0.2.9"}, {"data": "cname.example"}, 3], "hex": "0x1F", "toobig": 99999999999999999999.0,
      "level": "WARN", "agent": "a+b"}"""
    (event,) = events(tmp_path, text, data)
    expected = {
        "user.name": "an",
        "network.bytes": 7,
        "url.full": "http://h/p",
        "url.original": None,
        "host.ip": ["192.0.2.1", "::1"],
        "event.outcome": "success",
        "event.action": "nothing",
        "event.duration": 1_500_000_000,
        "process.name": "sh",
        "user.domain": "EX",
        "tags": ["a", "b", "c"],
        "dns.resolved_ip": ["192.0.2.9"],
        "source.port": 31,
        "destination.port": None,
        "w.raw": 1,
        "log.level": "warn",
        "user_agent.original": "a b",
        "v.result": 1,
        "related.ip": ["192.0.2.1", "::1", "192.0.2.9"],
        "related.user": ["an"],
    }
    assert {name: event.fields.get(name) for name in expected} == expected


def test_blocks_apply_where_their_conditions_hold(tmp_path: Path) -> None:
    text = (
        HEAD
        + """
logsources: [{product: p}]
when:
  - if: {a: [1, two]}
    constants: {event.action: one-or-two}
    logsources: [{category: c}]
  - if: [{b: {matches: '^x'}, c: {exists: true}}, {d: {not: y}}]
    constants: {event.reason: matched}
  - else:
      constants: {event.reason: nothing}
switch:
  - by: k
    fold: true
    cases:
      'x, y':
        constants: {event.code: xy}
        switch: {by: a, cases: {'1': {constants: {event.id: nested}}, default: {constants: {event.id: other}}}}
      default: {constants: {event.code: default}}
"""
    )
    (one,) = events(tmp_path, text, '{"a": 1, "b": "xyz", "c": 0, "d": "y", "k": "X"}')
    assert one.fields["event.action"] == "one-or-two" and one.fields["event.reason"] == "matched"
    assert (one.fields["event.code"], one.fields["event.id"]) == ("xy", "nested")
    assert one.logsources == (LogSource("p"), LogSource(None, "c"))
    (two,) = events(tmp_path, text, '{"a": "two", "b": "a", "d": "y"}')
    assert two.fields["event.code"] == "default"
    assert "event.reason" not in two.fields  # `else` is for when no block before it applied; the first one did
    (three,) = events(tmp_path, text, '{"a": 3, "d": "y", "k": null}')
    assert three.fields["event.reason"] == "nothing" and three.logsources == (LogSource("p"),)


def test_patterns_dispatch_and_capture(tmp_path: Path) -> None:
    text = """
title: T
format: syslog
time_zone: UTC
decode: [syslog: {}]
roots: [x]
patterns:
  of: syslog.message
  by: syslog.program
  required: true
  words: {who: '(?<user.name>\\w+)'}
  cases:
    a, b: [{match: 'Login %{who} from %{IP:source.ip} port %{POSINT:source.port}', constants: {event.action: login}}]
  default: [{match: 'bye%{REST:x.rest}'}]
"""
    (event,) = events(tmp_path, text, "<13>Nov 24 08:00:00 h b: Login an from 192.0.2.1 port 22")
    assert (event.fields["user.name"], event.fields["source.ip"], event.fields["source.port"]) == (
        "an",
        "192.0.2.1",
        22,
    )
    (other,) = events(tmp_path, text, "<13>Nov 24 08:00:00 h a: bye now")
    assert other.fields["x.rest"] == " now" and "event.action" not in other.fields
    with pytest.raises(RecordError, match="no pattern"):
        events(tmp_path, text, "<13>Nov 24 08:00:00 h c: Login an from 192.0.2.1 port 22")


def test_a_record_may_hold_several_events(tmp_path: Path) -> None:
    text = HEAD + "each: Records\nfields: {user.name: who}\n"
    found = events(tmp_path, text, '{"Records": [{"who": "a"}, {"who": "b", "x": {"y": 1}}], "other": 1}')
    assert [(e.id, e.record_id, e.fields["user.name"]) for e in found] == [
        ("20261124-1", "20261124-1", "a"),
        ("20261124-1-1", "20261124-1", "b"),
    ]
    assert found[1].fields["v.x.y"] == 1 and found[1].fields["event.original"] == '{"who":"b","x":{"y":1}}'
    (single,) = events(tmp_path, text, '{"who": "c"}')
    assert single.fields["user.name"] == "c"


def test_filtered_records_make_no_event(tmp_path: Path) -> None:
    text = HEAD + "filter: [{if: {a: [1, 2]}, why: noise}]\n"
    assert events(tmp_path, text, '{"a": 2}') == []
    assert len(events(tmp_path, text, '{"a": 3}')) == 1


def test_a_sender_cannot_set_what_is_ours(tmp_path: Path) -> None:
    text = HEAD.replace("keep: v", "keep: ''")
    (event,) = events(tmp_path, text, '{"soc": {"unit": {"uid": "x"}}, "event": {"original": "y", "dataset": "z"}}')
    assert "soc.unit.uid" not in event.fields and event.fields["unmapped.soc.unit.uid"] == "x"
    assert event.fields["event.dataset"] == "probe" and event.fields["event.original"].startswith('{"soc"')


def test_ecs_fields_of_the_sender_conform_or_stand_aside(tmp_path: Path) -> None:
    text = HEAD.replace("keep: v", "keep: ''") + "conform: true\n"
    data = """{"event": {"category": "web", "type": ["nope"], "outcome": false, "kind": "alert"}, "host": "h",
      "source": {"port": "80", "ip": "::ffff:192.0.2.1"}, "user": {"name": 7}, "own": [1]}"""
    (event,) = events(tmp_path, text, data)
    expected = {
        "event.category": ["web"],
        "unmapped.event.type": ["nope"],
        "unmapped.event.outcome": False,
        "event.kind": "alert",
        "unmapped.host": "h",
        "source.port": 80,
        "source.ip": "192.0.2.1",
        "user.name": "7",
        "own": [1],
    }
    assert {name: event.fields.get(name) for name in expected} == expected
    assert "event.type" not in event.fields and "host" not in event.fields


def test_what_stands_below_a_plain_ecs_field_stands_aside_and_each_event_has_a_kind(tmp_path: Path) -> None:
    text = HEAD.replace("keep: v", "keep: ''") + "conform: true\n"
    data = '{"message": {"text": "x"}, "event": {"kind": "nonsense"}, "labels": {"a": "b"}}'
    (event,) = events(tmp_path, text, data)
    assert event.fields["unmapped.message.text"] == "x" and "message.text" not in event.fields
    assert (event.fields["event.kind"], event.fields["unmapped.event.kind"]) == ("event", "nonsense")
    assert event.fields["labels.a"] == "b"


def test_two_events_share_no_list(tmp_path: Path) -> None:
    text = HEAD + "constants: {event.category: [web]}\nfields: {event.type: {from: a, map: {x: [info]}}}\n"
    load = load_sources([write(tmp_path, text)]).get("probe").events
    (one,) = load(RawRecord("1", b'{"a": "x"}', RECEIVED, "probe"))
    (two,) = load(RawRecord("2", b'{"a": "x"}', RECEIVED, "probe"))
    one.fields["event.category"].append("changed")
    one.fields["event.type"].append("changed")
    assert two.fields["event.category"] == ["web"] and two.fields["event.type"] == ["info"]


def test_bytes_that_are_not_utf8_use_the_declared_charset_and_show_themselves(tmp_path: Path) -> None:
    text = HEAD + "charset: cp1258\nfields: {user.name: a}\n"
    source = load_sources([write(tmp_path, text)]).get("probe")
    (event,) = source.events(RawRecord("1", b'{"a": "\xd0\xf4ng"}', RECEIVED, "probe"))
    assert event.fields["user.name"] == "Đông" and event.fields["event.original"] == '{"a": "\\xd0\\xf4ng"}'
    without = load_sources([write(tmp_path, HEAD + "fields: {user.name: a}\n")]).get("probe")
    (event,) = without.events(RawRecord("1", b'{"a": "\xd0x"}', RECEIVED, "probe"))
    assert event.fields["user.name"] == "\\xd0x"


def test_text_is_brought_to_nfc_but_the_original_stays(tmp_path: Path) -> None:
    (event,) = events(tmp_path, HEAD + "fields: {user.name: a}\n", '{"a": "To\u0301an"}')
    assert event.fields["user.name"] == "T\u00f3an" and event.fields["event.original"] == '{"a": "To\u0301an"}'


SWITCHES = """
keep: ''
constants: {event.code: '1'}
switch:
  - {by: a, cases: {'1': {constants: {event.id: first, event.action: '2'}}}}
  - by: a
    cases: {'1': {constants: {event.reason: second}, switch: {by: b, cases: {x: {constants: {event.module: m}}}}}}
  - {by: a, fold: true, cases: {y: {constants: {event.url: folded}}}}
  - {by: '@event.action', cases: {'2': {constants: {event.hash: seen, event.action: '3'}}}}
  - {by: '@event.action', cases: {'3': {constants: {event.ingested: '2026-11-24T00:00:00Z'}}}}
"""


def test_a_switch_sees_what_the_switch_before_it_set(tmp_path: Path) -> None:
    text = HEAD.replace("keep: v\n", "") + SWITCHES
    (one,) = events(tmp_path, text, '{"a": "1", "b": "x"}')
    assert one.fields["event.id"] == "first" and one.fields["event.reason"] == "second"
    assert one.fields["event.module"] == "m"
    assert one.fields["event.hash"] == "seen" and one.fields["event.action"] == "3" and "event.ingested" in one.fields
    (two,) = events(tmp_path, text, '{"a": "Y", "event.action": "3"}')
    assert two.fields["event.url"] == "folded" and "event.ingested" in two.fields and "event.hash" not in two.fields


def test_values_conform_one_by_one_though_records_share_their_names(tmp_path: Path) -> None:
    source = load_sources([write(tmp_path, HEAD.replace("keep: v", "keep: ''") + "conform: true\n")]).get("probe")
    found = []
    for port, unit in (("53", '"a"'), ("dns", '"b"'), ("53", "null")):
        line = f'{{"source.port": "{port}", "soc.unit.uid": {unit}, "x": 1}}'
        found += source.events(RawRecord("1", line.encode(), RECEIVED, "probe"))
    assert [e.fields.get("source.port") for e in found] == [53, None, 53]
    assert found[1].fields["unmapped.source.port"] == "dns"
    assert [e.fields["unmapped.soc.unit.uid"] for e in found] == ["a", "b", None]
