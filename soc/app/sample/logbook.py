"""Lines of many files, in any order → files in the order of time, as collectors would find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from soc.app.sample.cast import (
    CLERK,
    COMMUNE_WEB,
    COUNTER,
    DIRECTORY,
    FILES,
    HONG_SON,
    HOSPITAL,
    LAND,
    MY_LAM,
    ONE_STOP,
    PORTAL,
    RECEPTION,
    TINH,
    YEN_SON,
    Host,
)
from soc.app.sample.lines import syslog
from soc.app.sample.windows import WinEvent, evtx_json, nxlog, winlogbeat

#: File below the province's folder → the unit that its collector is registered for.
FILES_OF: Final = {
    "linux/ys-motcua/auth.log": YEN_SON,
    "linux/cong-dvc01/auth.log": TINH,
    "linux/hs-web01/auth.log": HONG_SON,
    "nginx/cong-dvc01/access.log": TINH,
    "nginx/hs-web01/access.log": HONG_SON,
    "fortigate/ttdl-fw01.log": TINH,
    "suricata/eve.json": TINH,
    "windows/tinh.winlogbeat.ndjson": TINH,
    "windows/my-lam.nxlog.ndjson": MY_LAM,
    "windows/ys-pc01.evtx.ndjson": YEN_SON,
    "antivirus/ttdl-av01.cef.log": TINH,
}
FORTIGATE: Final = "fortigate/ttdl-fw01.log"
SURICATA: Final = "suricata/eve.json"
CEF: Final = "antivirus/ttdl-av01.cef.log"

_WINDOWS: Final[dict[Host, tuple[str, Callable[[datetime, Host, int, WinEvent], str]]]] = {
    DIRECTORY: ("windows/tinh.winlogbeat.ndjson", winlogbeat),
    FILES: ("windows/tinh.winlogbeat.ndjson", winlogbeat),
    CLERK: ("windows/tinh.winlogbeat.ndjson", winlogbeat),
    LAND: ("windows/tinh.winlogbeat.ndjson", winlogbeat),
    HOSPITAL: ("windows/my-lam.nxlog.ndjson", nxlog),
    RECEPTION: ("windows/my-lam.nxlog.ndjson", nxlog),
    COUNTER: ("windows/ys-pc01.evtx.ndjson", evtx_json),
}
_ISO_TIME: Final = {PORTAL: True, COMMUNE_WEB: True, ONE_STOP: False}

Render = Callable[[int], str]


@dataclass(slots=True)
class Logbook:
    """Collects what happens; `write` puts it in order. A line may ask for its ordinal (record or session number)."""

    entries: dict[str, list[tuple[datetime, int, Render]]] = field(default_factory=dict)

    def line(self, file: str, at: datetime, render: Render | str) -> None:
        entries = self.entries.setdefault(file, [])
        text = render
        entries.append((at, len(entries), (lambda _: text) if isinstance(text, str) else text))

    def auth(self, at: datetime, host: Host, tag: str, text: str) -> None:
        """A line of the Linux host's auth.log."""
        self.line(f"linux/{host.name}/auth.log", at, syslog(at, host.name, tag, text, iso=_ISO_TIME[host]))

    def web(self, at: datetime, host: Host, text: str) -> None:
        """A line of the web server's access log; the portal's comes by syslog (RFC 3164 header)."""
        text = syslog(at, host.name, "nginx", text, iso=False) if host is PORTAL else text
        self.line(f"nginx/{host.name}/access.log", at, text)

    def windows(self, at: datetime, host: Host, event: WinEvent) -> None:
        """An event of the Windows host, in the shape in which its shipper sends."""
        file, shape = _WINDOWS[host]
        self.line(file, at, lambda ordinal: shape(at, host, 100_000 + ordinal, event))

    def write(self, folder: Path) -> dict[str, int]:
        """Writes every file below the folder; file → lines."""
        counts = {}
        for file in FILES_OF:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            entries = sorted(self.entries.get(file, []), key=lambda e: e[:2])
            lines = [render(i) for i, (_, _, render) in enumerate(entries, start=1)]
            path.write_bytes("".join(f"{line}\n" for line in lines).encode())
            counts[file] = len(lines)
        return counts
