"""`soc alerts`: the queue, one alert in full, and what an analyst decides."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from soc.alert import words
from soc.alert.policy import LEVELS, duration
from soc.alert.triage import STATUSES, VERDICTS, Mutes, Triage
from soc.app.backends import stored
from soc.app.commands import output
from soc.app.commands.alert_page import COLOURS, show
from soc.app.commands.options import ConfigOption, JsonOption, SinceOption, acting_user, language, settings
from soc.app.config import Config
from soc.app.paths import existing, pipeline_files
from soc.event import Alert, nested
from soc.store.query import parse_query

AlertId = Annotated[str, typer.Argument(help="Id of the alert, or its first 8 characters.")]

commands = typer.Typer(
    name="alerts", no_args_is_help=True, help="Cảnh báo: danh sách, chi tiết, xử lý. · The alert queue and triage."
)

_CSV: Final = (
    "event.id",
    "@timestamp",
    "soc.level",
    "rule.name",
    "soc.unit.name",
    "host.name",
    "source.ip",
    "user.name",
    "soc.evidence.count",
    "event.risk_score",
    "soc.triage.status",
    "soc.triage.verdict",
    "soc.triage.assignee",
    "message",
)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Triage")


def quoted(text: str) -> str:
    """A value as a quoted term of the query language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def query_text(unit: str | None, status: str | None, level: str | None, mode: str, words_: str | None = None) -> str:
    """The query behind the flags; a unit means itself and everything below it."""
    terms = [f"soc.mode:{mode}"]
    if unit:
        terms.append(f"(soc.unit.uid:{quoted(unit)} OR soc.unit.path:{quoted(unit)})")
    if status:
        terms.append(f"soc.triage.status:{status}")
    if level:
        terms.append("(" + " OR ".join(f"soc.level:{name}" for name in LEVELS[LEVELS.index(level) :]) + ")")
    if words_:
        terms.append(f"({words_})")
    return " AND ".join(terms)


@commands.command("list")
def list_alerts(
    config: ConfigOption = None,
    unit: Annotated[str | None, typer.Option(help="Unit uid; includes what lies below it.")] = None,
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    level: Annotated[str | None, typer.Option(help=f"This level and above: {', '.join(LEVELS)}.")] = None,
    since: SinceOption = None,
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="More conditions, as in `soc events search`.")
    ] = None,
    mode: Annotated[str, typer.Option(help="live, or shadow for rules on trial.")] = "live",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    json_: JsonOption = False,
    csv_: Annotated[bool, typer.Option("--csv", help="CSV with a header line.")] = False,
) -> None:
    """List the alert queue, newest first."""
    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"status is one of {', '.join(STATUSES)}, not {status!r}")
    if level is not None and level not in LEVELS:
        raise typer.BadParameter(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    now = datetime.now(UTC)
    settled = settings(config, reading=True)
    store = stored(settled)
    total, alerts = store.search_alerts(
        parse_query(query_text(unit, status, level, mode, query)), since=output.moment(since, now), limit=limit
    )
    if json_:
        output.document(total=total, alerts=[nested(a.document) for a in alerts])
    elif csv_:
        writer = csv.writer(sys.stdout)
        writer.writerow(_CSV)
        writer.writerows([_cell(a.document.get(name)) for name in _CSV] for a in alerts)
    else:
        alert_table(alerts, total, language(settled))


def _cell(value: object) -> str:
    """A CSV cell; a text that a spreadsheet would run as a formula gets a quote before it (OWASP, CSV injection)."""
    text = "" if value is None else words.shown(value)
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not text.lstrip("+-").isdigit() else text


def alert_table(alerts: list[Alert], total: int, lang: str) -> None:
    """The queue as a person reads it."""
    vi = lang == "vi"
    columns = (
        ("mã", "lúc (giờ VN)", "mức độ", "đơn vị", "đối tượng", "luật", ">sự kiện", "trạng thái")
        if vi
        else ("id", "time (VN)", "level", "unit", "entity", "rule", ">events", "status")
    )
    output.table(columns, [_row(a.document, lang) for a in alerts])
    output.say(
        (f"{len(alerts)} trên {total} cảnh báo" if vi else f"{len(alerts)} of {total} alerts")
        + (" · chi tiết: soc alerts show MÃ" if vi else " · details: soc alerts show ID")
    )


def _row(doc: Mapping[str, Any], lang: str) -> tuple[output.Cell, ...]:
    from soc.event import parse_rfc3339

    level, status = str(doc.get("soc.level")), str(doc.get("soc.triage.status"))
    return (
        str(doc["event.id"])[:10],
        words.moment(parse_rfc3339(doc["@timestamp"])),
        (words.LEVELS_VI.get(level, level) if lang == "vi" else level, COLOURS.get(level, "")),
        str(doc.get("soc.unit.name") or ""),
        ", ".join(str(v) for v in doc.get("soc.group", {}).values()),
        str(doc.get("rule.name")),
        str(doc.get("soc.evidence.count")),
        words.STATUS_VI.get(status, status) if lang == "vi" else status,
    )


@commands.command("show")
def show_alert(alert_id: AlertId, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """One alert in full: what happened, why it fired, whose machine it is, what to do."""
    settled = settings(config, reading=True)
    alert = stored(settled).alert(alert_id)
    if alert is None:
        raise typer.BadParameter(f"no alert {alert_id}; `soc alerts list` shows those there are")
    if json_:
        output.document(alert=nested(alert.document))
    else:
        show(alert.document, language(settled))


def _triage(config: ConfigOption) -> Triage:
    return Triage(stored(settings(config, reading=True, role="analyst")), acting_user(), lambda: datetime.now(UTC))


def _done(alert: Alert, json_: bool) -> None:
    if json_:
        output.document(alert=nested(alert.document))
    else:
        doc = alert.document
        output.say(
            f"{alert.id[:10]}: {doc['soc.triage.status']}"
            + (f", {doc['soc.triage.verdict']}" if doc.get("soc.triage.verdict") else "")
            + (f", {doc['soc.triage.assignee']}" if doc.get("soc.triage.assignee") else "")
        )


@commands.command("ack")
def acknowledge(alert_id: AlertId, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Take an alert: acknowledged, and yours where it was nobody's."""
    _done(_triage(config).acknowledge(alert_id), json_)


@commands.command("assign")
def assign(alert_id: AlertId, assignee: str, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Give an alert to somebody."""
    _done(_triage(config).assign(alert_id, assignee), json_)


@commands.command("note")
def note(alert_id: AlertId, text: str, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Write into the alert's history."""
    _done(_triage(config).note(alert_id, text), json_)


@commands.command("close")
def close(
    alert_id: AlertId,
    verdict: Annotated[str, typer.Option(help=f"One of {', '.join(VERDICTS)}.")],
    note: Annotated[str, typer.Option(help="Why.")] = "",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Close an alert with a verdict; its episode goes on counting silently."""
    _done(_triage(config).close(alert_id, verdict, note), json_)


@commands.command("reopen")
def reopen(alert_id: AlertId, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Open a closed alert again."""
    _done(_triage(config).reopen(alert_id), json_)


@commands.command("mute")
def mute(
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    lasts: Annotated[str, typer.Option("--for", help="How long: 8h, 7d.")],
    reason: Annotated[str, typer.Option(help="Why; mandatory.")],
    unit: Annotated[str, typer.Option(help="Only in this unit and below.")] = "",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Keep a rule out of the queue for a while; its alerts are made, counted and closed from the start."""
    try:
        span = duration(lasts)
    except ValueError as wrong:
        raise typer.BadParameter(f"--for: {wrong}") from None
    settled = settings(config, reading=True, role="analyst")
    _refuse_unknown(settled, rule, unit)
    made = Mutes(stored(settled)).add(rule, unit, datetime.now(UTC), span, reason, acting_user())
    if json_:
        output.document(mute={"id": made.id, "rule": made.rule, "unit": made.unit, "until": made.until})
    else:
        output.say(f"{made.rule} is muted until {words.moment(made.until)} ({made.reason})")


def _refuse_unknown(settled: Config, rule: str, unit: str) -> None:
    from soc.app.check import unknown_unit
    from soc.app.content import load_units_of
    from soc.detect import load_rules

    rules = load_rules(existing(settled.rules, "rules"), pipeline_files(settled.sigma_pipelines))
    if rule not in rules.rules and not any(c.id == rule for c in rules.correlations):
        raise typer.BadParameter(f"no rule {rule} is loaded; `soc alerts show` names an alert's rule last")
    if unit and (wrong := unknown_unit(load_units_of(settled), unit)):
        raise typer.BadParameter(wrong)


@commands.command("unmute")
def unmute(
    mute_id: Annotated[str, typer.Argument(help="Id of the mute, from `soc alerts mutes`.")],
    config: ConfigOption = None,
) -> None:
    """End a mute now; it stays in the list as history."""
    ended = Mutes(stored(settings(config, reading=True, role="analyst"))).end(mute_id, datetime.now(UTC))
    output.say(f"{ended.rule} is heard again")


@commands.command("mutes")
def mutes(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """All mutes, ended ones too."""
    now = datetime.now(UTC)
    rows = Mutes(stored(settings(config, reading=True))).all()
    if json_:
        output.document(
            mutes=[
                {"id": m.id, "rule": m.rule, "unit": m.unit, "since": m.since, "until": m.until, "reason": m.reason}
                | {"by": m.by, "active": m.since <= now < m.until}
                for m in rows
            ]
        )
        return
    output.table(
        ("id", "rule", "unit", "until", "by", "reason"),
        [(m.id, m.rule, m.unit or "*", words.moment(m.until), m.by, m.reason) for m in rows],
    )
