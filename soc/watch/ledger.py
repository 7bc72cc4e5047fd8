"""The loss ledger: what collectors received against what became of it, per registered unit, source and hour of receipt.

deficit = received − stored − filtered − rejected − shed        zero to the record, once everything has passed
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from soc.collect.counts import CountRow, counts
from soc.event import FOREIGN, TransportError
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


def balance(
    store: Store, collectors: Path, since: datetime | None = None, elsewhere: Iterable[CountRow] = ()
) -> list[Balance]:
    """Rows in order of hour, unit, source. Raises TransportError.

    `collectors` is the collectors' folder of this machine, `elsewhere` are the counts of others. What other shippers
    wrote to the bus themselves is counted when it is read: its row has no deficit, for nobody else has counted it.
    """
    try:
        here = counts(collectors, since)
    except sqlite3.Error as error:
        raise TransportError(f"the collectors' counts in {collectors} cannot be read: {error}") from error
    received: dict[tuple[str, str, datetime], CountRow] = {}
    for row in (*here, *elsewhere):
        key = (row.unit, row.source, row.hour)
        received[key] = row if (known := received.get(key)) is None else _sum(known, row)
    done = {(row.unit, row.source, row.hour): row for row in store.ledger(since)}
    for key, went in done.items():
        if went.source == FOREIGN:
            received[key] = CountRow(*key, went.stored + went.filtered + went.rejected, 0, went.rejected)
    rows = []
    for key in sorted(received.keys() | done.keys(), key=lambda k: (k[2], k[0], k[1])):
        came, gone = received.get(key), done.get(key)
        rows.append(
            Balance(
                *key,
                received=came.received if came else 0,
                stored=gone.stored if gone else 0,
                filtered=gone.filtered if gone else 0,
                rejected=gone.rejected if gone else 0,
                late=gone.late if gone else 0,
                shed=came.shed if came else 0,
            )
        )
    return rows


def _sum(one: CountRow, other: CountRow) -> CountRow:
    return replace(
        one,
        received=one.received + other.received,
        shed=one.shed + other.shed,
        rejected=one.rejected + other.rejected,
    )
