"""Objects in, a folder that a person can review out: the same objects are the same bytes.

    <space>/space.json · role.json · data_views/*.json · searches/*.json · dashboards/*.json · rules.ndjson

Each file is the body that the API takes; rules.ndjson is a file for Elastic Security's own import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from soc.kibana.item import Item, Kind, text
from soc.kibana.setup import Setup

_FOLDERS: Final[Mapping[Kind, str]] = {"data_view": "data_views", "search": "searches", "dashboard": "dashboards"}


def files(items: Iterable[Item], setup: Setup) -> dict[Path, bytes]:
    """Relative path → content."""
    made: dict[Path, bytes] = {}
    rules: dict[Path, list[bytes]] = {}
    of_role = {space.role: space.id for space in setup.spaces}
    for item in items:
        if item.kind == "rule":
            rules.setdefault(Path(item.space, "rules.ndjson"), []).append(text(item.body) + b"\n")
        elif item.kind == "space":
            made[Path(item.id, "space.json")] = _pretty(item)
        elif item.kind == "role":
            made[Path(of_role[item.id], "role.json")] = _pretty(item)
        else:
            made[Path(item.space, _FOLDERS[item.kind], f"{item.id}.json")] = _pretty(item)
    made |= {path: b"".join(lines) for path, lines in rules.items()}
    return dict(sorted(made.items()))


def write(made: Mapping[Path, bytes], folder: Path) -> list[Path]:
    """Writes what differs. The files of an earlier export that this one does not have; they are left for a person."""
    for path, content in made.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != content:
            target.write_bytes(content)
    spaces = {path.parts[0] for path in made}
    there = (p for space in sorted(spaces) for p in sorted((folder / space).rglob("*")))
    return [p for p in there if p.suffix in {".json", ".ndjson"} and p.relative_to(folder) not in made]


def _pretty(item: Item) -> bytes:
    return text(item.body, indent=True) + b"\n"
