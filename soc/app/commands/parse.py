"""`soc parse`: raw lines in, the ECS events that the pipeline would make of them out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, settings
from soc.app.paths import existing
from soc.event import RawRecord, RecordError, Rejected, nested, parse_rfc3339


def register(app: typer.Typer) -> None:
    app.command("parse", rich_help_panel="Rules and sources")(parse)


def parse(
    path: Annotated[Path, typer.Argument(help="A file, a folder, or - for standard input.")],
    source: Annotated[str, typer.Option(help="A source of `soc sources list`, or auto.")] = "auto",
    received: Annotated[
        str | None, typer.Option(help="RFC 3339 time of arrival, for what a format leaves out. (default: now)")
    ] = None,
    config: ConfigOption = None,
    json_: Annotated[bool, typer.Option("--json", help="The output is NDJSON with and without it.")] = False,
) -> None:
    """Show what the parser makes of raw lines: an NDJSON line per event (nested ECS), or the error and the original."""
    from soc.app.reading import records
    from soc.normalize import load_sources

    if path != Path("-") and not path.exists():
        raise typer.BadParameter(f"{path} does not exist")
    sources = load_sources(existing(settings(config).sources, "sources"))
    if source != "auto" and source not in sources.names:
        raise typer.BadParameter(f"no source {source!r}; `soc sources list` shows those there are")
    try:
        at = parse_rfc3339(received) if received else datetime.now(UTC)
    except ValueError as wrong:
        raise typer.BadParameter(f"--received: {wrong}") from None
    for item in records([path], sources, source, at):
        if isinstance(item, Rejected):
            _error(item.code, item.detail, item.record)
            continue
        try:
            events = sources.events(item)
        except RecordError as error:
            _error(error.code, error.detail, item)
            continue
        for event in events:
            output.line(nested(event.fields))


def _error(code: str, detail: str, record: RawRecord) -> None:
    original = record.data.decode("utf-8", "backslashreplace")
    output.line({"error": {"code": code, "detail": detail}, "event": {"original": original}})
