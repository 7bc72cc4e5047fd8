"""Retention: whole indices are deleted by the day in their name, each namespace by its own number of days."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta

from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.indices import LENIENT, Indices, path
from soc.store.elasticsearch.names import Names, alias, date_of


class Retention:
    """`default_days`: what the caller counts `before` by; a namespace with days of its own is that much off."""

    def __init__(self, server: Server, indices: Indices, names: Names, default_days: int) -> None:
        self._server, self._indices, self._names = server, indices, names
        self._shift = {
            group.name: timedelta(days=default_days - group.retention_days)
            for group in names.groups
            if group.retention_days is not None
        }

    def expire(self, before: date) -> dict[str, int]:
        """Class of events, "rejected" or "shadow" → documents deleted. Alerts stay."""
        names, removed = self._names, Counter[str]()
        shadow = [pattern for pattern in names.alerts if pattern.startswith("soc-shadow-")]
        for index in self._indices.existing([*names.events, names.records, *shadow]):
            day = date_of(index)
            kind, _, namespace = alias(index).rpartition("-")
            bound = before + self._shift.get(namespace, timedelta(0))
            if kind == "soc-shadow" and day is not None:
                day = (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)  # the month's last
            if day is None or day >= bound:
                continue
            kind = {"soc-records": "rejected", "soc-shadow": "shadow"}.get(kind, kind.removeprefix("logs-soc."))
            removed[kind] += self._count(index, kind)
            self._indices.delete(index)
        return {kind: count for kind, count in removed.items() if count}

    def _count(self, index: str, kind: str) -> int:
        query = {"query": {"term": {"soc.record.fate": "rejected"}}} if kind == "rejected" else None
        self._indices.refresh([index])
        return int(self._server.read("POST", path(index, "_count"), query, params=LENIENT)["count"])
