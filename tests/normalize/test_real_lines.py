"""Real files that nobody here wrote: every line is parsed or rejected with a reason, and the events are valid ECS."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from soc.event import Event, RawRecord, RecordError
from soc.normalize import Sources, load_sources
from soc.normalize.ecs import invalid

FOLDER = Path(__file__).resolve().parents[2] / "pipelines" / "sources"
RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources([FOLDER])


def read(sources: Sources, path: Path, name: str) -> tuple[list[Event], list[RecordError]]:
    events: list[Event] = []
    errors: list[RecordError] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if line.strip():
            try:
                events += sources.events(RawRecord(f"20261124-{number}", line, RECEIVED, name, "", "h", str(path)))
            except RecordError as error:
                errors.append(error)
    wrong = [sentence for event in events for sentence in invalid(event.fields)]
    assert wrong == []
    return events, errors


def test_apache_log(sources: Sources, shared_data: Path) -> None:
    path = shared_data / "raw" / "apache_access_10000.log"
    events, errors = read(sources, path, sources.recognise(path.read_bytes()[:65536], str(path)))
    assert (len(events), errors) == (10_000, [])
    assert all(e.source == "apache_access" and "source.address" in e.fields for e in events)
    assert all("http.response.status_code" in e.fields and "url.original" in e.fields for e in events)


def test_auth_log(sources: Sources, shared_data: Path) -> None:
    path = shared_data / "raw" / "auth.log"
    name = sources.recognise(path.read_bytes()[:65536], str(path))
    events, errors = read(sources, path, name)
    assert (name, errors) == ("linux_auth", [])
    text = path.read_text("utf-8", "replace")
    lines = text.splitlines()
    repeated = sum(int(line.split("repeated ")[1].split(" ")[0]) - 1 for line in lines if "message repeated" in line)
    assert len(events) == len(lines) + repeated
    logins = Counter(e.fields["event.outcome"] for e in events if e.fields.get("event.action") == "ssh_login")
    accepted = sum("]: Accepted " in line for line in lines)
    failed = sum("]: Failed " in line or ": [ Failed " in line for line in lines) + repeated
    assert logins == {"success": accepted, "failure": failed}
    assert sum("event.action" in e.fields for e in events) / len(events) > 0.99


#: A line that asserts nothing, an empty request, or text that is no record of the format at all.
WEB_KEYS = {
    "remote_addr": "source.address",
    "verb": "http.request.method",
    "status": "http.response.status_code",
    "http_user_agent": "user_agent.original",
    "http_version": "http.version",
}


def test_web_lines_of_another_engine_mean_the_same(sources: Sources, shared_data: Path) -> None:
    checked = 0
    for case in _cases(shared_data / "fixtures" / "crowdsec_parse.jsonl"):
        if case["log_type"] not in ("nginx", "apache2"):
            continue
        parsed = [p["Parsed"] for p in case["expected_parse"] if p["stage"] == "s01-parse" and p.get("success")]
        events = {}
        for line in case["raw"]:
            if line:
                (event,) = sources.events(RawRecord("1", line.encode(), RECEIVED, "auto", "", "h", case["test"]))
                assert invalid(event.fields) == []
                assert event.source not in ("unknown", "syslog"), line
                events[event.fields["event.original"]] = event.fields
        for facts in parsed:
            expected = {ours: facts[theirs] for theirs, ours in WEB_KEYS.items() if facts.get(theirs, "-") != "-"}
            if "request" in facts and len(expected) >= 3:
                found = [{name: str(fields.get(name)) for name in expected} for fields in events.values()]
                assert expected in found, (case["test"], facts["request"])
                checked += 1
    assert checked > 30


def test_ssh_lines_of_another_engine_name_the_same_user_and_address(sources: Sources, shared_data: Path) -> None:
    checked = 0
    for case in _cases(shared_data / "fixtures" / "crowdsec_parse.jsonl"):
        for parsed in case["expected_parse"]:
            meta = parsed.get("Meta", {})
            if "sshd-logs" not in parsed["parser"] or not parsed.get("success") or "source_ip" not in meta:
                continue
            line = next((r for r in case["raw"] if r and parsed["Parsed"].get("message", "\0") in r), None)
            if line is None:
                continue
            fields = sources.events(RawRecord("1", line.encode(), RECEIVED, "linux_auth"))[0].fields
            assert fields.get("source.ip") == meta["source_ip"], line
            if meta.get("target_user"):
                assert fields.get("user.name") == meta["target_user"], line
            checked += 1
    assert checked >= 20


def _cases(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_audit_records_of_another_engine_mean_the_same(sources: Sources, shared_data: Path) -> None:
    checked: Counter[str] = Counter()
    for case in _cases(shared_data / "fixtures" / "open_xp_norm.jsonl"):
        if "/auditd/" not in case["path"]:
            continue
        wrapped, norm = json.loads(case["raw"]), case["norm"]
        if len(wrapped["items"]) != 1:
            continue  # several lines of one kernel event: here each is an event
        ((kind, bodies),) = wrapped["items"].items()
        stamp = f"{wrapped['timestamp']}.{wrapped['timestampfractional']}:{wrapped['eventid']}"
        line = f"node={wrapped['node']} type={kind} msg=audit({stamp}): {bodies[0]}"
        (event,) = sources.events(RawRecord("1", line.encode(), RECEIVED, "auto", "", "h", case["raw"]))
        fields = event.fields
        assert event.source == "auditd" and invalid(fields) == []
        assert fields["@timestamp"][:19] == norm["time"][:19]
        if norm.get("status") in ("success", "failure") and "event.outcome" in fields:
            assert fields["event.outcome"] == norm["status"], line
            checked["outcome"] += 1
        if "subject.process.fullpath" in norm and "process.executable" in fields:
            assert fields["process.executable"] == norm["subject.process.fullpath"], line
            checked["executable"] += 1
        if norm["object"] == "account" and norm.get("object.account.name") and "user.target.name" in fields:
            assert fields["user.target.name"] == norm["object.account.name"], line
            checked["target"] += 1
    assert checked["outcome"] > 40 and checked["executable"] > 40 and checked["target"] > 5


#: File → how many lines no source can use: continuation lines of multi-line messages, a month that does not exist.
SYSLOG = {
    "syslog": 2,
    "syslog_cron.log": 0,
    "syslog_osx": 0,
    "syslog_rsyslog": 0,
    "syslog_ssh.log": 0,
    "syslog_rsyslog_traditional": 3,
}


@pytest.mark.parametrize(("name", "bad"), SYSLOG.items())
def test_syslog_variants(sources: Sources, shared_data: Path, name: str, bad: int) -> None:
    path = shared_data / "raw" / "plaso_syslog" / name
    events, errors = read(sources, path, "syslog")
    assert len(errors) == bad and all(e.code == "bad_format" for e in errors)
    assert events and all("host.name" in e.fields or "message" in e.fields for e in events)


def test_iis_files(sources: Sources, shared_data: Path) -> None:
    for path in sorted((shared_data / "raw").glob("*iis/*.log")):
        assert sources.recognise(path.read_bytes()[:65536], str(path)) == "iis_w3c"
        events, errors = read(sources, path, "iis_w3c")
        assert errors == [] and events and all("source.ip" in e.fields for e in events)


def test_zeek_files(sources: Sources, shared_data: Path) -> None:
    for path in sorted((shared_data / "zeek").glob("*.log")):
        assert sources.recognise(path.read_bytes()[:65536], str(path)) == "zeek_tsv"
        events, errors = read(sources, path, "zeek_tsv")
        assert errors == [] and events and {e.fields["event.action"] for e in events} == {path.stem}


FILLERS = {
    "mark": "<189>",
    "bsd": "Nov 24 08:00:00",
    "timestamp_bsd": "Nov 24 08:00:00",
    "iso": "2026-11-24T01:00:00",
    "iso_header": "2026-11-24T01:00:00",
    "timestamp": "2026-11-24T01:00:00Z",
    "timestamp_iso_8601": "2026-11-24T01:00:00.000000+0000",
    "date": "2026-11-24",
    "time": "08:00:00",
    "epoch": "1795482000",
    "host": "h",
}


def test_vendor_syslog_lines_are_kept_whoever_wrote_them(sources: Sources, shared_data: Path) -> None:
    found: Counter[str] = Counter()
    for case in _cases(shared_data / "fixtures" / "sc4s_syslog.jsonl"):
        line = case["template"]
        line = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda m: FILLERS.get(m[1], "1"), case["template"])
        record = RawRecord("1", line.strip().encode(), RECEIVED, "auto", "", "h", case["test"])
        try:
            events = sources.events(record)
        except RecordError as error:
            assert error.code in ("bad_format", "bad_timestamp")
            found["rejected"] += 1
            continue
        assert [sentence for e in events for sentence in invalid(e.fields)] == []
        found.update(e.source for e in events)
    assert found["rejected"] == 0 and found["unknown"] <= 20
    assert found["fortigate"] >= 4 and found["suricata_eve"] >= 4 and found["cef"] >= 15
