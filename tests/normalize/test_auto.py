"""`auto` finds the most specific source, per program within a mixed stream, and keeps what nobody knows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.event import RawRecord, RecordError
from soc.normalize import Sources, load_sources

FOLDER = Path(__file__).resolve().parents[2] / "pipelines" / "sources"
RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.fixture
def sources() -> Sources:
    return load_sources([FOLDER])


def record(line: str, stream: str = "peer") -> RawRecord:
    return RawRecord("20261124-1", line.encode(), RECEIVED, "auto", sender="192.0.2.1", stream=stream)


ONE_LINE = [
    ('192.0.2.1 - - [24/Nov/2026:08:00:00 +0700] "GET / HTTP/1.1" 200 5', "nginx_access"),
    ('192.0.2.1 - - [24/Nov/2026:08:00:00 +0700] "GET / HTTP/1.1" 304 - "-" "x"', "apache_access"),
    ("<38>Nov 24 08:00:00 h sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2", "linux_auth"),
    ("<13>Nov 24 08:00:00 h camera: x", "syslog"),
    ("<14>Nov 24 08:00:00 h CEF:0|a|b|c|d|e|1|x=1", "cef"),
    ("LEEF:1.0|a|b|c|d|x=1", "leef"),
    ('<189>date=2026-11-24 time=08:00:00 devname="x" devid="FGT60F1" logid="0000000013" type="traffic"', "fortigate"),
    ('{"timestamp":"2026-11-24T08:00:00+0700","event_type":"flow","src_ip":"192.0.2.1"}', "suricata_eve"),
    ('{"@timestamp":"2026-11-24T08:00:00Z","message":"x"}', "json_ecs"),
    ('{"hello": 1}', "json_ecs"),
    ('type=CWD msg=audit(1795482000.123:100): cwd="/"', "auditd"),
    ('{"ts":1.5,"uid":"C1","id":{"orig_h":"192.0.2.1"}}', "zeek"),
    ("hello world", "unknown"),
    ("", "unknown"),
]


@pytest.mark.parametrize(("line", "name"), ONE_LINE, ids=[f"{n}:{line[:20]}" for line, n in ONE_LINE])
def test_one_line_is_enough(sources: Sources, line: str, name: str) -> None:
    assert sources.recognise(line.encode()) == name


def test_the_path_decides_between_equal_formats(sources: Sources) -> None:
    line = b'192.0.2.1 - - [24/Nov/2026:08:00:00 +0700] "GET / HTTP/1.1" 200 5 "-" "-"\n'
    assert sources.recognise(line, "/var/log/nginx/access.log") == "nginx_access"
    assert sources.recognise(line, "/var/log/apache2/access.log.1") == "apache_access"
    assert sources.recognise(b'{"remote_addr": "192.0.2.1"}', "/var/log/nginx/access.log") == "json_ecs"


def test_programs_of_one_syslog_stream_go_to_their_sources(sources: Sources) -> None:
    lines = [
        "<30>Nov 24 08:00:00 h systemd[1]: Started x.",
        "<38>Nov 24 08:00:01 h sshd[1]: Accepted password for an from 192.0.2.1 port 1 ssh2",
        '<190>Nov 24 08:00:02 h nginx: 192.0.2.1 - - [24/Nov/2026:08:00:02 +0700] "GET / HTTP/1.1" 200 5',
        "<14>Nov 24 08:00:03 h CEF:0|a|b|c|d|e|1|x=1",
        "<30>Nov 24 08:00:04 h systemd[1]: Stopped x.",
    ]
    found = [sources.events(record(line))[0].source for line in lines]
    assert found == ["syslog", "linux_auth", "nginx_access", "cef", "syslog"]


def test_what_was_found_holds_for_the_stream_and_its_bad_lines_are_rejected(sources: Sources) -> None:
    good = '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"flow","src_ip":"192.0.2.1"}'
    assert sources.events(record(good))[0].source == "suricata_eve"
    with pytest.raises(RecordError, match="bad_format"):
        sources.events(record('{"timestamp":"2026'))


def test_a_line_of_another_source_in_a_known_stream_finds_its_own(sources: Sources) -> None:
    assert sources.events(record('{"hello": 1}'))[0].source == "json_ecs"
    assert sources.events(record('{"ts":"soon","time":1795482000,"x":[1]}'))[0].source == "json_ecs"


def test_what_nobody_knows_is_kept_with_its_header(sources: Sources) -> None:
    (event,) = sources.events(record("mystery \x01 line"))
    assert (event.source, event.fields["message"], event.logsources) == ("unknown", "mystery \x01 line", ())
    (event,) = sources.events(RawRecord("1", b"<13>Nov 24 08:00:00 h p[7]: x\xff", RECEIVED, "no_such_source"))
    assert event.source == "unknown" and event.fields["host.name"] == "h" and event.fields["process.pid"] == 7
    assert event.fields["@timestamp"] == "2026-11-24T01:00:00.000000Z"
    assert event.fields["event.original"] == "<13>Nov 24 08:00:00 h p[7]: x\\xff"


def test_an_unknown_source_name_is_a_key_error(sources: Sources) -> None:
    with pytest.raises(KeyError):
        sources.get("nope")
    assert "linux_auth" in sources.names and len(sources) == len(list(sources))
