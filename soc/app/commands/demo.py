"""`soc demo`: the main job on a sample province, with no configuration and no server."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from soc.app.commands import output
from soc.app.commands.alerts import alert_table
from soc.app.commands.options import language
from soc.app.logs import configure
from soc.app.stopping import stopping


def register(app: typer.Typer) -> None:
    app.command("demo", rich_help_panel="Running")(demo)


def demo(
    clean: Annotated[bool, typer.Option("--clean", help="Remove everything that the demo made, and end.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where it lives. (default: $SOC_DATA_DIR, var/demo)")] = None,
) -> None:
    """Recreates the sample province (5 units, 3 days, 4 attacks) and runs it end to end."""
    from soc.app import demo as engine
    from soc.app.backends import open_store
    from soc.app.commands.alert_page import show
    from soc.app.commands.progress import progress

    made = engine.Demo((folder or Path(os.environ.get("SOC_DATA_DIR", "var/demo"))).absolute())
    if clean:
        made.clean()
        output.say(f"{made.folder}: removed")
        return
    configure("demo", quiet=True)
    vi = language() == "vi"
    facts = made.prepare()
    last = facts.last - timedelta(days=1)
    days = f"{facts.first:%d/%m} – {last:%d/%m/%Y}"
    output.say(
        f"Tỉnh mẫu: {facts.lines} dòng nhật ký của 5 đơn vị, {len(facts.files)} tệp, {days}"
        if vi
        else f"Sample province: {facts.lines} log lines of 5 units, {len(facts.files)} files, {days}"
    )
    with progress() as tell:
        counts = made.run(facts, stopping(), tell)
    store = open_store(made.config())
    alerts = engine.queue(store)
    alert_table(alerts, len(alerts), language())
    if (gravest := engine.gravest(alerts)) is not None:
        show(gravest.document, language())
    _where_next(made.config_path, counts, vi)
    if counts["deficit"]:
        raise typer.Exit(1)


def _where_next(config: Path, counts: dict[str, int], vi: bool) -> None:
    fate = (
        f"{counts['received']} bản ghi nhận, {counts['stored']} lưu, {counts['rejected']} loại, "
        f"{counts['deficit']} thiếu"
        if vi
        else f"{counts['received']} records received, {counts['stored']} stored, {counts['rejected']} rejected, "
        f"{counts['deficit']} missing"
    )
    output.say(f"\n{fate} · {counts['wall_s']} s")
    output.say("Xem tiếp:" if vi else "Look further:")
    for command in (
        "alerts list --level high",
        "alerts show ID",
        "alerts ack ID",
        "events search 'source.ip:203.0.113.0/24 AND \"failed password\"' --limit 5",
        "ledger",
        "sources status",
    ):
        output.say(f"  .venv/bin/soc {command} --config {os.path.relpath(config)}")
