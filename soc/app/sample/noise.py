"""An ordinary day in the province → its log lines: citizens, officials, administrators, machines, harmless mishaps."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

from soc.app.sample.cast import (
    ADMIN_IP,
    ANTIVIRUS,
    BROWSERS,
    CAMERAS,
    CLERK,
    COMMUNE_PAGES,
    COMMUNE_WEB,
    COUNTER,
    DIRECTORY,
    DOCUMENTS,
    FILES,
    HOSPITAL,
    INSIDE,
    LAND,
    ONE_STOP,
    PORTAL,
    PORTAL_PAGES,
    RECEPTION,
    ROBOT,
    SITES,
    WORKSTATIONS,
    Host,
)
from soc.app.sample.clock import MACHINE, OFFICE, PUBLIC, at, moments
from soc.app.sample.lines import cef, eve, fortigate, nginx, traffic
from soc.app.sample.logbook import CEF, FORTIGATE, SURICATA, Logbook
from soc.app.sample.windows import WinEvent, logon, process, security, sysmon

_OFFICE_DIR = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
_EVERYDAY = (
    (
        f"{_OFFICE_DIR}WINWORD.EXE",
        f'"{_OFFICE_DIR}WINWORD.EXE" /n "D:\\Văn bản\\{{document}}"',
        "C:\\Windows\\explorer.exe",
    ),
    (f"{_OFFICE_DIR}EXCEL.EXE", f'"{_OFFICE_DIR}EXCEL.EXE" "D:\\Văn bản\\{{document}}"', "C:\\Windows\\explorer.exe"),
    ("notepad.exe", "notepad.exe ghi-chu.txt", "C:\\Windows\\explorer.exe"),
    ("svchost.exe", "C:\\Windows\\System32\\svchost.exe -k netsvcs -p", "services.exe"),
    ("taskhostw.exe", "taskhostw.exe", "svchost.exe"),
    ("conhost.exe", "\\??\\C:\\Windows\\System32\\conhost.exe 0xffffffff -ForceV1", "cmd.exe"),
    ("ipconfig.exe", "ipconfig /all", "cmd.exe"),
)


def day(book: Logbook, seed: str, on: date) -> None:
    """Writes one day into the book. Every log draws from its own numbers, so that a change in one moves no other."""
    for name, write in (
        ("web", _web),
        ("linux", _linux),
        ("firewall", _firewall),
        ("sensor", _sensor),
        ("windows", _windows),
        ("antivirus", _antivirus),
    ):
        write(book, random.Random(f"{seed}:{on}:{name}"), on)


def citizen(rng: random.Random) -> str:
    """An address of a citizen, one in twelve over IPv6."""
    return (
        f"2001:db8:ffff:{rng.randrange(40):x}::{rng.randrange(1, 60):x}"
        if rng.random() < 0.08
        else (f"198.51.100.{rng.randrange(1, 255)}")
    )


def _web(book: Logbook, rng: random.Random, on: date) -> None:
    for host, pages, mean in ((PORTAL, PORTAL_PAGES, 6800), (COMMUNE_WEB, COMMUNE_PAGES, 1500)):
        site = f"https://{'dichvucong' if host is PORTAL else 'hongson'}.tinh.example"
        for moment in moments(rng, on, mean, PUBLIC):
            page = rng.choice(pages)
            status = rng.choices((200, 304, 302, 404, 499, 500), (900, 70, 25, 12, 3, 1))[0]
            size = 0 if status in (304, 499) else rng.randrange(300, 60_000)
            agent = ROBOT if rng.random() < 0.05 else rng.choice(BROWSERS)
            method = "POST" if page.startswith("/nop-ho-so") and rng.random() < 0.4 else "GET"
            referer = "-" if rng.random() < 0.3 else f"{site}/"
            request = f"{method} {page if status != 404 else f'/trang-cu/{rng.randrange(90)}'} HTTP/2.0"
            book.web(moment, host, nginx(moment, citizen(rng), request, status, size, referer, agent))


def _linux(book: Logbook, rng: random.Random, on: date) -> None:
    for host, guesses in ((PORTAL, 26), (COMMUNE_WEB, 18), (ONE_STOP, 8)):
        for hour in range(24):
            for minute in (17, 47):
                moment = at(on, f"{hour:02d}:{minute}:01") + timedelta(microseconds=rng.randrange(900_000))
                tag = f"CRON[{rng.randrange(2_000, 60_000)}]"
                book.auth(moment, host, tag, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
                book.auth(
                    moment + timedelta(seconds=1), host, tag, "pam_unix(cron:session): session closed for user root"
                )
        for moment in moments(rng, on, 14, OFFICE):
            _admin_session(book, rng, moment, host)
        # The Internet guesses a little everywhere, all the time: each address gives up after one or two tries.
        for moment in moments(rng, on, guesses, MACHINE):
            tag, port = f"sshd[{rng.randrange(2_000, 60_000)}]", rng.randrange(20_000, 60_000)
            name = rng.choice(("admin", "test", "oracle", "ubuntu", "pi"))
            where = f"from 198.51.100.{rng.randrange(1, 255)} port {port}"
            book.auth(moment, host, tag, f"Invalid user {name} {where}")
            book.auth(moment + timedelta(seconds=2), host, tag, f"Failed password for invalid user {name} {where} ssh2")


def _admin_session(book: Logbook, rng: random.Random, moment: datetime, host: Host) -> None:
    user, pid, port = host.user, rng.randrange(2_000, 60_000), rng.randrange(50_000, 60_000)
    tag, where = f"sshd[{pid}]", f"for {user} from {ADMIN_IP} port {port} ssh2"
    if rng.random() < 0.15:
        book.auth(moment - timedelta(seconds=9), host, tag, f"Failed password {where}")
    key = "ED25519 SHA256:Zm9vYmFyc2FtcGxla2V5Zm9ydGhlc2FtcGxlcHJvdmluY2U"
    book.auth(moment, host, tag, f"Accepted publickey {where}: {key}")
    book.auth(moment, host, tag, f"pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)")
    command = (
        "/bin/bash"
        if rng.random() < 0.02
        else rng.choice(("/usr/bin/systemctl status nginx", "/usr/bin/journalctl -n 100", "/usr/bin/apt-get update"))
    )
    later = moment + timedelta(seconds=rng.randrange(20, 200))
    book.auth(later, host, "sudo", f"{user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}")
    book.auth(later, host, "sudo", f"pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1000)")
    book.auth(later + timedelta(seconds=3), host, "sudo", "pam_unix(sudo:session): session closed for user root")
    end = later + timedelta(seconds=rng.randrange(60, 900))
    book.auth(end, host, tag, f"pam_unix(sshd:session): session closed for user {user}")


def _firewall(book: Logbook, rng: random.Random, on: date) -> None:
    for moment in moments(rng, on, 3300, OFFICE):
        src = rng.choice(INSIDE)
        port, service, proto = rng.choices(((443, "HTTPS", 6), (80, "HTTP", 6), (53, "DNS", 17)), (70, 12, 18))[0]
        fields = traffic(
            rng.choices(("close", "accept", "timeout"), (80, 15, 5))[0],
            (src.ip, rng.randrange(49_152, 65_535)),
            (f"198.51.100.{rng.randrange(1, 255)}", port),
            proto=proto,
            service=service,
            duration=rng.randrange(1, 300),
            sentbyte=rng.randrange(200, 90_000),
            rcvdbyte=rng.randrange(300, 2_000_000),
        )
        book.line(FORTIGATE, moment, _session(moment, fields))
    for moment in moments(rng, on, 260, MACHINE):  # the Internet knocks
        fields = traffic(
            "deny",
            (f"198.51.100.{rng.randrange(1, 255)}", rng.randrange(1_024, 65_535)),
            (rng.choice(INSIDE).ip, rng.choice((22, 23, 445, 3389, 8080))),
            proto=6,
            service="other",
            duration=0,
            sentbyte=0,
            rcvdbyte=0,
        )
        book.line(FORTIGATE, moment, _session(moment, fields))
    for hour in range(24):  # the recorder asks for the time once an hour: allowed, and all that it should do
        moment = at(on, f"{hour:02d}:05:11")
        fields = traffic("accept", (CAMERAS.ip, 123), ("198.51.100.123", 123), proto=17, service="NTP", duration=180)
        book.line(FORTIGATE, moment, _session(moment, fields))


def _session(moment: datetime, fields: dict[str, object]):  # type: ignore[no-untyped-def]
    return lambda ordinal: fortigate(moment, 400_000 + ordinal, fields)


def _sensor(book: Logbook, rng: random.Random, on: date) -> None:
    for moment in moments(rng, on, 1450, OFFICE):
        src, flow = (rng.choice(INSIDE).ip, rng.randrange(49_152, 65_535)), rng.randrange(10**15, 10**16)
        site = rng.choice(SITES)
        outside = (f"198.51.100.{rng.randrange(1, 255)}", 443)
        kind = rng.choices(("flow", "dns", "tls", "http"), (50, 25, 20, 5))[0]
        if kind == "dns":
            query = {"type": "query", "id": rng.randrange(65_536), "rrname": site, "rrtype": "A", "tx_id": 0}
            text = eve(moment, "dns", flow, src, (DIRECTORY.ip, 53), "UDP", dns=query)
        elif kind == "tls":
            text = eve(moment, "tls", flow, src, outside, "TCP", tls={"sni": site, "version": "TLS 1.3"})
        elif kind == "http":
            http = {"hostname": site, "url": "/", "http_user_agent": BROWSERS[0], "http_method": "GET", "status": 200}
            text = eve(moment, "http", flow, src, (outside[0], 80), "TCP", http=http)
        else:
            counts = {"pkts_toserver": rng.randrange(4, 400), "pkts_toclient": rng.randrange(4, 900), "state": "closed"}
            text = eve(moment, "flow", flow, src, outside, "TCP", app_proto="tls", flow=counts)
        book.line(SURICATA, moment, text)
    for moment in moments(rng, on, 6, OFFICE):
        alert = {"action": "allowed", "gid": 1, "signature_id": 9_000_101, "rev": 1, "severity": 3}
        alert |= {
            "signature": "SAMPLE POLICY cloud storage in use",
            "category": "Potential Corporate Privacy Violation",
        }
        outside = (f"198.51.100.{rng.randrange(1, 255)}", 443)
        text = eve(moment, "alert", rng.randrange(10**15, 10**16), (LAND.ip, 51_515), outside, "TCP", alert=alert)
        book.line(SURICATA, moment, text)


def _windows(book: Logbook, rng: random.Random, on: date) -> None:
    for host, mean in ((CLERK, 330), (LAND, 330), (COUNTER, 260), (RECEPTION, 330), (HOSPITAL, 330), (FILES, 260)):
        for moment in moments(rng, on, mean, OFFICE):
            _office_work(book, rng, moment, host)
    for moment in moments(rng, on, 700, OFFICE):
        host = rng.choice(WORKSTATIONS)
        if rng.random() < 0.03:
            book.windows(moment, DIRECTORY, logon(DIRECTORY, host.user, 3, host.ip, failed=True))
        else:
            book.windows(moment, DIRECTORY, logon(DIRECTORY, host.user, 3, host.ip))


def _office_work(book: Logbook, rng: random.Random, moment: datetime, host: Host) -> None:
    pid = rng.randrange(1_000, 9_000) // 4 * 4
    kind = rng.choices(("process", "logon", "privilege", "network", "script", "task"), (60, 15, 8, 10, 4, 3))[0]
    if kind == "process":
        image, command, parent = rng.choice(_EVERYDAY)
        command = command.format(document=rng.choice(DOCUMENTS))
        book.windows(moment, host, process(host, moment, image, command, parent, pid))
    elif kind == "logon":
        book.windows(moment, host, logon(host, host.user, 2, "127.0.0.1"))
    elif kind == "privilege":
        event = security(
            4672, SubjectUserSid="S-1-5-18", SubjectUserName="SYSTEM", SubjectDomainName="NT AUTHORITY",
            SubjectLogonId="0x3e7", PrivilegeList="SeSecurityPrivilege",
        )  # fmt: skip
        book.windows(moment, host, event)
    elif kind == "network":
        event = sysmon(
            3, moment, ProcessId=pid, Image="C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
            User=f"TINH\\{host.user}", Protocol="tcp", Initiated="true", SourceIp=host.ip, SourcePort=50_000 + pid,
            DestinationIp=f"198.51.100.{rng.randrange(1, 255)}", DestinationPort=443, DestinationHostname="-",
        )  # fmt: skip
        book.windows(moment, host, event)
    elif kind == "script":
        text = "Get-ChildItem -Path 'D:\\Văn bản' -Recurse | Measure-Object"
        data = {
            "MessageNumber": 1,
            "MessageTotal": 1,
            "ScriptBlockText": text,
            "ScriptBlockId": f"sb-{pid}",
            "Path": "",
        }
        channel = "Microsoft-Windows-PowerShell/Operational"
        book.windows(moment, host, WinEvent("Microsoft-Windows-PowerShell", channel, 4104, data, 5))
    else:
        data = {"TaskName": "\\Sao lưu hồ sơ", "UserContext": f"TINH\\{host.user}"}
        channel = "Microsoft-Windows-TaskScheduler/Operational"
        book.windows(moment, host, WinEvent("Microsoft-Windows-TaskScheduler", channel, 106, data))


def _antivirus(book: Logbook, rng: random.Random, on: date) -> None:
    for moment in moments(rng, on, 60, OFFICE):
        host = rng.choice((*WORKSTATIONS, FILES, HOSPITAL))
        fields = {"dhost": host.name, "dst": host.ip, "duser": host.user}
        if rng.random() < 0.06:
            name = "Phát hiện mã độc"
            fields |= {
                "cat": "Malware",
                "fname": "crack_office_2019.exe",
                "filePath": f"C:\\Users\\{host.user}\\Downloads",
                "act": "cleaned",
            }
            text = cef(
                moment,
                ANTIVIRUS.name,
                "MALWARE_FOUND",
                name,
                5,
                cs1Label="ThreatName",
                cs1=rng.choice(("HackTool.Sample.A", "Adware.Sample.C", "PUA.Sample.D", "RiskTool.Sample.E")),
                **fields,
            )
        else:
            text = cef(moment, ANTIVIRUS.name, "UPDATE_OK", "Cập nhật mẫu nhận diện", 1, act="updated", **fields)
        book.line(CEF, moment, text)
