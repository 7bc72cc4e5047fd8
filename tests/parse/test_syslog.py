"""Syslog headers as the RFCs say and as devices write."""

from __future__ import annotations

from typing import Any

import pytest

from soc.event import RecordError
from soc.parse import DECODERS

decode = DECODERS["syslog"].make()

CASES: list[tuple[str, dict[str, Any]]] = [
    (
        "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed",
        {"priority": 34, "facility": 4, "severity": 2, "version": "1", "timestamp": "2003-10-11T22:14:15.003Z"}
        | {"host": "mymachine.example.com", "program": "su", "msgid": "ID47", "message": "'su root' failed"},
    ),
    (
        '<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@32473 iut="3" t="a\\"b\\\\c\\]d"][b@32473 x=""] m',
        {"structured_data.a@32473.iut": "3", "structured_data.a@32473.t": 'a"b\\c]d', "structured_data.b@32473.x": ""}
        | {"message": "m"},
    ),
    ("<0>1 - - - - - -", {"priority": 0, "message": ""}),
    ("<34>Oct 11 22:14:15 mymachine su: 'su root' failed", {"host": "mymachine", "program": "su"}),
    ("Oct  1 22:14:15 h sshd[12]: x", {"timestamp": "Oct  1 22:14:15", "program": "sshd", "pid": "12", "message": "x"}),
    ("<13>Oct  1 22:14:15 sshd[12]: no host", {"program": "sshd", "message": "no host"}),
    ("<13>Oct 11 22:14:15 2026 fw01 : %ASA-6-302013: Built", {"timestamp": "Oct 11 22:14:15 2026", "host": "fw01"}),
    ("<13>2026 Oct 11 22:14:15 h p: m", {"timestamp": "2026 Oct 11 22:14:15", "host": "h", "program": "p"}),
    ("2026-10-11T22:14:15.123456+07:00 web01 kernel: x", {"host": "web01", "program": "kernel", "message": "x"}),
    (
        "<189>39: router1: *Mar  1 18:46:11.123 UTC: %SYS-5-CONFIG_I: Configured",
        {
            "host": "router1",
            "timestamp": "Mar  1 18:46:11.123 UTC",
            "program": "%SYS-5-CONFIG_I",
            "message": "Configured",
        },
    ),
    ("<189>date=2026-10-11 devid=x", {"priority": 189, "message": "date=2026-10-11 devid=x"}),
    ("<14>Oct 11 22:14:15 h CEF:0|a|b|c|d|e|1|", {"host": "h", "message": "CEF:0|a|b|c|d|e|1|"}),
    ("Oct 11 22:14:15 h /usr/sbin/cron[3]: x", {"program": "/usr/sbin/cron", "pid": "3"}),
    ("Oct 11 22:14:15 h polkitd(authority=local)[5]: x", {"program": "polkitd(authority=local)", "pid": "5"}),
    ("Oct 11 22:14:15 h fw[1985] <Info>: x", {"program": "fw", "pid": "1985", "message": "x"}),
    ("Oct 11 22:14:15 h p[1]: message repeated 3 times: [ Failed x]", {"repeated": 3, "message": "Failed x"}),
    ("Oct 11 22:14:15 h p[1]: message repeated 2 times: [a [b] c]", {"repeated": 2, "message": "a [b] c"}),
    ("<13>hello", {"priority": 13, "message": "hello"}),
]


@pytest.mark.parametrize(("line", "expected"), CASES, ids=[c[0][:40] for c in CASES])
def test_headers_are_read(line: str, expected: dict[str, Any]) -> None:
    found = decode(line)
    assert {name: found.get(name) for name in expected} == expected


def test_without_priority_and_stamp_it_is_no_syslog_unless_optional() -> None:
    with pytest.raises(RecordError, match="bad_format"):
        decode("just a line")
    assert DECODERS["syslog"].make(optional=True)("just a line") == {"message": "just a line"}


def test_a_priority_above_191_is_text() -> None:
    assert DECODERS["syslog"].make(optional=True)("<192>x") == {"message": "<192>x"}


def test_broken_structured_data_is_refused() -> None:
    with pytest.raises(RecordError, match="structured data"):
        decode('<165>1 2003-10-11T22:14:15.003Z h a - - [a x="1" m')
