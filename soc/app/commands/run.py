"""`soc run` and `soc ingest`: the workers until a signal, and files sent through them once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, settings
from soc.app.logs import configure
from soc.app.stopping import stopping
from soc.app.supervisor import Role, Supervisor

run_commands = typer.Typer(
    name="run", no_args_is_help=True, help="Chạy hệ thống hoặc từng vai trò. · Run the workers until a signal."
)


def register(app: typer.Typer) -> None:
    app.add_typer(run_commands, rich_help_panel="Running")
    app.command("ingest", rich_help_panel="Running")(ingest)


@run_commands.command("all")
def run_all(config: ConfigOption = None) -> None:
    """Every role as a process of its own, watched and started again when it dies. Ctrl-C stops all cleanly."""
    settled = settings(config)
    configure("soc")
    named = ["--config", str(config)] if config else []
    members = [
        ("collect", ["collect"]),
        *((f"detect-{n}", ["detect", "--number", str(n)]) for n in range(settled.detect.workers)),
        ("alert-0", ["alert"]),
        ("watch", ["watch"]),
    ]
    supervisor = Supervisor(settled.data_dir, [Role(member, ["run", *args, *named]) for member, args in members])
    raise typer.Exit(supervisor.run(stopping()))


@run_commands.command("collect")
def run_collect(config: ConfigOption = None) -> None:
    """Listeners and watched files → topic soc.raw."""
    configure("collect")
    from soc.app import roles

    roles.collect(settings(config), stopping())


@run_commands.command("detect")
def run_detect(
    config: ConfigOption = None, number: Annotated[int, typer.Option(help="Which of the workers.")] = 0
) -> None:
    """soc.raw → events in the store, detections on soc.detections."""
    configure(f"detect-{number}")
    from soc.app import roles

    roles.detect(settings(config), stopping(), number)


@run_commands.command("alert")
def run_alert(
    config: ConfigOption = None, number: Annotated[int, typer.Option(help="Which of the workers.")] = 0
) -> None:
    """soc.detections → correlations and alerts."""
    configure(f"alert-{number}")
    from soc.app import roles

    roles.alert(settings(config), stopping(), number)


@run_commands.command("watch")
def run_watch(config: ConfigOption = None) -> None:
    """Retention and the ledger's balance."""
    configure("watch")
    from soc.app import roles

    roles.watch(settings(config), stopping())


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Log files, folders, .gz/.zst/.zip.")],
    source: Annotated[str, typer.Option(help="A source of `soc sources list`, or auto.")] = "auto",
    unit: Annotated[str, typer.Option(help="Uid of the unit that the files belong to.")] = "",
    host: Annotated[str, typer.Option(help="The machine that wrote them, for formats that do not say.")] = "",
    config: ConfigOption = None,
    json_: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Send files through collectors, bus, workers and store, and wait until they are done. Exit 1 on a deficit."""
    from soc.app.check import unknown_source, unknown_unit
    from soc.app.commands.progress import progress
    from soc.app.content import load_units_of
    from soc.app.ingest import Job
    from soc.app.ingest import ingest as send

    settled = settings(config)
    configure("ingest", quiet=True)
    if wrong := unknown_source(settled, source) or (unit and unknown_unit(load_units_of(settled), unit)):
        raise typer.BadParameter(wrong)
    for path in paths:
        if not path.exists():
            raise typer.BadParameter(f"{path} does not exist")
    with progress() as tell:
        result = send(settled, [Job(paths, source, unit, host)], stopping(), tell)
    if json_:
        output.document(**result)
    else:
        output.table(list(result), [[str(value) for value in result.values()]])
    if result["deficit"]:
        raise typer.Exit(1)
