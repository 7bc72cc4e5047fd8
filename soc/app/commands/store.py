"""`soc store`: the templates of the Elasticsearch store, from the program onto the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soc.app.backends import elastic_access
from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings
from soc.app.config_backends import ElasticsearchStoreConfig
from soc.app.credentials import as_role

if TYPE_CHECKING:  # the client library is loaded where its server is used
    from soc.store.elasticsearch.access import Server

commands = typer.Typer(
    name="store",
    no_args_is_help=True,
    help="Mẫu chỉ mục, khóa API của Elasticsearch. · Elasticsearch's templates, keys.",
)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Running")


@contextmanager
def elasticsearch(config: Path | None) -> Iterator[tuple[Server, ElasticsearchStoreConfig]]:
    """The configured cluster, asked as the role admin. Raises typer.BadParameter where the store is none."""
    store = as_role(settings(config), "admin").store
    if not isinstance(store, ElasticsearchStoreConfig):
        raise typer.BadParameter("the configuration's store is not of type elasticsearch (see deploy/distributed.yaml)")
    from soc.store.elasticsearch.access import Server

    server = Server(store.hosts, elastic_access(store))
    try:
        yield server, store
    finally:
        server.close()


@commands.command("apply")
def apply_store(config: ConfigOption = None, dry_run: DryRunOption = False, json_: JsonOption = False) -> None:
    """Compare the templates with the cluster, show the difference, and apply it. Indices that exist stay as they are.

    Templates that are not ours are left alone; nothing is deleted. Exit 1 where --dry-run finds a difference.
    """
    from soc.app.templates import wanted
    from soc.store.elasticsearch.apply import apply, changes

    with elasticsearch(config) as (server, store):
        found = changes(server, wanted(store))
        for sentence in server.lacking():
            output.say(f"the server: {sentence}")
        differing = [c for c in found if c.action != "same"]
        if differing and not json_:
            rows = [(c.template.name, c.action, line) for c in differing for line in c.differences or ("",)]
            output.table(("template", "action", "is → should be"), rows)
        if not dry_run:
            apply(server, found)
    if json_:
        output.document(
            applied=not dry_run,
            kept=len(found) - len(differing),
            changes=[
                {"template": c.template.name, "action": c.action, "differences": list(c.differences)} for c in differing
            ],
        )
    else:
        done = "would be made, nothing was changed (--dry-run)" if dry_run else "made"
        output.say(f"{len(differing)} changes {done}; {len(found) - len(differing)} templates as they are")
    if dry_run and differing:
        raise typer.Exit(1)
