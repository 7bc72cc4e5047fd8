"""`soc sources`: the log formats we read, and when each registered source was last heard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import typer

from soc.alert import words
from soc.app.backends import stored
from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings
from soc.app.paths import existing
from soc.event import rfc3339

commands = typer.Typer(
    name="sources", no_args_is_help=True, help="Nguồn nhật ký: danh mục, tình trạng. · Log sources and their health."
)

#: A source counts as silent once it has been quiet for this long (learned intervals per source come with the watch).
_EXPECTED: Final = timedelta(hours=1)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Rules and sources")


@commands.command("list")
def list_sources(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every source definition: its name, format and Sigma log sources."""
    from soc.normalize import load_sources

    sources = load_sources(existing(settings(config, reading=True).sources, "sources"))
    rows = [sources.get(name) for name in sources.names]
    if json_:
        output.document(
            sources=[
                {
                    "name": s.name,
                    "title": s.title,
                    "format": s.format,
                    "logsources": [
                        {"product": x.product, "category": x.category, "service": x.service} for x in s.logsources
                    ],
                    "samples": [str(path) for path in s.samples],
                }
                for s in rows
            ]
        )
        return
    output.table(("name", "format", "title"), [(s.name, s.format, s.title) for s in rows])


@commands.command("status")
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Per registered unit and source: heard when, how much, and whether it has gone silent."""
    now = datetime.now(UTC)
    settled = settings(config, reading=True)
    seen = {(unit, source): (last, count) for unit, source, _, last, count in stored(settled).sources_seen()}
    for collector in settled.collect:
        if collector.source != "auto":
            seen.setdefault((collector.unit, collector.source), (None, 0))  # type: ignore[arg-type]
    rows = []
    for (unit, source), (last, count) in sorted(seen.items()):
        state = "never" if last is None else "ok" if now - last <= _EXPECTED else "silent"
        rows.append((source, unit, state, last, count))
    if json_:
        output.document(
            sources=[
                {"source": source, "unit": unit, "state": state, "last_seen": rfc3339(last) if last else None}
                | {"expected_interval_s": int(_EXPECTED.total_seconds()), "events": count}
                for source, unit, state, last, count in rows
            ]
        )
        return
    output.table(
        ("source", "unit", "state", "last seen (VN)", ">events"),
        [(s, u or "-", state, words.moment(last) if last else "-", str(n)) for s, u, state, last, n in rows],
    )
