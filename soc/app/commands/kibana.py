"""`soc kibana`: what analysts see in Kibana, written as files to review, and applied."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, language, settings
from soc.app.config import Config

if TYPE_CHECKING:
    from soc.kibana import Change

commands = typer.Typer(
    name="kibana",
    no_args_is_help=True,
    help="Nội dung Kibana: bảng điều khiển, tìm kiếm, quyền, luật đưa cảnh báo. · Content for Kibana.",
)

#: What stands before each object, as in a diff.
_SIGNS: Final = {"create": "+", "update": "~", "remove": "-", "edited": "!", "skipped": "?", "same": " "}


class Mode(StrEnum):
    auto = "auto"
    single = "single"
    per_rule = "per-rule"


ModeOption = Annotated[
    Mode | None,
    typer.Option("--mode", help="Promotion: one rule, or one for each rule that may alert. (default: kibana.mode)"),
]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Servers")


@commands.command("export")
def export(
    config: ConfigOption = None,
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("kibana-export"),
    mode: ModeOption = None,
    json_: JsonOption = False,
) -> None:
    """Write every object as the JSON that Kibana takes; the same content gives the same bytes."""
    from soc.app.kibana_content import wanted
    from soc.kibana import files, write

    settled = settings(config)
    items, setup = wanted(settled, language(settled), mode.value if mode else None)
    _warn(settled)
    made = files(items, setup)
    over = write(made, out)
    for path in over:
        output.say(f"{path}: of an earlier export, not written by this one")
    counts = Counter(item.kind for item in items)
    if json_:
        told = {"folder": str(out), "files": list(map(str, made)), "left_over": list(map(str, over))}
        output.document(**told, counts=dict(counts))
        return
    output.say(f"{out}: {len(made)} files ({_counted(counts)})")


@commands.command("apply")
def apply(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change. Exit 1 if there is something.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put ours back where somebody changed an object in Kibana.")
    ] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="Import every promotion rule again: they run with the key of their import.")
    ] = False,
    mode: ModeOption = None,
    json_: JsonOption = False,
) -> None:
    """Show what differs from the Kibana at kibana.url, then create and update it."""
    from soc.app.kibana_content import opened, wanted
    from soc.kibana import DOING, plan
    from soc.kibana import apply as carry_out

    settled = settings(config, role="admin")
    kibana = opened(settled)
    items, setup = wanted(settled, language(settled), mode.value if mode else None)
    _warn(settled)
    changes = plan(kibana, items, setup, overwrite=overwrite, renew=renew)
    doing = sum(change.action in DOING for change in changes)
    if not json_:
        _show(changes)
    if not dry_run:
        carry_out(kibana, changes)
    if json_:
        output.document(applied=not dry_run, changes=[_told(change) for change in changes])
    else:
        counts = Counter(change.action for change in changes)
        output.say(f"{kibana.url}: {_counted(counts)}" + (" (dry run)" if dry_run else ""))
    if dry_run and doing:
        raise typer.Exit(1)


def _show(changes: list[Change]) -> None:
    for change in changes:
        if change.action == "same":
            continue
        item = change.item
        name = f"{item.space}/{item.id}" if item.space else item.id
        typer.echo(output.printable(f"{_SIGNS[change.action]} {change.action:7} {item.kind:9} {name}  {item.title}"))
        if change.why:
            typer.echo(output.printable(f"          {'; '.join(change.why)}"))


def _told(change: Change) -> dict[str, Any]:
    item = change.item
    return {
        "action": change.action,
        "kind": item.kind,
        "space": item.space,
        "id": item.id,
        "title": item.title,
        "why": list(change.why),
    }


def _counted(counts: Counter[Any]) -> str:
    return ", ".join(f"{number} {word}" for word, number in counts.items()) or "nothing"


def _warn(config: Config) -> None:
    if not config.console_url:
        output.say("console_url is not set: alerts carry no link to the console, and dashboards do not open them")
