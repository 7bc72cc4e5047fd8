"""`soc hunt`: a rule set over log files as they are, with no configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from soc.alert import words
from soc.alert.policy import LEVELS, rank
from soc.app.commands import output
from soc.app.commands.options import Lang, language
from soc.app.paths import existing, pipeline_files, shipped
from soc.event import ContentError

if TYPE_CHECKING:
    from soc.app import hunt as engine
    from soc.detect import RuleSet

_SHOWN: Final = 20


def register(app: typer.Typer) -> None:
    app.command("hunt", rich_help_panel="Triage")(hunt)


def hunt(
    paths: Annotated[list[Path], typer.Argument(help="Log files, folders, .gz/.zst/.zip, or - for standard input.")],
    rules: Annotated[list[Path] | None, typer.Option("--rules", help="Rule folder, file or release archive.")] = None,
    source: Annotated[str, typer.Option(help="A source of `soc sources list`; auto finds it per file.")] = "auto",
    pipeline: Annotated[list[Path] | None, typer.Option(help="Sigma processing pipeline beside ours.")] = None,
    min_level: Annotated[str, typer.Option(help=f"One of {', '.join(LEVELS)}.")] = "informational",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="NDJSON, one line per record and rule.")] = False,
    stats: Annotated[Path | None, typer.Option(help="Write figures of the run to this file.")] = None,
) -> None:
    """Run a rule set over log files as they are, with no configuration.

    Exit 0 with or without matches, 3 if no rule loads.
    """
    from soc.app import hunt as engine
    from soc.normalize import load_sources

    if min_level not in LEVELS:
        raise typer.BadParameter(f"--min-level is one of {', '.join(LEVELS)}, not {min_level!r}")
    for path in paths:
        if path != Path("-") and not path.exists():
            raise typer.BadParameter(f"{path} does not exist")
    began = engine.clock()
    loaded = _rules(rules or [shipped("rules")], pipeline or [])
    sources = load_sources([shipped("pipelines/sources")])
    if source != "auto" and source not in sources.names:
        raise typer.BadParameter(f"no source {source!r}; `soc sources list` shows those there are")
    load_s = engine.clock() - began
    total = engine.Found()
    matches = 0
    with _progress() as advance:
        for found in engine.hunt(engine.Hunt(loaded, sources, source, min_level), paths, jobs, advance):
            matches += len(found.lines)
            if json_:
                for line in found.lines:
                    output.line(line)
                found.lines = []
            found.feeding = []
            total.add(found)
    wall_s = engine.clock() - began
    _say(total, json_)
    if not json_:
        _tables(total.lines, language())
        output.say(f"{total.events} events, {matches} matches, {wall_s:.1f} s")
    if stats:
        stats.write_bytes(
            orjson.dumps(
                _figures(total, matches, loaded, load_s, wall_s, engine.usage()),
                option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
            )
        )


def _rules(paths: list[Path], pipelines: list[Path]) -> RuleSet:
    from soc.detect import load_rules

    files = [*pipeline_files([shipped("pipelines/sigma")]), *existing(pipelines, "--pipeline")]
    loaded = load_rules(existing(paths, "--rules"), files)
    for refused in loaded.refused[:_SHOWN]:
        output.say(f"rule refused: {refused}")
    if len(loaded.refused) > _SHOWN:
        output.say(f"… and {len(loaded.refused) - _SHOWN} more refused; --stats FILE lists all")
    if not loaded.rules and not loaded.correlations:
        raise ContentError(paths[0], 0, "no rule loads")
    return loaded


def _figures(
    total: engine.Found, matches: int, loaded: RuleSet, load_s: float, wall_s: float, used: dict[str, float]
) -> dict[str, Any]:
    return {
        "schema": output.SCHEMA,
        "events": total.events,
        "rejected": total.rejected,
        "matches": matches,
        "rules_loaded": len(loaded.rules) + len(loaded.correlations),
        "rules_refused": [{"file": r.path, "line": r.line, "reason": r.why} for r in loaded.refused],
        "load_s": round(load_s, 3),
        "wall_s": round(wall_s, 3),
        **used,
        "events_per_s": round(total.events / max(1e-6, wall_s - load_s), 1),
    }


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A counter of events on stderr, where that is a terminal."""
    if output.quiet():
        yield lambda events: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} events"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda events: bar.advance(task, events)


def _say(total: engine.Found, brief: bool) -> None:
    """Which source was found for which files, and what could not be read."""
    if not brief:
        for source, files in Counter(total.sources.values()).most_common():
            output.say(f"{files} file{'s' if files != 1 else ''} read as {source}")
        unknown = sorted(file for file, source in total.sources.items() if source == "unknown")
        for file in unknown[:_SHOWN]:
            output.say(f"no source knows {file}: keyword rules alone can match it")
    for problem in total.problems[:_SHOWN]:
        output.say(f"set aside: {problem}")
    if len(total.problems) > _SHOWN:
        output.say(f"… {total.rejected} records set aside in all")


def _tables(lines: list[dict[str, Any]], lang: str) -> None:
    """Matches by rule and host, the gravest first; then correlations."""
    vi = lang == Lang.vi
    counts: Counter[tuple[str, str, str]] = Counter()
    correlations: list[Mapping[str, Any]] = []
    for line in lines:
        if "group" in line:
            correlations.append(line)
        else:
            counts[line["rule"]["level"], line["rule"]["title"], str(line["host"] or "")] += 1
    rows = sorted(counts.items(), key=lambda item: (-rank(item[0][0]), -item[1], item[0]))
    output.table(
        ("mức độ", "luật", "máy", ">bản ghi") if vi else ("level", "rule", "host", ">records"),
        [(_level(level, lang), title, host, str(n)) for (level, title, host), n in rows],
    )
    if correlations:
        output.table(
            ("mức độ", "tương quan", "nhóm", ">sự kiện", "từ", "đến")
            if vi
            else ("level", "correlation", "group", ">events", "first", "last"),
            [
                (
                    *(_level(c["rule"]["level"], lang), c["rule"]["title"], words.group_text(c["group"])),
                    *(str(c["count"]), str(c["first"]), str(c["last"])),
                )
                for c in correlations
            ],
        )


def _level(level: str, lang: str) -> str:
    return words.LEVELS_VI.get(level, level) if lang == Lang.vi else level
