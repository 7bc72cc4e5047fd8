"""The query language: what a text means, value by value, and where a wrong one is wrong."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from soc.store.evaluate import matches
from soc.store.query import QueryError, parse_query
from soc.store.tree import And, Equals, Not, Or, Range, Wild, Words

EVENT: dict[str, Any] = {
    "@timestamp": "2026-11-24T03:04:05.678900Z",
    "host.name": "PC-0001",
    "host.ip": ["10.1.2.3", "2001:db8::1"],
    "user.name": "Nguyễn Văn A",
    "process.executable": "C:\\Windows\\System32\\cmd.exe",
    "process.pid": 4242,
    "event.severity": 73,
    "soc.score": 0.5,
    "vendor.port": "8080",
    "vendor.on": True,
    "vendor.empty": [],
    "vendor.null": None,
    "vendor.blank": "",
    "vendor.time": "2026-11-24T10:30:00+07:00",
    "url.path": "/shell/(1).php?x=*",
    "tags": ["mode:live", "a b"],
    "message": "Đăng nhập thất bại: user_7 từ 10.1.2.3",
    "event.original": "Failed password for root from 203.0.113.7 port 22",
    "soc.match": [{"field": "CommandLine", "op": "contains"}, {"field": "Image"}],
}


@pytest.mark.parametrize(
    "query",
    [
        "host.name:pc-0001",
        'host.name:"PC-0001"',
        "host.ip:10.1.2.3",
        "host.ip:2001:DB8:0:0::1",
        'host.ip:"2001:db8::1"',
        "host.ip:10.0.0.0/8",
        "host.ip:2001:db8::/32",
        "host.ip:[10.1.0.0 TO 10.1.255.255]",
        "host.ip:10.1.*",
        'user.name:"nguyễn văn a"',
        "user.name:nguyễn*",
        "process.executable:C:\\Windows\\System32\\cmd.exe",
        'process.executable:"C:\\Windows\\System32\\cmd.exe"',
        "process.executable:C\\:\\\\windows\\\\system32\\\\CMD.EXE",
        "process.executable:*\\\\cmd.exe",
        "process.executable:*32?cmd.exe",
        "process.pid:4242",
        "process.pid:4242.0",
        "process.pid:>4241 AND process.pid:<=4242",
        "process.pid:[4242 TO *]",
        "process.pid:{4241 TO 4243}",
        "event.severity:(21 OR 73)",
        "event.severity:(>=47 AND <99)",
        "soc.score:0.50",
        "soc.score:<1",
        "vendor.port:>1024",
        "vendor.on:true",
        "vendor.blank:*",
        "_exists_:user.name",
        '_exists_:"user.name"',
        "NOT vendor.empty:*",
        "-vendor.null:*",
        "url.path:\\/shell\\/\\(1\\).php\\?x=\\*",
        'url.path:"/shell/(1).php?x=*"',
        "url.path:/shell/*.ph?*",
        'tags:"A B"',
        "tags:mode:live",
        '"dang nhap that bai"',
        "ĐĂNG nhập",
        "message:thất",
        'message:"that bai user 7"',
        "message:user_7",
        "mess* OR pass*",
        "fail*d",
        "*assw*",
        "event.original:*ssword",
        "203.0.113.7",
        '"from 203.0.113"',
        "system32",
        "soc.match.field:image",
        "soc.match.op:contains",
        "@timestamp:2026-11-24",
        "@timestamp:2026-11-24T03:04",
        "@timestamp:[2026-11-23 TO 2026-11-24]",
        "@timestamp:>2026-11-23",
        "@timestamp:>=2026-11-24T03:04:05.6789Z",
        '@timestamp:<"2026-11-24 10:05+07:00"',
        "vendor.time:2026-11-24T03:30",
        "vendor.time:{2026-11-24T03:29 TO 2026-11-24T03:31}",
        "host.name:x OR host.name:pc-0001 AND tags:mode:live",
        "!host.name:x && (tags:nothing || tags:mode:live)",
        "+password +root",
        "*",
        "*:*",
        "   ",
        "---",
    ],
)
def test_the_event_meets(query: str) -> None:
    assert matches(parse_query(query), EVENT)


@pytest.mark.parametrize(
    "query",
    [
        "host.name:PC",
        "Host.name:pc-0001",
        "host.ip:10.1.2.30",
        "host.ip:10.2.0.0/16",
        'user.name:"nguyen van a"',  # marks count in keywords
        "process.executable:cmd.exe",
        "process.pid:>4242",
        "process.pid:{4242 TO 4243}",
        "vendor.port:8080.0",
        "vendor.empty:*",
        "vendor.null:*",
        "absent:*",
        "url.path:/shell/?1?.php",
        "tags:a",
        '"nhap that dang"',
        '"root from password"',
        "message:root",
        "fail",
        "passwordx*",
        "@timestamp:2026-11-25",
        "@timestamp:>2026-11-24",
        "@timestamp:<2026-11-24",
        "@timestamp:[2026-11-24T04 TO *]",
        "678900z",  # the time of an event is not among its words
        "soc.match.field:contains",
        "host.name:x OR host.name:pc-0001 AND tags:dead",
        "NOT (user.name:* OR absent:*)",
    ],
)
def test_the_event_does_not_meet(query: str) -> None:
    assert not matches(parse_query(query), EVENT)


def test_words_never_span_two_values() -> None:
    assert not matches(parse_query('"b c"'), {"tags": ["a b", "c d"]})
    assert not matches(parse_query('"b c"'), {"x": "a b", "y": "c d"})


def test_a_time_without_a_zone_is_in_the_given_one() -> None:
    query = "@timestamp:[2026-11-24T10:04 TO 2026-11-24T10:05}"
    assert matches(parse_query(query, timezone(timedelta(hours=7))), EVENT)
    assert not matches(parse_query(query), EVENT)


def test_operators_bind_as_in_lucene_not_then_and_then_or() -> None:
    a, b, c = (Words("", (x,)) for x in "abc")
    assert parse_query("a OR b AND NOT c") == Or((a, And((b, Not(c)))))
    assert parse_query("a b OR c") == Or((And((a, b)), c))
    assert parse_query("NOT NOT a") == a
    assert parse_query("(a OR b) c") == And((Or((a, b)), c))


def test_what_looks_like_a_field_but_is_not_stays_text() -> None:
    assert parse_query("2001:db8::1") == Words("", ("2001", "db8", "1"))
    assert parse_query("https://a.example/b") == Words("", ("https", "a", "example", "b"))
    assert parse_query("C:\\Temp") == Words("", ("c", "temp"))


def test_the_tree_is_ready_to_compare() -> None:
    assert parse_query("x:AbC") == Equals("x", "abc")
    assert parse_query("x:A*C") == Wild("x", ("a", None, "c"))
    assert parse_query("x:[1 TO 2.5}") == Range("x", "number", 1, 2.5, True, False)
    assert parse_query("x:[b TO 2]") == Range("x", "text", "b", "2")


@pytest.mark.parametrize(
    ("query", "position", "why"),
    [
        ("(a", 0, "not closed"),
        ("a)", 1, "without an opening"),
        ("x:(a OR b", 2, "not closed"),
        ('say "hi', 4, "quote is not closed"),
        ("x:", 2, "value was expected"),
        ("x: y", 2, "value was expected"),
        ("a AND", 5, "expected"),
        ("OR b", 0, "before OR"),
        ("a AND OR b", 6, "before OR"),
        ("NOT", 3, "expected"),
        ("x:[1 2]", 2, "TO was expected"),
        ("x:[1 TO 2", 2, "not closed"),
        ("x:[ TO 2]", 2, "TO was expected"),
        ("x:>", 2, "after >"),
        ("x:>=", 2, "after >="),
        ("host.ip:10.0.0.0/99", 8, "no network"),
        ('ab"c', 2, "quote within a word"),
        ("a\\", 1, "needs a character"),
        ("_exists_:*", 9, "name of a field"),
        ("()", 1, "expected|meaning"),
        ("x:()", 3, "expected|meaning"),
    ],
)
def test_a_wrong_query_is_told_where_and_why(query: str, position: int, why: str) -> None:
    with pytest.raises(QueryError, match=why) as caught:
        parse_query(query)
    assert caught.value.position == position
    assert f"at character {position + 1} of" in str(caught.value)


def test_a_query_without_end_is_refused() -> None:
    with pytest.raises(QueryError, match="clauses"):
        parse_query(" ".join("a" for _ in range(10_000)))
    with pytest.raises(QueryError, match="brackets"):
        parse_query("(" * 10_000)
    assert isinstance(parse_query("NOT " * 10_001 + "a"), Not)
