"""A live progress bar on stderr, where that is a terminal: (phase, done, total) in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from soc.app.commands.output import quiet
from soc.app.ingest import Tell
from soc.bus.base import DETECTIONS, RAW, REJECTED

_PHASES: Final = {
    "read": "đọc tệp · reading",
    RAW: "phát hiện · detecting",
    REJECTED: "bản ghi bị loại · set aside",
    DETECTIONS: "cảnh báo · alerting",
}


@contextmanager
def progress() -> Iterator[Tell]:
    """What `ingest` tells, shown; nothing at all where nobody looks."""
    if quiet():
        yield lambda phase, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<28}"), BarColumn(40), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def tell(phase: str, done: int, total: int) -> None:
            if not total:
                return
            if phase not in tasks:
                tasks[phase] = bars.add_task(_PHASES.get(phase, phase), total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield tell
