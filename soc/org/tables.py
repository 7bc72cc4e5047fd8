"""Tables of an organisation's folder: `<stem>.csv`, `.yml` or `.yaml` → rows of text with their line numbers.

Values stay text until their reader gives them a type, so `08` in YAML stays "08" and never becomes a number.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from soc.content import unknown
from soc.event import ContentError

_SUFFIXES: Final = (".csv", ".yml", ".yaml")


class Row(NamedTuple):
    """One row: the 1-based line where it begins, and a text for every column ("" where none is given)."""

    line: int
    values: dict[str, str]


def find_table(folder: Path, stem: str, errors: list[ContentError]) -> Path | None:
    """The one file of that stem; None if there is none, an error if there are two."""
    found = [folder / f"{stem}{s}" for s in _SUFFIXES if (folder / f"{stem}{s}").is_file()]
    if len(found) > 1:
        errors.append(ContentError(found[1], 0, f"{found[0].name} says the same thing; keep one of them"))
    return found[0] if found else None


def read_table(path: Path, columns: Mapping[str, bool], errors: list[ContentError]) -> list[Row]:
    """Rows of a CSV or YAML table. `columns`: name → whether a value is required. Errors are collected."""
    return read_csv(path, columns, errors) if path.suffix == ".csv" else _read_yaml(path, columns, errors)


def read_csv(path: Path, columns: Mapping[str, bool], errors: list[ContentError]) -> list[Row]:
    """Rows of a UTF-8 CSV with a header (a byte order mark is tolerated, blank lines and `#` lines are skipped)."""
    text = _text(path, errors)
    if text is None:
        return []
    rows: list[Row] = []
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    header: list[str] | None = None
    try:
        begin = 1
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cells) or cells[0].startswith("#"):
                continue
            if header is None:
                header = [c.strip() for c in cells]
                if not _known_columns(path, line, header, columns, errors):
                    return []
            elif len(cells) > len(header):
                errors.append(ContentError(path, line, f"{len(cells)} cells under {len(header)} columns"))
            else:
                _add(path, line, dict(zip(header, map(str.strip, cells), strict=False)), columns, rows, errors)
    except csv.Error as error:
        errors.append(ContentError(path, reader.line_num, f"not CSV: {error}"))
    return rows


def _read_yaml(path: Path, columns: Mapping[str, bool], errors: list[ContentError]) -> list[Row]:
    text = _text(path, errors)
    if text is None:
        return []
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        errors.append(ContentError(path, line, f"not YAML: {error.problem or error.context}"))
        return []
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        errors.append(ContentError(path, 1, "expected a list of mappings"))
        return []
    rows: list[Row] = []
    for node in root.value:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            errors.append(ContentError(path, line, "expected a mapping of " + ", ".join(columns)))
            continue
        names = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        if len(set(names)) < len(node.value):
            errors.append(ContentError(path, line, "a key stands twice or is no plain name"))
        elif _known_columns(path, line, names, columns, errors, whole=False):
            _add(path, line, {k.value: _scalar(v) for k, v in node.value}, columns, rows, errors)
    return rows


def _scalar(node: yaml.Node) -> str:
    """Text of a value; a list is joined by ";" (as CSV cells hold lists); null is ""."""
    if isinstance(node, yaml.SequenceNode):
        return ";".join(_scalar(item) for item in node.value)
    value = node.value
    if not isinstance(value, str) or node.tag == "tag:yaml.org,2002:null":
        return ""
    return value.strip()


def _text(path: Path, errors: list[ContentError]) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        errors.append(ContentError(path, 0, f"cannot be read: {error.strerror}"))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        errors.append(ContentError(path, line, "not UTF-8; save the file as UTF-8"))
    return None


def _known_columns(
    path: Path,
    line: int,
    names: list[str],
    columns: Mapping[str, bool],
    errors: list[ContentError],
    *,
    whole: bool = True,
) -> bool:
    """All names are columns, none twice, and (a header, `whole`) every required one is there."""
    before = len(errors)
    for name in names:
        if name not in columns:
            errors.append(ContentError(path, line, unknown(name, columns, "column")))
        elif names.count(name) > 1:
            errors.append(ContentError(path, line, f"column {name!r} stands twice"))
    for name, required in columns.items():
        if whole and required and name not in names:
            errors.append(ContentError(path, line, f"column {name!r} is missing"))
    return len(errors) == before


def _add(
    path: Path,
    line: int,
    given: dict[str, str],
    columns: Mapping[str, bool],
    rows: list[Row],
    errors: list[ContentError],
) -> None:
    missing = [name for name, required in columns.items() if required and not given.get(name)]
    if missing:
        errors.append(ContentError(path, line, f"no value for {', '.join(missing)}"))
    else:
        rows.append(Row(line, {name: given.get(name, "") for name in columns}))
