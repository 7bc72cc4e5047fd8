"""One alert as a person reads it in a terminal: its document in, a page on stdout out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from soc.alert import words
from soc.alert.attack import TACTICS
from soc.app.commands.output import printable
from soc.event import parse_rfc3339

#: Level → rich style.
COLOURS: Final = {"critical": "bold white on red", "high": "bold red", "medium": "yellow", "low": "cyan"}
_EN: Final = {
    "Vì sao": "Why",
    "Đơn vị": "Unit",
    "Cơ quan": "Agency",
    "Thời gian": "When",
    "Máy": "Host",
    "Tài sản": "Asset",
    "Người dùng": "User",
    "Nguồn": "Source",
    "Đích": "Destination",
    "Tiến trình": "Process",
    "Tiến trình cha": "Parent",
    "URL": "URL",
    "Tệp": "File",
    "Kỹ thuật": "Technique",
    "Mức quan trọng": "Criticality",
    "Điểm rủi ro": "Risk score",
    "Bằng chứng": "Evidence",
    "Bản ghi gốc": "Original",
    "Tiền lệ": "History",
    "Báo nhầm thường gặp": "Known false positives",
    "Xử lý": "Triage",
    "Bước tiếp theo": "Next steps",
    "Trường khớp": "Matched fields",
}


def show(doc: Mapping[str, Any], lang: str) -> None:
    """Print the page."""
    width = None if sys.stdout.isatty() else 110
    console = Console(width=width, highlight=False)
    level = str(doc.get("soc.level", ""))
    name = words.LEVELS_VI.get(level, level) if lang == "vi" else level
    head = Text.assemble((f" {name.upper()} ", COLOURS.get(level, "bold")), "  ", (str(doc.get("rule.name")), "bold"))
    console.print(Panel(Text(printable(str(doc.get("message", "")))), title=head, title_align="left"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in _rows(doc, lang):
        grid.add_row(label if lang == "vi" else _EN.get(label, label), Text(printable(value)))
    console.print(grid)
    _steps(console, doc, lang)
    console.print(Text(f"{doc.get('event.id')} · {doc.get('rule.id')} · {doc.get('rule.version')}", style="dim"))


def _rows(doc: Mapping[str, Any], lang: str) -> Iterator[tuple[str, str]]:
    def one(*names: str) -> str:
        values = (doc.get(name) for name in names)
        return " · ".join(words.shown(v) for v in values if v not in (None, "", []))

    first, last = parse_rfc3339(doc["soc.evidence.first"]), parse_rfc3339(doc["soc.evidence.last"])
    when = words.moment(first) + (f" → {words.moment(last)} ({words.span(first, last, lang)})" if last > first else "")
    yield "Thời gian", when
    yield "Vì sao", str(doc.get("event.reason", ""))
    simple = (
        ("Đơn vị", ("soc.unit.name", "soc.unit.uid")),
        ("Cơ quan", ("organization.name", "organization.id")),
        ("Máy", ("host.name", "host.ip")),
        ("Tài sản", ("soc.asset.name", "soc.asset.role", "soc.asset.owner", "soc.asset.phone")),
        ("Người dùng", ("user.name", "user.domain")),
        ("Nguồn", ("source.ip", "source.port")),
        ("Đích", ("destination.ip", "destination.port")),
        ("Tiến trình", ("process.executable", "process.command_line")),
        ("Tiến trình cha", ("process.parent.executable", "process.parent.command_line")),
        ("URL", ("http.request.method", "url.original", "http.response.status_code")),
        ("Tệp", ("file.path", "file.hash.sha256")),
    )
    for label, names in simple:
        if text := one(*names):
            yield label, text
    yield from _judgement(doc, lang)
    if original := one("event.original"):
        yield "Bản ghi gốc", original if len(original) <= 600 else original[:600] + "…"


def _judgement(doc: Mapping[str, Any], lang: str) -> Iterator[tuple[str, str]]:
    vi = lang == "vi"
    names = {en: local for _, en, local in TACTICS.values()}
    tactics = [names.get(t, t) if vi else t for t in doc.get("threat.tactic.name", [])]
    finer = doc.get("threat.technique.subtechnique.id", [])
    techniques = [*finer, *(t for t in doc.get("threat.technique.id", []) if not any(f.startswith(t) for f in finer))]
    if tactics or techniques:
        yield "Kỹ thuật", f"{doc.get('threat.framework', '')}: {', '.join([*tactics, *techniques])}"
    if criticality := doc.get("soc.asset.criticality"):
        yield "Mức quan trọng", words.CRITICALITY_VI.get(criticality, criticality) if vi else criticality
    parts = " + ".join(f"{name} {value}" for name, value in doc.get("soc.score.parts", {}).items())
    yield "Điểm rủi ro", f"{doc.get('event.risk_score')} ({parts})"
    count = doc.get("soc.evidence.count", 0)
    ids = doc.get("soc.evidence.ids", [])
    yield (
        "Bằng chứng",
        (f"{count} sự kiện: " if vi else f"{count} events: ") + ", ".join(ids[:3]) + (" …" if len(ids) > 3 else ""),
    )
    if (fires := doc.get("soc.history.unit_fires_30d")) is not None:
        everywhere = doc.get("soc.history.rule_fires_30d")
        yield (
            "Tiền lệ",
            f"luật này: {fires} cảnh báo tại đơn vị, {everywhere} toàn tỉnh trong 30 ngày"
            if vi
            else f"this rule: {fires} alerts in the unit, {everywhere} in the province within 30 days",
        )
    if known := doc.get("soc.falsepositives"):
        yield "Báo nhầm thường gặp", "; ".join(known)
    triage = [str(doc.get(f"soc.triage.{n}") or "") for n in ("status", "verdict", "assignee")]
    if vi:
        triage = [words.STATUS_VI.get(triage[0], triage[0]), words.VERDICTS_VI.get(triage[1], triage[1]), triage[2]]
    yield "Xử lý", " · ".join(t for t in triage if t)
    for entry in doc.get("soc.triage.history", [])[-5:]:
        yield "", f"{words.moment(parse_rfc3339(entry['at']))} {entry['by']}: {entry['action']} {entry.get('note', '')}"


def _steps(console: Console, doc: Mapping[str, Any], lang: str) -> None:
    steps = doc.get("soc.steps") or []
    if not steps:
        return
    console.print(Text("Bước tiếp theo" if lang == "vi" else _EN["Bước tiếp theo"], style="bold"))
    for number, step in enumerate(steps, 1):
        console.print(Text(printable(f"  {number}. {step['q']}")))
        if step.get("query"):
            console.print(Text(printable(f"     soc events search '{step['query']}'"), style="dim"))
