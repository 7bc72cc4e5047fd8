"""The panels of a dashboard file: a row's mapping in, Panel definitions out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, get_args

from soc.content import Mapped, unknown
from soc.kibana.definitions import MEASURES, Group, Measure, Panel, PanelKind, Search, Split, Style, View
from soc.kibana.reading import COLUMNS, Reading

_KINDS: Final = get_args(PanelKind)
_COMMON: Final = ("view", "where", "last", "width")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "metric": ("of", *_COMMON),
    "time": ("of", "by", "top", "style", *_COMMON),
    "bars": ("of", "by", "top", "split", "opens", *_COMMON),
    "table": ("rows", "columns", "opens", *_COMMON),
    "search": ("width",),
    "text": ("width",),
}
_MOST_ROWS: Final = 1000


class PanelReading:
    """Reads panels of one file. `view`: the view of panels that name none."""

    def __init__(
        self,
        reading: Reading,
        view: str,
        *,
        views: Mapping[str, View],
        searches: Mapping[str, Search],
        labels: Mapping[str, str],
        splits: Mapping[str, Split],
        dashboards: Mapping[str, Any],
    ) -> None:
        self._r = reading
        self._view = view
        self._views, self._searches, self._labels, self._splits = views, searches, labels, splits
        self._dashboards = dashboards

    def panel(self, entry: Mapped) -> Panel | None:
        """None for an entry that is no panel; the mistake is noted."""
        r = self._r
        kinds = [kind for kind in _KINDS if kind in entry]
        if len(kinds) != 1:
            r.wrong(entry.line, f"a panel has one of {', '.join(_KINDS)}")
            return None
        kind: PanelKind = kinds[0]
        r.known(entry, (kind, *_KEYS[kind]))
        title = r.text(entry, kind)
        width = r.number(entry, "width", 0, 0, COLUMNS)
        if kind == "search":
            r.one_of(entry, kind, self._searches)
            view = self._searches[title].view if title in self._searches else self._view
            return Panel(kind, "", view, width=width, search=title)
        if kind == "text":
            return Panel(kind, title, width=width)
        made = Panel(
            kind,
            title,
            r.one_of(entry, "view", self._views, self._view),
            r.query(entry),
            r.age(entry, "last"),
            width,
            opens=r.one_of(entry, "opens", self._dashboards),
        )
        if kind == "table":
            return self._table(entry, made)
        made = replace(made, measures=(self._measure(entry, "of", title),))
        if kind == "metric":
            return made
        groups = [self._named(entry, key) for key in ("by", "split") if key in entry]
        if kind == "bars" and "by" not in entry:
            r.wrong(entry.line, "bars: expected `by`, a field or a split")
        if groups and not groups[0].parts:
            groups[0] = replace(groups[0], top=r.number(entry, "top", 10, 1, 100))
        style: Style = "bars"
        if entry.get("style") is not None:
            if entry["style"] not in get_args(Style):
                r.wrong(entry.at("style"), f"style is one of {', '.join(get_args(Style))}")
            style = entry["style"]
        return replace(made, groups=tuple(groups), style=style)

    def _table(self, entry: Mapped, made: Panel) -> Panel:
        r = self._r
        measures = []
        for column in r.entries(entry, "columns"):
            r.known(column, ("of", "label", "where"))
            measures.append(replace(self._measure(column, "of", r.text(column, "label")), where=r.query(column)))
        groups = [self._row(row, len(measures)) for row in r.entries(entry, "rows")]
        if not measures or not groups:
            r.wrong(entry.line, "table: expected rows and columns")
        return replace(made, measures=tuple(measures), groups=tuple(groups))

    def _row(self, row: Mapped, measures: int) -> Group:
        r = self._r
        r.known(row, ("field", "split", "alert", "top", "by", "least", "label"))
        top = r.number(row, "top", 10, 1, _MOST_ROWS)
        by = r.number(row, "by", 0, 0, max(measures - 1, 0))
        if r.flag(row, "alert"):
            return Group("event.url", self._label("event.url", row.line), top, by=by, alert=True)
        if "split" in row:
            return self._named(row, "split")
        name = r.text(row, "field")
        label = r.text(row, "label", "") or self._label(name, row.at("field"))
        return Group(name, label, top, by=by, least=r.flag(row, "least"))

    def _named(self, entry: Mapped, key: str) -> Group:
        """A split by its name, else a field."""
        name = self._r.text(entry, key)
        if name in self._splits:
            return Group(label=self._splits[name].label, parts=self._splits[name].parts)
        return Group(name, self._label(name, entry.at(key)))

    def _measure(self, entry: Mapped, key: str, label: str) -> Measure:
        op, _, field = self._r.text(entry, key, "count").partition(" ")
        field = field.strip().strip('"')
        if op not in MEASURES:
            self._r.wrong(entry.at(key), f"{key}: {unknown(op, MEASURES, 'measure')}")
        elif bool(field) != MEASURES[op]:
            self._r.wrong(entry.at(key), f"{key}: write `{op} field`" if MEASURES[op] else f"{key}: {op} has no field")
        elif field:
            self._label(field, entry.at(key))
        return Measure(op, field, label)

    def _label(self, name: str, line: int) -> str:
        if name and self._labels and name not in self._labels:
            self._r.wrong(line, f"{unknown(name, self._labels, 'field')} (words.yml names the fields)")
        return self._labels.get(name, name)
