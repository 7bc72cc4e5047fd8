"""What an organisation's folder declares: agencies, assets, networks and placements, each for an interval of days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from typing import Final

CRITICALITIES: Final = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Interval:
    """Days [start, end) of Asia/Ho_Chi_Minh; date.min = always until then, None = still."""

    start: date
    end: date | None

    def __contains__(self, on: date) -> bool:
        return self.start <= on and (self.end is None or on < self.end)

    def overlaps(self, other: Interval) -> bool:
        return (other.end is None or self.start < other.end) and (self.end is None or other.start < self.end)

    def __str__(self) -> str:
        return f"{'…' if self.start == date.min else self.start} → {self.end or '…'}"


@dataclass(frozen=True, slots=True)
class Agency:
    """A body of the state in a unit: Sở, UBND, Công an xã. `id` is its code (QĐ 20/2020/QĐ-TTg, e.g. H60.12).

    `lead`: it answers for the unit where neither asset nor network names an agency.
    """

    id: str
    name: str
    unit: str
    lead: bool
    phone: str
    valid: Interval


@dataclass(frozen=True, slots=True)
class Asset:
    """A machine or system of the inventory. `system_level` is the legal level 1-5, None where not approved yet.

    `observer`: it reports on other machines (firewall, sensor, antivirus server), so its events may belong to those.
    `as_of` is the day when somebody last checked the row: analysts must see how old the answer is.
    """

    id: str
    name: str
    hostnames: tuple[str, ...]
    ips: tuple[str, ...]
    role: str
    owner: str
    phone: str
    criticality: str
    system_level: int | None
    agency: str
    as_of: date | None
    observer: bool
    valid: Interval


@dataclass(frozen=True, slots=True)
class Network:
    """An address range of a unit or an agency (then it lies where the agency lies)."""

    cidr: IPv4Network | IPv6Network
    unit: str
    agency: str
    note: str
    valid: Interval


@dataclass(frozen=True, slots=True)
class Placed:
    """Somebody decided that the asset lies in the unit: the only truth for assets of a split commune."""

    asset: str
    unit: str
    reason: str
    valid: Interval
