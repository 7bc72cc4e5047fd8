"""What commands print: data on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import typer

from soc.alert.policy import duration
from soc.alert.words import VIETNAM
from soc.event import parse_rfc3339

SCHEMA: Final = 1


def document(**content: Any) -> None:
    """One JSON document with the schema's number."""
    sys.stdout.buffer.write(
        orjson.dumps({"schema": SCHEMA, **content}, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    sys.stdout.flush()


def line(content: Mapping[str, Any]) -> None:
    """One NDJSON line."""
    sys.stdout.buffer.write(orjson.dumps(content, default=str, option=orjson.OPT_APPEND_NEWLINE))


def say(text: str) -> None:
    """A sentence for the person at the terminal, on stderr."""
    typer.echo(text, err=True)


#: A cell: text, or text with a rich style that a terminal shows.
Cell = str | tuple[str, str]


def table(columns: Iterable[str], rows: Iterable[Iterable[Cell]], title: str = "") -> None:
    """A table on stdout; plain aligned text where stdout is no terminal. A column that begins with ">" is numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 200)
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        styled = ((cell, "") if isinstance(cell, str) else cell for cell in row)
        made.add_row(*(Text(printable(text), style) for text, style in styled))
    console.print(made)


def printable(text: str) -> str:
    """Text from a log made safe for a terminal: control characters (escape sequences, too) are shown, not sent."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


def moment(text: str | None, now: datetime) -> datetime | None:
    """The time of --since and --until: RFC 3339, yyyy-mm-dd (Vietnam's midnight), or an age such as 8h.

    Raises typer.BadParameter (exit 2).
    """
    if text is None:
        return None
    try:
        return now - duration(text)
    except ValueError:
        pass
    try:
        if len(text) == 10:
            return datetime.fromisoformat(text).replace(tzinfo=VIETNAM).astimezone(UTC)
        return parse_rfc3339(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 2026-11-24T08:00:00+07:00, 2026-11-24, or an age such as 8h or 7d"
        ) from None


def ago(moment: datetime, now: datetime) -> str:
    """Short age: 40s, 5m, 3h, 2d."""
    seconds = max(0, int((now - moment) / timedelta(seconds=1)))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def quiet() -> bool:
    """Whether progress is unwanted: stderr is no terminal, or SOC_QUIET is set."""
    return bool(os.environ.get("SOC_QUIET")) or not sys.stderr.isatty()
