"""Collectors' counts from every machine → the store, so that one ledger holds them all.

    collector: its counts by hour ──▶ topic soc.counts ──▶ watch: state `counts/<day>` of the store

Counts are cumulative: a message that is read again, or sent again, says the same as before. Used where collectors and
workers share a bus and no disk; on one machine the ledger reads the collectors' folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from soc.bus.base import COUNTS, Bus, Delivery, Message
from soc.collect.counts import CountRow, counts
from soc.store.base import Store

GROUP: Final = "watch"
#: What a collector that was down tells at its start: as long as the topic keeps what is unread.
_TOLD_AT_START: Final = timedelta(days=7)
_ROWS: Final = 2_000  # of one message: about 200 kB


@dataclass(slots=True)
class Reporter:
    """A collector's side: what has changed since the last report. `node` names machine and folder, and is stable."""

    bus: Bus
    node: str
    folder: Path
    _told: dict[tuple[str, str, datetime], CountRow] = field(default_factory=dict)

    def report(self, now: datetime) -> int:
        """Rows sent; durable when it returns. Raises TransportError, and then sends them again the next time."""
        since = now - (timedelta(hours=2) if self._told else _TOLD_AT_START)
        rows = counts(self.folder, since)
        changed = [row for row in rows if self._told.get((row.unit, row.source, row.hour)) != row]
        parts = [changed[n : n + _ROWS] for n in range(0, len(changed), _ROWS)]
        if parts:
            self.bus.publish(COUNTS, [Message(self.node.encode(), _encoded(self.node, part)) for part in parts])
            self.bus.flush()
        self._told = {(row.unit, row.source, row.hour): row for row in rows}
        return len(changed)


def _encoded(node: str, rows: Sequence[CountRow]) -> bytes:
    listed = [[r.unit, r.source, int(r.hour.timestamp()), r.received, r.shed, r.rejected] for r in rows]
    return orjson.dumps({"node": node, "rows": listed})


def keep(store: Store, deliveries: Iterable[Delivery]) -> None:
    """What was read from soc.counts into the store. One process at a time does it. Raises TransportError."""
    days: dict[date, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for delivery in deliveries:
        try:
            told = orjson.loads(delivery.value)
            for unit, source, hour, *numbers in told["rows"]:
                day = datetime.fromtimestamp(hour, UTC).date()
                days[day][str(told["node"])][_key(unit, source, hour)] = [unit, source, hour, *numbers]
        except (ValueError, KeyError, TypeError):
            continue  # not written by a collector of ours
    for day, nodes in days.items():
        kept = _load(store, day)
        for node, rows in nodes.items():
            kept.setdefault(node, {}).update(rows)
        store.save_state(_name(day), orjson.dumps(kept))


def kept(store: Store, since: datetime, now: datetime, without: str = "") -> list[CountRow]:
    """Rows of all nodes but one from the hour that holds `since` on. Raises TransportError."""
    first = since.replace(minute=0, second=0, microsecond=0)
    rows = []
    for n in range((now.date() - first.date()).days + 1):
        for node, of_node in _load(store, first.date() + timedelta(days=n)).items():
            if node != without:
                rows += [_row(*row) for row in of_node.values()]
    return [row for row in rows if row.hour >= first]


def _row(unit: str, source: str, hour: int, received: int, shed: int, rejected: int) -> CountRow:
    return CountRow(unit, source, datetime.fromtimestamp(hour, UTC), received, shed, rejected)


def _key(unit: str, source: str, hour: int) -> str:
    return f"{unit}\0{source}\0{hour}"


def _load(store: Store, day: date) -> dict[str, dict[str, Any]]:
    raw = store.load_state(_name(day))
    found: dict[str, dict[str, Any]] = orjson.loads(raw) if raw else {}
    return found


def _name(day: date) -> str:
    return f"counts/{day}"
