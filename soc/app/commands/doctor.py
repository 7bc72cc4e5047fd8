"""`soc doctor`: is the running system well?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings

_SIGNS: Final = {"ok": ("ok", "green"), "warn": ("▲ warn", "yellow"), "fail": ("■ fail", "bold red")}


def register(app: typer.Typer) -> None:
    app.command("doctor", rich_help_panel="Running")(doctor)


def doctor(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Look at the running system: disk, roles, rules, bus, store, drift of topics and templates. Exit 1 if not well."""
    from soc.app.doctor import examine

    findings = examine(settings(config, role="doctor"))
    if json_:
        output.document(ok=all(f.state == "ok" for f in findings), checks=[asdict(f) for f in findings])
    else:
        output.table(
            ("", "check", "measured", "limit", "what to do"),
            [
                (_SIGNS.get(f.state, ("? unknown", "")), f.id, f.measured, f.limit, "" if f.state == "ok" else f.fix)
                for f in findings
            ],
        )
    if any(f.state != "ok" for f in findings):
        raise typer.Exit(1)
