"""The loss ledger: what collectors received against what became of it, per registered unit, source and hour of receipt.

deficit = received − stored − filtered − rejected − shed        zero to the record, once everything has passed
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from soc.collect.counts import counts
from soc.event import TransportError
from soc.store.base import Store


@dataclass(frozen=True, slots=True)
class Balance:
    """Records of one unit, source and hour. `late` ones are part of `stored`."""

    unit: str
    source: str
    hour: datetime
    received: int
    stored: int
    filtered: int
    rejected: int
    late: int
    shed: int

    @property
    def deficit(self) -> int:
        """Positive: records are missing (or still on their way). Negative: more came out than collectors counted."""
        return self.received - self.stored - self.filtered - self.rejected - self.shed


def balance(store: Store, collectors: Path, since: datetime | None = None) -> list[Balance]:
    """Rows in order of hour, unit, source. `collectors` is the collectors' folder. Raises TransportError."""
    try:
        received = {(row.unit, row.source, row.hour): row for row in counts(collectors, since)}
    except sqlite3.Error as error:
        raise TransportError(f"the collectors' counts in {collectors} cannot be read: {error}") from error
    done = {(row.unit, row.source, row.hour): row for row in store.ledger(since)}
    rows = []
    for key in sorted(received.keys() | done.keys(), key=lambda k: (k[2], k[0], k[1])):
        came, went = received.get(key), done.get(key)
        rows.append(
            Balance(
                *key,
                received=came.received if came else 0,
                stored=went.stored if went else 0,
                filtered=went.filtered if went else 0,
                rejected=went.rejected if went else 0,
                late=went.late if went else 0,
                shed=came.shed if came else 0,
            )
        )
    return rows
