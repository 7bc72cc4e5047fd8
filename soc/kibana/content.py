"""The folder deploy/kibana in, checked definitions out.

views.yml · words.yml · searches.yml · dashboards/*.yml · access.yml · attack.yml; docs/kibana.md explains each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from soc.alert.policy import duration
from soc.content import Mapped
from soc.event import ContentError, ContentErrors
from soc.kibana.attack import Matrix
from soc.kibana.definitions import Access, Choice, Content, Control, Dashboard, Row, Search, Split, View
from soc.kibana.panels_read import PanelReading
from soc.kibana.reading import COLUMNS, Reading

#: What the rest of this room refers to by name.
VIEWS: Final = ("events", "alerts")
_LEAST_REFRESH_S: Final = 5


def load_content(folder: Path) -> Content:
    """Raises ContentErrors with every mistake of every file."""
    return _Loading(folder).content()


class _Loading:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._errors: list[ContentError] = []
        self._labels: dict[str, str] = {}
        self._splits: dict[str, Split] = {}
        self._controls: dict[str, Control] = {}

    def content(self) -> Content:
        words, names = self._open("words.yml")
        self._words(words, names)
        values = {
            name: {value: str(word) for value, word in names.mapping(said, 0, name).items()}
            for name, said in names.mapping(words.get("values"), words.at("values"), "values").items()
        }
        views = self._views()
        searches = self._searches(views)
        paths = sorted((self._folder / "dashboards").glob("*.yml"))
        if not paths:
            self._errors.append(ContentError(self._folder / "dashboards", 0, "holds no dashboard (*.yml)"))
        known = {path.stem: path for path in paths}
        dashboards = [self._dashboard(path, views, searches, known) for path in paths]
        access, reading = self._open("access.yml")
        reading.known(access, ("staff", "group"))
        made = Content(
            views,
            searches,
            dashboards,
            self._labels,
            values,
            names.texts(words, "links"),
            self._access(access, reading, "staff"),
            self._access(access, reading, "group"),
            self._attack(),
        )
        if self._errors:
            raise ContentErrors(self._errors)
        return made

    def _open(self, name: str) -> tuple[Mapped, Reading]:
        reading = Reading(self._folder / name, self._errors)
        return reading.file(), reading

    def _words(self, words: Mapped, r: Reading) -> None:
        r.known(words, ("labels", "values", "links", "splits", "controls"))
        labels = r.mapping(words.get("labels"), words.at("labels"), "labels")
        self._labels = {name: r.text(labels, name) for name in labels}
        splits = r.mapping(words.get("splits"), words.at("splits"), "splits")
        for name in splits:
            entry = r.mapping(splits[name], splits.at(name), name)
            r.known(entry, ("label", "parts"))
            parts = []
            for part in r.entries(entry, "parts"):
                r.known(part, ("label", "where"))
                parts.append(Choice(r.text(part, "label"), r.query(part)))
            self._splits[name] = Split(r.text(entry, "label"), tuple(parts))
        controls = r.mapping(words.get("controls"), words.at("controls"), "controls")
        for name in controls:
            field = r.one_of(controls, name, self._labels)
            self._controls[name] = Control(self._labels.get(field, field), field)

    def _views(self) -> dict[str, View]:
        content, r = self._open("views.yml")
        made = {}
        for name in content:
            entry = r.mapping(content[name], content.at(name), name)
            r.known(entry, ("title", "index", "staff", "apart"))
            flags = r.flag(entry, "staff"), r.flag(entry, "apart")
            view = made[name] = View(name, r.text(entry, "title"), r.text(entry, "index"), *flags)
            if ("{namespace}" in view.index) == ("{default}" in view.index):
                r.wrong(entry.at("index"), "index: expected {namespace} or {default}, so that no group sees another's")
        for name in VIEWS:
            if name not in made:
                r.wrong(0, f"the view {name} is needed")
        return made

    def _searches(self, views: Mapping[str, View]) -> dict[str, Search]:
        content, r = self._open("searches.yml")
        made = {}
        for name in content:
            entry = r.mapping(content[name], content.at(name), name)
            r.known(entry, ("title", "question", "view", "where", "columns"))
            columns = r.texts(entry, "columns")
            for column in columns:
                if self._labels and column not in self._labels:
                    r.wrong(entry.at("columns"), f"{column}: words.yml has no name for this field")
            view = r.one_of(entry, "view", views)
            made[name] = Search(name, r.text(entry, "title"), r.text(entry, "question"), view, columns, r.query(entry))
        return made

    def _dashboard(
        self, path: Path, views: Mapping[str, View], searches: Mapping[str, Search], known: Mapping[str, Path]
    ) -> Dashboard:
        r = Reading(path, self._errors)
        content = r.file()
        r.known(content, ("title", "question", "view", "last", "refresh", "controls", "rows"))
        view = r.one_of(content, "view", views, "alerts")
        reading = PanelReading(
            r,
            view,
            views=views,
            searches=searches,
            labels=self._labels,
            splits=self._splits,
            dashboards=known,
        )
        rows = tuple(self._row(entry, r, reading) for entry in r.entries(content, "rows"))
        refresh = r.age(content, "refresh")
        refresh_s = 0
        if refresh and not any(e.path == str(path) for e in self._errors):
            refresh_s = int(duration(refresh).total_seconds())
            if refresh_s < _LEAST_REFRESH_S:
                r.wrong(content.at("refresh"), f"refresh: at least {_LEAST_REFRESH_S}s")
        controls = [self._controls[name] for name in r.texts(content, "controls") if self._is_control(name, content, r)]
        return Dashboard(
            path.stem,
            r.text(content, "title"),
            r.text(content, "question"),
            view,
            rows,
            r.age(content, "last", "24h"),
            refresh_s,
            tuple(controls),
        )

    def _is_control(self, name: str, content: Mapped, r: Reading) -> bool:
        if name not in self._controls:
            r.wrong(content.at("controls"), f"controls: {name} is none of {', '.join(self._controls)}")
        return name in self._controls

    def _row(self, entry: Mapped, r: Reading, reading: PanelReading) -> Row:
        r.known(entry, ("name", "height", "panels"))
        panels = tuple(p for one in r.entries(entry, "panels") if (p := reading.panel(one)) is not None)
        if not panels:
            r.wrong(entry.line, "a row has panels")
        if sum(panel.width for panel in panels) > COLUMNS:
            r.wrong(entry.line, f"the panels of a row are {COLUMNS} columns wide at most")
        return Row(panels, r.number(entry, "height", 10, 2, 60), r.text(entry, "name", ""))

    def _access(self, content: Mapped, r: Reading, who: str) -> Access:
        entry = r.mapping(content.get(who), content.at(who), who)
        r.known(entry, ("description", "features", "security"))
        features, security = (
            {name: r.texts(part, name) for name in part}
            for key in ("features", "security")
            if (part := r.mapping(entry.get(key), entry.at(key), key)) is not None
        )
        return Access(r.text(entry, "description"), features, security)

    def _attack(self) -> Matrix:
        content, r = self._open("attack.yml")
        r.known(content, ("tactics", "techniques", "renamed"))
        tactics, names, places = {}, {}, {}
        table = r.mapping(content.get("tactics"), content.at("tactics"), "tactics")
        for tag in table:
            row = r.texts(table, tag)
            if len(row) != 2:
                r.wrong(table.at(tag), f"{tag}: expected [id, name]")
                continue
            tactics[tag] = (row[0], row[1])
        table = r.mapping(content.get("techniques"), content.at("techniques"), "techniques")
        for technique in table:
            row = r.texts(table, technique)
            if not row or any(tag not in tactics for tag in row[1:]):
                r.wrong(table.at(technique), f"{technique}: expected [name, tactics …]")
                continue
            names[technique], places[technique] = row[0], row[1:]
        renamed = r.mapping(content.get("renamed"), content.at("renamed"), "renamed")
        told = {
            int(version): {word: r.text(part, word) for word in part}
            for version in renamed
            if (part := r.mapping(renamed[version], renamed.at(version), version)) is not None and version.isdigit()
        }
        return Matrix(tactics, names, places, told)
