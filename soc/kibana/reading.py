"""Mappings of deploy/kibana in, typed values out; every mistake is collected with its file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from soc.alert.policy import duration
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors
from soc.kibana import kql


@dataclass(slots=True)
class Reading:
    """One file. `errors` is shared by all files of a load."""

    path: Path
    errors: list[ContentError] = field(default_factory=list)

    def wrong(self, line: int, why: str) -> None:
        self.errors.append(ContentError(self.path, line, why))

    def file(self) -> Mapped:
        """The file's mapping; an empty one where it is none."""
        try:
            content = read_yaml(self.path)
        except ContentErrors as found:
            self.errors += found.errors
            return _empty(0)
        return self.mapping(content, 0, "the file")

    def mapping(self, value: Any, line: int, what: str) -> Mapped:
        if isinstance(value, Mapped):
            return value
        if value is not None:
            self.wrong(line, f"{what}: expected a mapping")
        return _empty(line)

    def known(self, entry: Mapped, keys: Sequence[str]) -> None:
        for key in entry:
            if key not in keys:
                self.wrong(entry.at(key), unknown(key, keys))

    def text(self, entry: Mapped, key: str, default: str | None = None) -> str:
        """`default` None: the text is needed."""
        value = entry.get(key, default)
        if isinstance(value, str) and (value.strip() or default is not None):
            return value
        self.wrong(entry.at(key), f"{key}: expected a text")
        return ""

    def texts(self, entry: Mapped, key: str) -> tuple[str, ...]:
        value = entry.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.wrong(entry.at(key), f"{key}: expected a list of texts")
        return ()

    def number(self, entry: Mapped, key: str, default: int, low: int, high: int) -> int:
        value = entry.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.wrong(entry.at(key), f"{key}: expected a whole number from {low} to {high}")
        return default

    def flag(self, entry: Mapped, key: str) -> bool:
        value = entry.get(key, False)
        if not isinstance(value, bool):
            self.wrong(entry.at(key), f"{key}: expected yes or no")
        return value is True

    def query(self, entry: Mapped, key: str = "where") -> str:
        """A query of Kibana's language; "" where there is none."""
        value = self.text(entry, key, "")
        if value:
            try:
                kql.parse(value)
            except kql.KqlError as wrong:
                self.wrong(entry.at(key), f"{key}: {wrong}")
        return value

    def age(self, entry: Mapped, key: str, default: str = "") -> str:
        value = self.text(entry, key, default)
        if value:
            try:
                duration(value)
            except ValueError as wrong:
                self.wrong(entry.at(key), f"{key}: {wrong}")
        return value

    def entries(self, entry: Mapped, key: str) -> Iterator[Mapped]:
        """The mappings of a list."""
        value = entry.get(key, [])
        if not isinstance(value, list):
            self.wrong(entry.at(key), f"{key}: expected a list")
            return
        for one in value:
            if isinstance(one, Mapped):
                yield one
            else:
                self.wrong(entry.at(key), f"{key}: expected a list of mappings")

    def one_of(self, entry: Mapped, key: str, names: Mapping[str, Any], default: str = "") -> str:
        """A name that stands in `names`; "" where the entry has none and `default` is ""."""
        value = self.text(entry, key, default)
        if value and value not in names:
            self.wrong(entry.at(key), f"{key}: {unknown(value, names, 'name')}")
        return value


def _empty(line: int) -> Mapped:
    made = Mapped()
    made.line, made.lines = line, {}
    return made


#: Kibana's grid has 48 columns.
COLUMNS: Final = 48
