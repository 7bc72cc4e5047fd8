"""The nouns of deploy/kibana: what a person writes there, read and checked. Nothing here knows Kibana's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from soc.kibana.attack import Matrix

#: What a panel counts → whether it asks for a field. All of them aggregations that every Elasticsearch has.
MEASURES: Final = {"count": False, "unique": True, "max": True, "min": True, "sum": True, "median": True, "p95": True}

PanelKind = Literal["metric", "time", "bars", "table", "search", "text"]
Style = Literal["bars", "area", "line"]


@dataclass(frozen=True, slots=True)
class View:
    """A data view. `index` holds {namespace}, each one that the Space sees, or {default}, the store's own.

    `staff`: only in the Space of those who see every access group, and so are panels and searches of it.
    `apart`: it has not the fields that controls choose by, so that its charts do not follow them.
    """

    name: str
    title: str
    index: str
    staff: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """`op`: one of MEASURES. `where` counts only what meets the query."""

    op: str
    field: str = ""
    label: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One part of a split: a label, and the query of what belongs to it."""

    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Split:
    label: str
    parts: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in one row, bar or colour: the most frequent values of a field, or the parts of a split.

    `by`: number of the measure that decides which values are shown, the least first with `least`.
    """

    field: str = ""
    label: str = ""
    top: int = 10
    parts: tuple[Choice, ...] = ()
    by: int = 0
    least: bool = False
    alert: bool = False  # one row for each alert: a click opens it in the console


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `last`: its own time range, such as 30d; "" is the dashboard's. `opens`: dashboard of a click."""

    kind: PanelKind
    title: str
    view: str = ""
    where: str = ""
    last: str = ""
    width: int = 0
    measures: tuple[Measure, ...] = ()
    groups: tuple[Group, ...] = ()
    style: Style = "bars"
    opens: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side. `name` begins a section."""

    panels: tuple[Panel, ...]
    height: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Control:
    title: str
    field: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`question`: what an analyst wants to know when opening it; stands below the title."""

    name: str
    title: str
    question: str
    view: str
    rows: tuple[Row, ...]
    last: str = "24h"
    refresh_s: int = 0
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """A list of documents with chosen columns, newest first."""

    name: str
    title: str
    question: str
    view: str
    columns: tuple[str, ...]
    where: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """Kibana features of a role → what it may do there. `security` is added where alerts are promoted."""

    description: str
    features: Mapping[str, tuple[str, ...]]
    security: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Content:
    """All of deploy/kibana. `labels`: field → its name; `values`: field → value → what people read."""

    views: Mapping[str, View]
    searches: Mapping[str, Search]
    dashboards: Sequence[Dashboard]
    labels: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    links: Sequence[str]
    staff: Access
    group: Access
    attack: Matrix
