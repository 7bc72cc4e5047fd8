"""Roll-ups: counts by unit uid → totals for every unit above, as it was and as it is now.

*As it was*: the tree at the time of each event; a unit's path is a fact of its uid, so nothing is converted.
*As it is now*: every unit is first followed to the one that holds its area on the given day; a split is decided by the
asset's placement, and what nobody has decided counts in "chưa xác định" (vn:unknown), beside the country, never in a
guess. In both, the total of a unit is its own count plus the totals of its children: every chart says which one it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

from soc.org.org import Org
from soc.org.units import UNKNOWN, UnitTree


def totals(units: UnitTree, counts: Mapping[str, int]) -> dict[str, int]:
    """As it was: uid → count of it and everything below. An uid that nobody knows counts as vn:unknown."""
    out: Counter[str] = Counter()
    for uid, count in counts.items():
        for above in units.path(uid if units.get(uid) else UNKNOWN.uid):
            out[above] += count
    return dict(out)


def as_it_is_now(org: Org, counts: Mapping[tuple[str, str], int], on: date) -> dict[str, int]:
    """Own counts by today's uid, for `totals`: `counts` is by (unit uid at event time, asset id or "")."""
    out: Counter[str] = Counter()
    for (uid, asset), count in counts.items():
        out[org.now(uid, on, asset)] += count
    return dict(out)
