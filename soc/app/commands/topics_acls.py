"""`soc topics acls` and `soc topics users`: who may do what on Kafka, from its table onto the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption
from soc.app.commands.topics import DryRunOption, commands, kafka
from soc.content import unknown

TableOption = Annotated[Path, typer.Option("--table", help="The table of components, users and rights.")]

_TABLE = Path("deploy/kafka/acls.yaml")
_MECHANISM = "SCRAM-SHA-512"


def register(app: typer.Typer) -> None:
    """Into the group `soc topics`, which is registered by its own module."""
    commands.command("acls")(acls)
    commands.command("users")(users)


def acls(
    config: ConfigOption = None,
    table: TableOption = _TABLE,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Compare the table of rights with the cluster's ACLs, show the difference, and apply it.

    What it did not make (other users, other names, denials) is left alone. Exit 1 where --dry-run finds a difference.
    """
    from soc.bus.kafka.acls import apply, load_acls, plan

    components = load_acls(table)
    with kafka(config) as (cluster, bus):
        made = plan(cluster, components, bus.prefix)
        if not dry_run:
            apply(cluster, made)
    if json_:
        output.document(
            applied=not dry_run, add=[str(g) for g in made.add], remove=[str(g) for g in made.remove], kept=made.kept
        )
    else:
        rows = [("+", str(grant)) for grant in made.add] + [("-", str(grant)) for grant in made.remove]
        if rows:
            output.table(("", "right"), rows)
        done = "would be made, nothing was changed (--dry-run)" if dry_run else "made"
        output.say(f"{made.changes} changes {done}; {made.kept} rights as they are")
    if dry_run and made.changes:
        raise typer.Exit(1)


def users(
    secrets: Annotated[Path, typer.Option("--secrets", help="Folder of password files, kafka-<user>.password.")],
    config: ConfigOption = None,
    table: TableOption = _TABLE,
    renew: Annotated[list[str] | None, typer.Option("--renew", help="A user who gets a new password.")] = None,
    mechanism: Annotated[str, typer.Option("--mechanism", help="SCRAM-SHA-512 or SCRAM-SHA-256.")] = _MECHANISM,
    dry_run: DryRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Give each user of the table its SCRAM password; a password without a file is made and written (mode 0600).

    Nothing is printed but names. A user who has a password keeps it. Exit 1 where --dry-run finds a difference.
    """
    from soc.bus.kafka.acls import load_acls
    from soc.bus.kafka.users import apply, plan

    if mechanism not in ("SCRAM-SHA-512", "SCRAM-SHA-256"):
        raise typer.BadParameter(unknown(mechanism, ["SCRAM-SHA-512", "SCRAM-SHA-256"], "mechanism"))
    components = load_acls(table)
    with kafka(config) as (cluster, bus):
        names = [f"{bus.prefix}{user}" for component in components for user in component.users]
        for name in renew or ():
            if name not in names:
                raise typer.BadParameter(unknown(name, names, "user"))
        if not secrets.is_dir():
            raise typer.BadParameter(f"{secrets} is no folder")
        changes = plan(cluster, names, secrets, mechanism, renew or ())
        if not dry_run:
            apply(cluster, changes, mechanism)
    if json_:
        rows = [{"user": c.user, "change": c.what, "file": str(c.file)} for c in changes]
        output.document(applied=not dry_run, users=rows)
    else:
        output.table(("user", "change", "password file"), [(c.user, c.what, str(c.file)) for c in changes])
        if dry_run:
            output.say("nothing was changed (--dry-run)")
    if dry_run and any(c.what != "keep" for c in changes):
        raise typer.Exit(1)
