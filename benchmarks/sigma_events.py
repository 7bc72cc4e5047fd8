"""Events of the lanes of `benchmarks.sigma`: recordings → flat maps in the names of Sigma's taxonomy, routed.

An event's log sources are those that our normaliser finds, joined into one for engines that take one. Field names are
those that SigmaHQ's rules use, so that rules are loaded as they stand, without pipelines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from soc.collect.open import read_path
from soc.event import Event, LogSource, RawRecord, RecordError
from soc.normalize import load_sources

ROOT: Final = Path(__file__).resolve().parent.parent
#: A flat event and the log source that holds all of those that it is.
Routed = tuple[dict[str, Any], LogSource]

#: Web servers: our names → those of SigmaHQ's web rules.
_WEB: Final = {
    "source.ip": ("c-ip",),
    "http.request.method": ("cs-method",),
    "url.original": ("c-uri", "cs-uri"),
    "url.path": ("cs-uri-stem",),
    "url.query": ("cs-uri-query",),
    "http.response.status_code": ("sc-status",),
    "http.request.referrer": ("cs-referer",),
    "user_agent.original": ("c-useragent", "cs-user-agent"),
}
#: Recorded cloud logs (fixtures/panther_tests.jsonl) → SigmaHQ's log sources.
_CLOUD: Final = {
    "AWS.CloudTrail": LogSource("aws", None, "cloudtrail"),
    "Azure.MonitorActivity": LogSource("azure", None, "activitylogs"),
    "Azure.Audit": LogSource("azure", None, "auditlogs"),
    "GCP.AuditLog": LogSource("gcp", None, "gcp.audit"),
    "GitHub.Audit": LogSource("github", None, "audit"),
    "GSuite.ActivityEvent": LogSource("gcp", None, "google_workspace.admin"),
    "Okta.SystemLog": LogSource("okta", None, "okta"),
    "OneLogin.Events": LogSource("onelogin", None, "onelogin.events"),
}
_SUDO: Final = re.compile(r"sudo.*? COMMAND=(?P<line>(?P<image>\S+).*)")


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """An EVTX record as one flat map; what is flat already stays.

    Data by its own name, system elements by theirs, attributes as Provider_Name.
    """
    event = document.get("Event")
    if not isinstance(event, Mapping):
        return dict(document)
    out: dict[str, Any] = {}
    for name, value in (event.get("System") or {}).items():
        attributes = value.get("#attributes") if isinstance(value, Mapping) else None
        for key, attribute in (attributes or {}).items():
            out[f"{name}_{key}"] = attribute
        if not isinstance(value, Mapping):
            out[name] = value
        elif "#text" in value:
            out[name] = value["#text"]
    data: Any = event.get("EventData") or next(iter((event.get("UserData") or {}).values()), {})
    if isinstance(data, Mapping):
        out |= {name: value for name, value in data.items() if name != "#attributes" and not isinstance(value, Mapping)}
    return out


def joined(sources: Iterable[LogSource]) -> LogSource:
    """One log source that contains all of them, for engines that take one."""
    product = category = service = None
    for one in sources:
        product, category, service = one.product or product, one.category or category, one.service or service
    return LogSource(product, category, service)


def _normalised(name: str, paths: Iterable[Path]) -> Iterator[tuple[RawRecord, Event]]:
    """Records that a source of ours makes one event of; damaged ones are passed over."""
    source = load_sources([ROOT / "pipelines" / "sources" / name]).get(name)
    for path in paths:
        for record in read_path(path):
            if not isinstance(record, RawRecord):
                continue
            try:
                found = source.events(record)
            except RecordError:
                continue
            if len(found) == 1:
                yield record, found[0]


def windows(paths: Iterable[Path]) -> Iterator[Routed]:
    """Windows recordings: EVTX, JSON lines, archives of them."""
    for record, event in _normalised("windows", paths):
        yield flat(orjson.loads(record.data)), joined(event.logsources)


def otrf(data: Path) -> list[Routed]:
    """The Windows recordings of data/otrf, whole."""
    return list(windows(p for p in sorted((data / "otrf").glob("*.zip")) if not p.name.startswith("sh_")))


def regression(data: Path) -> list[Routed]:
    """One event or more for each of the rules that SigmaHQ tests with recordings."""
    return list(windows(sorted((data / "sigma_regression").glob("*.evtx"))))


def linux(data: Path) -> list[Routed]:
    """auditd records by their own names, log-ins as text, and the process starts that both tell of."""
    found: list[Routed] = []
    programs: dict[str, str] = {}
    for _, event in _normalised("auditd", sorted((data / "otrf").glob("sh_*.zip"))):
        fields = {key.removeprefix("auditd."): v for key, v in event.fields.items() if key.startswith("auditd.")}
        found.append((fields, joined(event.logsources)))
        if fields.get("type") == "SYSCALL":
            programs[fields["sequence"]] = fields.get("exe", "")
        elif fields.get("type") == "EXECVE":
            line = " ".join(fields[f"a{i}"] for i in range(int(fields["argc"])) if f"a{i}" in fields)
            found.append(_started(programs.get(fields["sequence"], ""), line, "audit"))
    for record, event in _normalised("linux_auth", [data / "raw" / "auth.log"]):
        text = record.data.decode()
        fields = {"message": text, "hostname": event.fields.get("host.name"), "name": event.fields.get("process.name")}
        found.append((fields, joined(event.logsources)))
        if (sudo := _SUDO.search(text)) is not None:
            found.append(_started(sudo["image"], sudo["line"], "root"))
    return found


def _started(image: str, line: str, user: str) -> Routed:
    return {"Image": image, "CommandLine": line, "User": user}, LogSource("linux", "process_creation")


def web(data: Path) -> list[Routed]:
    """Accesses of a web server in the names of SigmaHQ's web rules."""
    found = []
    for _, event in _normalised("apache_access", [data / "raw" / "apache_access_10000.log"]):
        fields = {name: event.fields[ours] for ours, names in _WEB.items() if ours in event.fields for name in names}
        found.append((fields, joined(event.logsources)))
    return found


def text(data: Path) -> list[Routed]:
    """The rendered messages of Windows events and lines of Linux log-ins, each as one field."""
    found = [({"message": event["Message"]}, source) for event, source in otrf(data) if "Message" in event]
    return found + [({"message": event["message"]}, source) for event, source in linux(data) if "message" in event]


def zeek(data: Path) -> list[Routed]:
    """Zeek's own text files by their own names."""
    found = []
    for path in sorted((data / "zeek").glob("*.log")):
        names: list[str] = []
        for line in path.read_text().splitlines():
            head, *cells = line.split("\t")
            if head == "#fields":
                names = cells
            elif not head.startswith("#"):
                fields = {name: cell for name, cell in zip(names, [head, *cells], strict=False) if cell != "-"}
                found.append((fields, LogSource("zeek", None, path.stem)))
    return found


def cloud(data: Path) -> list[Routed]:
    """Audit logs of cloud services, nested as their senders write them."""
    found = []
    for line in (data / "fixtures" / "panther_tests.jsonl").read_text().splitlines():
        one = json.loads(line)
        kinds = one["log_types"] or []
        if len(kinds) == 1 and kinds[0] in _CLOUD and isinstance(one["log"], dict):
            found.append((one["log"], _CLOUD[kinds[0]]))
    return found
