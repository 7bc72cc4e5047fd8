"""Ids, units and categories → namespaces and index names.

    logs-soc.<class>-<namespace>-<yyyy.MM.dd>   events; the day is that of receipt, which the record's id begins with
    soc-records-<namespace>-<yyyy.MM.dd>        filtered and rejected records
    soc-alerts-<namespace>-<yyyy>               alerts; the year is that of receipt of the first event
    soc-shadow-<namespace>-<yyyy.MM>            what rules in shadow mode found
    soc-state-<namespace>                       state of workers

A namespace is an access group, not a unit: roles and Spaces are given by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

CLASSES: Final = ("host", "network", "web", "application")

#: Our own source definitions that one class fits whole.
_OF_DATASET: Final = {
    "apache_access": "web",
    "apache_error": "web",
    "auditd": "host",
    "fortigate": "network",
    "iis_w3c": "web",
    "linux_auth": "host",
    "nginx_access": "web",
    "nginx_error": "web",
    "suricata_eve": "network",
    "windows": "host",
    "zeek": "network",
    "zeek_tsv": "network",
}

#: ECS event.category → class, for everything else; the first that stands here decides.
_OF_CATEGORY: Final = {
    "web": "web",
    "network": "network",
    "intrusion_detection": "network",
    "api": "application",
    "database": "application",
    "email": "application",
}
_OTHERS: Final = "host"


@dataclass(frozen=True, slots=True)
class Namespace:
    """An access group: what is of these units or below them ((): any), of systems from this level on (0: any)."""

    name: str
    units: tuple[str, ...] = ()
    system_level: int = 0
    retention_days: int | None = None

    def takes(self, units: Sequence[str], system_level: int) -> bool:
        """`units`: the unit and its ancestors."""
        return system_level >= self.system_level and (not self.units or any(unit in self.units for unit in units))


def class_of(fields: Mapping[str, Any]) -> str:
    """The class of an event by its dataset, else by its categories."""
    found = _OF_DATASET.get(dataset) if isinstance(dataset := fields.get("event.dataset"), str) else None
    if found:
        return found
    category = fields.get("event.category")
    categories = category if isinstance(category, list) else [category]
    return next((named for name, named in _OF_CATEGORY.items() if name in categories), _OTHERS)


def day_of(some_id: str) -> str | None:
    """The day of receipt that an id begins with, as yyyyMMdd."""
    day = some_id[:8]
    return day if len(day) == 8 and day.isascii() and day.isdigit() and some_id[8:9] == "-" else None


def dotted(day: str) -> str:
    """yyyyMMdd as it stands in index names."""
    return f"{day[:4]}.{day[4:6]}.{day[6:]}"


def date_of(index: str) -> date | None:
    """The day that an index name ends with (the first one of a month); None if it ends with none."""
    parts = index.rpartition("-")[2].split(".")
    try:
        return date(*(int(part) for part in (*parts, "1")[:3])) if len(parts) in (2, 3) else None
    except ValueError:
        return None


class Names:
    """The indices of one store: its namespace, and those of access groups before it."""

    def __init__(self, namespace: str, groups: Sequence[Namespace]) -> None:
        self.default = namespace
        self.groups = tuple(groups)
        self.all = tuple(dict.fromkeys((*(group.name for group in groups), namespace)))
        self.state = f"soc-state-{namespace}"
        self.alerts = tuple(f"soc-{kind}-{name}-*" for name in self.all for kind in ("alerts", "shadow"))
        self.events = tuple(f"logs-soc.*-{name}-*" for name in self.all)
        self.records = f"soc-records-{namespace}-*"
        self._simple: dict[tuple[str, str], str] = {}  # (dataset, day) → index, where nothing else decides

    def namespace(self, fields: Mapping[str, Any]) -> str:
        """Of an event or alert."""
        if not self.groups:
            return self.default
        path, level = fields.get("soc.unit.path"), fields.get("soc.asset.system_level")
        units = [str(uid) for uid in (fields.get("soc.unit.uid"), *(path if isinstance(path, list) else ())) if uid]
        at = level if isinstance(level, int) else 0
        return next((group.name for group in self.groups if group.takes(units, at)), self.default)

    def event_index(self, fields: Mapping[str, Any], day: str) -> str:
        key = (fields.get("event.dataset", ""), day)
        if key[0].__class__ is str and (known := self._simple.get(key)) is not None:
            return known
        index = f"logs-soc.{class_of(fields)}-{self.namespace(fields)}-{dotted(day)}"
        if not self.groups and key[0].__class__ is str and key[0] in _OF_DATASET and len(self._simple) < 10_000:
            self._simple[key] = index
        return index

    def event_indices(self, day: str) -> list[str]:
        """Every index that may hold an event of the day."""
        return [f"logs-soc.{kind}-{name}-{dotted(day)}" for name in self.all for kind in CLASSES]

    def records_index(self, day: str) -> str:
        return f"soc-records-{self.default}-{dotted(day)}"

    def alert_index(self, fields: Mapping[str, Any]) -> str:
        """By facts of the alert that never change: what found it, its first event, else its own time."""
        evidence = fields.get("soc.evidence.ids")
        first = str(evidence[0]) if isinstance(evidence, list) and evidence else ""
        day = day_of(first) or str(fields.get("@timestamp", ""))[:10].replace("-", "")
        if fields.get("soc.mode") == "shadow":
            return f"soc-shadow-{self.namespace(fields)}-{day[:4]}.{day[4:6]}"
        return f"soc-alerts-{self.namespace(fields)}-{day[:4]}"


def alias(index: str) -> str:
    """The name without the day, month or year."""
    return index.rpartition("-")[0]
