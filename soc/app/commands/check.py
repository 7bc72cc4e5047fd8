"""`soc check`: is the configuration right, and can it run here?"""

from __future__ import annotations

from typing import Annotated

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings


def register(app: typer.Typer) -> None:
    app.command("check", rich_help_panel="Running")(check)


def check(
    config: ConfigOption = None,
    environment: Annotated[bool, typer.Option(help="Look at this machine, too: folders, ports, free disk.")] = True,
    json_: JsonOption = False,
) -> None:
    """Check the configuration, everything that it names, and this machine.

    Exit 0 if all is well, 1 if this machine lacks something or a rule is refused, 3 if the content is wrong.
    """
    from soc.app.check import check as examine

    report = examine(settings(config), environment)
    if json_:
        output.document(
            ok=not report.errors and not report.findings,
            errors=[{"file": e.path, "line": e.line, "message": e.why} for e in report.errors],
            findings=report.findings,
        )
    else:
        for error in report.errors:
            output.say(str(error))
        for finding in report.findings:
            output.say(finding)
        if (content := report.content) is not None:
            rules = len(content.rules.rules) + len(content.rules.correlations)
            output.say(f"{len(content.sources)} sources, {rules} rules, {len(content.rules.refused)} refused")
    if report.errors:
        raise typer.Exit(3)
    if report.findings:
        raise typer.Exit(1)
