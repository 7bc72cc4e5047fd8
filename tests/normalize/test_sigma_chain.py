"""Device → alert, proved once per source: a raw line, its event, the mapping in pipelines/sigma, a rule that fires."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.detect import load_rules
from soc.event import RawRecord
from soc.normalize import Sources, load_sources

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

ACCESS = (
    '{0} - - [24/Nov/2026:08:00:00 +0700] "GET /index.php?id=1%27UNION HTTP/1.1" 404 5 "http://r.example/" "sqlmap/1.8"'
)
IIS = "2026-11-24 01:00:00 192.0.2.1 GET /a.aspx id=1%27UNION 80 - 192.0.2.9 sqlmap/1.8+(x) http://r.example/ 404 0 2 1"
WEB = """
  selection:
    cs-uri-query|contains: UNION
    cs-uri-stem|startswith: /
    cs-method: GET
    sc-status: 404
    cs-user-agent|startswith: sqlmap/1.8
    cs-referer|endswith: .example/
    c-ip|cidr: 192.0.2.0/24"""
CHAINS = [
    (
        "linux_auth",
        "Nov 24 08:00:00 h sshd[1]: error in libcrypto",
        "{product: linux, service: sshd}",
        "\n  selection: ['error in libcrypto']",
    ),
    (
        "linux_auth",
        "Nov 24 08:00:00 h sudo: an : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/bin/sh",
        "{product: linux, service: sudo}",
        "\n  selection:\n    USER: '#-1'\n    COMMAND|endswith: /sh",
    ),
    (
        "syslog",
        "<46>Nov 24 08:00:00 h named[1]: denied AXFR from x",
        "{product: linux, service: syslog}",
        "\n  selection: ['denied AXFR']",
    ),
    (
        "syslog",
        "<46>Nov 24 08:00:00 h crontab[1]: (an) REPLACE (an)",
        "{product: linux, service: cron}",
        "\n  selection: [REPLACE]",
    ),
    ("nginx_access", ACCESS.format("192.0.2.9"), "{category: webserver}", WEB),
    (
        "apache_access",
        ACCESS.format("portal.example:80 192.0.2.9"),
        "{category: webserver}",
        WEB + "\n    cs-host: portal.example",
    ),
    ("iis_w3c", IIS, "{category: webserver}", WEB),
    (
        "nginx_error",
        "2026/11/24 08:00:00 [alert] 1#1: worker exited on signal 11",
        "{service: nginx}",
        "\n  selection: ['exited on signal 11']",
    ),
    (
        "apache_error",
        "[Tue Nov 24 08:00:00 2026] [core:notice] [pid 1] AH00052: child pid 7 exit signal Segmentation fault (11)",
        "{service: apache}",
        "\n  selection: ['exit signal Segmentation Fault']",
    ),
    (
        "fortigate",
        'date=2026-11-24 time=08:00:00 type="event" subtype="system" action="Add" cfgpath="system.admin"',
        "{product: fortigate, service: event}",
        "\n  selection:\n    action: Add\n    cfgpath: system.admin",
    ),
    (
        "fortigate",
        'date=2026-11-24 time=08:00:00 type="traffic" action="deny" srcip=192.0.2.1 dstip=203.0.113.1 dstport=3389',
        "{category: firewall}",
        "\n  selection:\n    dst_port: 3389\n    src_ip|cidr: 192.0.2.0/24\n    action: deny",
    ),
    (
        "suricata_eve",
        '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"dns","dns":{"type":"query","rrname":"c2.example","rrtype":"TXT"}}',
        "{category: dns}",
        "\n  selection:\n    query|endswith: .example\n    record_type: TXT",
    ),
    (
        "suricata_eve",
        '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"http","http":{"hostname":"h.example","url":"/x","http_user_agent":"evil"}}',
        "{category: proxy}",
        "\n  selection:\n    c-uri|contains: h.example/x\n    c-useragent: evil\n    cs-host: h.example",
    ),
    (
        "suricata_eve",
        '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"http","http":{"hostname":"h.example","url":"/x/y.exe?a=b"}}',
        "{category: proxy}",
        "\n  selection:\n    cs-uri-stem: /x/y.exe\n    c-uri-extension: exe",
    ),
    (
        "suricata_eve",
        '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"dns","dns":{"type":"answer","rrname":"c2.example",'
        '"answers":[{"rrname":"c2.example","rrtype":"TXT","rdata":"IEX (x)"}]}}',
        "{category: dns}",
        "\n  selection:\n    record_type: TXT\n    answer|contains: IEX",
    ),
    (
        "suricata_eve",
        '{"timestamp":"2026-11-24T08:00:00+0700","event_type":"alert","alert":{"signature":"ET X","signature_id":7}}',
        "{product: suricata, service: alert}",
        "\n  selection:\n    alert.signature: ET X\n    event_type: alert",
    ),
    (
        "cef",
        "CEF:0|a|Antivirus|1|2|Malware|5|fname=a.exe act=left cat=virus",
        "{category: antivirus}",
        "\n  selection:\n    Filename: a.exe\n    Signature: Malware\n    Action: left",
    ),
    (
        "leef",
        "LEEF:1.0|a|b|1|id|src=192.0.2.1\tdst=192.0.2.2\tdstPort=22",
        "{category: firewall}",
        "\n  selection:\n    dst_port: 22",
    ),
    (
        "json_ecs",
        '{"@timestamp":"2026-11-24T01:00:00Z","event":{"category":"process","type":"start"},"host":{"os":{"type":"linux"}},'
        '"process":{"executable":"/usr/bin/nc","command_line":"nc -e /bin/sh"}}',
        "{product: linux, category: process_creation}",
        "\n  selection:\n    Image|endswith: /nc\n    CommandLine|contains: ' -e '",
    ),
    (
        "json_ecs",
        '{"@timestamp":"2026-11-24T01:00:00Z","event":{"category":["network"],"type":["start"]},"host":{"os":{"type":"linux"}},'
        '"process":{"executable":"/bin/bash"},"network":{"direction":"egress"},"destination":{"ip":"203.0.113.1","port":888}}',
        "{product: linux, category: network_connection}",
        "\n  selection:\n    Image|endswith: /bash\n    Initiated: 'true'\n    DestinationPort: 888",
    ),
    (
        "auditd",
        'type=EXECVE msg=audit(1795482000.1:1): argc=2 a0="cat" a1=2F6574632F736861646F77',
        "{product: linux, service: auditd}",
        "\n  selection:\n    type: EXECVE\n    a0: cat\n    a1: /etc/shadow",
    ),
    (
        "zeek",
        '{"_path":"smb_files","ts":1.5,"uid":"C","id.orig_h":"192.0.2.1","path":"\\\\\\\\srv\\\\IPC$","name":"svcctl"}',
        "{product: zeek, service: smb_files}",
        "\n  selection:\n    name: svcctl\n    path|endswith: IPC$\n    id.orig_h: 192.0.2.1",
    ),
]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources([PIPELINES / "sources"])


@pytest.mark.parametrize(("name", "line", "logsource", "detection"), CHAINS, ids=[f"{c[0]}:{c[2]}" for c in CHAINS])
def test_a_rule_fires_on_the_raw_line(
    sources: Sources, tmp_path: Path, name: str, line: str, logsource: str, detection: str
) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        f"title: Chain\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {logsource}\n"
        f"detection:{detection}\n  condition: selection\nlevel: low\n",
        "utf-8",
    )
    rules = load_rules([rule], pipelines=[PIPELINES / "sigma"])
    assert rules.refused == []
    events = sources.events(RawRecord("1", line.encode(), RECEIVED, name, sender="h", stream="s"))
    found = rules.match([e.fields for e in events], [e.logsources for e in events])
    assert [[d.title for d in detections] for detections in found] == [["Chain"]]


def test_a_process_of_macos_feeds_its_rules(sources: Sources, tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: T\nlogsource: {product: macos, category: process_creation}\n"
        "detection: {s: {Image|endswith: /osascript, CommandLine|contains: dialog, ParentImage: /bin/zsh}, "
        "condition: s}",
        "utf-8",
    )
    rules = load_rules([rule], pipelines=[PIPELINES / "sigma"])
    process = (
        b'{"executable":"/usr/bin/osascript","command_line":"osascript -e dialog","parent":{"executable":"/bin/zsh"}}'
    )
    about = b'"event":{"category":["process"],"type":["start"]},"host":{"os":{"type":"macos"}}'
    line = b'{"@timestamp":"2026-11-24T01:00:00Z",%b,"process":%b}' % (about, process)
    (event,) = sources.events(RawRecord("1", line, RECEIVED, "json_ecs", sender="h", stream="s"))
    (found,) = rules.match([event.fields], [event.logsources])
    assert [d.title for d in found] == ["T"]


def test_a_cookie_that_iis_logged_feeds_web_rules(sources: Sources, tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: T\nlogsource: {category: webserver}\ndetection: {s: {cs-cookie|contains: csm-hit}, condition: s}\n",
        "utf-8",
    )
    rules = load_rules([rule], pipelines=[PIPELINES / "sigma"])
    lines = [
        "#Fields: date time cs-method cs-uri-stem c-ip cs(Cookie) sc-status",
        "2026-11-24 01:00:00 GET / 192.0.2.9 csm-hit=1 200",
    ]
    events = [e for n in lines for e in sources.events(RawRecord("1", n.encode(), RECEIVED, "iis_w3c", "", "h", "s"))]
    (found,) = rules.match([e.fields for e in events], [e.logsources for e in events])
    assert [d.title for d in found] == ["T"]


def test_zeeks_tables_feed_the_same_rules(sources: Sources, tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text(
        "title: T\nlogsource: {category: dns}\ndetection: {s: {query: c2.example}, condition: s}\n", "utf-8"
    )
    rules = load_rules([rule], pipelines=[PIPELINES / "sigma"])
    lines = ["#separator \\x09", "#path\tdns", "#fields\tts\tuid\tquery", "1.5\tC1\tc2.example"]
    events = [e for n in lines for e in sources.events(RawRecord("1", n.encode(), RECEIVED, "zeek_tsv", "", "h", "s"))]
    (found,) = rules.match([e.fields for e in events], [e.logsources for e in events])
    assert [d.title for d in found] == ["T"]


def cleared(channel: str) -> str:
    """Event 104 of the provider Microsoft-Windows-Eventlog: the System log says that another one was cleared."""
    system = '"Provider":{"#attributes":{"Name":"Microsoft-Windows-Eventlog"}},"EventID":104,"Channel":"System"'
    return f'{{"Event":{{"System":{{{system}}},"UserData":{{"LogFileCleared":{{"Channel":"{channel}"}}}}}}}}'


@pytest.mark.parametrize(("channel", "titles"), [("Security", ["Important"]), ("Application", ["Other"])])
def test_a_cleared_log_is_the_one_that_the_data_name(
    sources: Sources, tmp_path: Path, channel: str, titles: list[str]
) -> None:
    head = "logsource: {product: windows, service: system}\ndetection:\n  s: {EventID: 104}\n"
    head += "  c: {Channel: [Security, System]}\n"
    (tmp_path / "a.yml").write_text(f"title: Important\n{head}  condition: s and c\n", "utf-8")
    (tmp_path / "b.yml").write_text(f"title: Other\n{head}  condition: s and not c\n", "utf-8")
    rules = load_rules([tmp_path], pipelines=[PIPELINES / "sigma"])
    (event,) = sources.events(RawRecord("1", cleared(channel).encode(), RECEIVED, "windows", sender="h", stream="s"))
    (found,) = rules.match([event.fields], [event.logsources])
    assert [d.title for d in found] == titles
