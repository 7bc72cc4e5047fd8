"""Dated units, agencies, assets and networks: an event's host, addresses and time → whose machine it is.

`load_org(folder)` reads them, `Org.resolve(…)` answers, `totals` and `as_it_is_now` roll counts up the tree.
"""

from soc.org.load import load_org
from soc.org.names import LEVEL_LABELS, LOCAL, fold
from soc.org.org import Org, Placement, local_day
from soc.org.records import Agency, Asset, Interval, Network, Placed
from soc.org.rollup import as_it_is_now, totals
from soc.org.units import UNKNOWN, Successor, Unit, UnitTree, load_units

__all__ = [
    "LEVEL_LABELS",
    "LOCAL",
    "UNKNOWN",
    "Agency",
    "Asset",
    "Interval",
    "Network",
    "Org",
    "Placed",
    "Placement",
    "Successor",
    "Unit",
    "UnitTree",
    "as_it_is_now",
    "fold",
    "load_org",
    "load_units",
    "local_day",
    "totals",
]
