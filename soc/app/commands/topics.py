"""`soc topics`: the topics of the Kafka bus, from their table onto the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.app.backends import kafka_access
from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings
from soc.app.config_backends import KafkaBusConfig
from soc.app.credentials import as_role

if TYPE_CHECKING:  # the client library is loaded where its server is used
    from soc.bus.kafka.administration import Administration

commands = typer.Typer(
    name="topics", no_args_is_help=True, help="Topic, quyền, người dùng của Kafka. · Kafka's topics, rights and users."
)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Running")


@contextmanager
def kafka(config: Path | None) -> Iterator[tuple[Administration, KafkaBusConfig]]:
    """The configured Kafka, asked as the role admin. Raises typer.BadParameter where the bus is none."""
    bus = as_role(settings(config), "admin").bus
    if not isinstance(bus, KafkaBusConfig):
        raise typer.BadParameter("the configuration's bus is not of type kafka (see deploy/distributed.yaml)")
    from soc.bus.kafka.access import Cluster
    from soc.bus.kafka.administration import Administration

    cluster = Administration(Cluster(bus.bootstrap, kafka_access(bus)))
    try:
        yield cluster, bus
    finally:
        cluster.close()


@commands.command("apply")
def apply_topics(config: ConfigOption = None, dry_run: DryRunOption = False, json_: JsonOption = False) -> None:
    """Compare the table of topics (bus.topics) with the cluster, show the difference, and apply it.

    Topics and settings that the table does not name are left alone; nothing is deleted. Exit 1 where --dry-run finds a
    difference, or where something is left that only a person can change.
    """
    from soc.bus.kafka.topics import apply, plan
    from soc.bus.kafka.topics_table import load_topics

    with kafka(config) as (cluster, bus):
        made = plan(cluster, load_topics(bus.topics), bus.prefix)
        if not json_:
            rows = [(c.topic, c.what, c.before or "-", c.after, c.why) for c in (*made.changes, *made.by_hand)]
            if rows:
                output.table(("topic", "what", "is", "should be", ""), rows)
        if not dry_run:
            apply(cluster, made)
    if json_:
        named = ("changes", made.changes), ("by_hand", made.by_hand)
        output.document(
            applied=not dry_run,
            kept=made.kept,
            **{
                name: [
                    {"topic": c.topic, "what": c.what, "before": c.before, "after": c.after, "why": c.why} for c in some
                ]
                for name, some in named
            },
        )
    else:
        done = "would be made, nothing was changed (--dry-run)" if dry_run else "made"
        output.say(f"{len(made.changes)} changes {done}; {len(made.by_hand)} by hand; {made.kept} topics as they are")
    if made.by_hand or (dry_run and made.changes):
        raise typer.Exit(1)
