"""Whose machine is it? An event's host, addresses, registered unit and time → its unit, agency and asset.

How `Org.resolve` decides, first answer wins:
1. The asset that bears the host's name (else one of its addresses) on that day. Its unit is its placement of that
   day, else that of its agency. An asset whose placement has become ambiguous is still the asset, in "chưa xác định".
2. The network of the host's own addresses: longest prefix among the networks of that day.
3. For what a device reports about others, the addresses that the event speaks of, in order: asset, then network. This
   comes before 1 and 2 if the host is an asset marked as an observer: a firewall's event belongs to the machine that it
   speaks of. If none of the addresses is ours, the observer's own place stands.
4. The unit that the collector's configuration registers for the source.
5. "chưa xác định" (vn:unknown): visible, never dropped, never guessed.

A uid that was not valid on that day is followed to the unit that holds all of its area (units.py); a split or an
abolished unit gives "chưa xác định" until a placement decides. Days are those of Asia/Ho_Chi_Minh, intervals half-open,
and the event's own time decides, whenever it arrives.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from socket import AF_INET, AF_INET6, inet_pton
from typing import Generic, TypeVar

from soc.org.names import LOCAL
from soc.org.records import Agency, Asset, Interval, Network, Placed
from soc.org.units import UNKNOWN, Unit, UnitTree

T = TypeVar("T", Agency, Asset, Network, Placed)
K = TypeVar("K", str, tuple[int, int])
Number = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an event belongs. `path` and `names` run from the root to the unit; `by` says which rule decided."""

    unit: Unit
    path: tuple[str, ...]
    names: tuple[str, ...]
    agency: Agency | None
    asset: Asset | None
    by: str  # "asset" | "network" | "endpoint" | "source" | "unknown"


class Dated(Generic[K, T]):
    """Records by key; a key's records never overlap in time (the loader refuses that)."""

    def __init__(self) -> None:
        self._records: dict[K, list[T]] = {}

    def add(self, key: K, record: T) -> None:
        self._records.setdefault(key, []).append(record)

    def at(self, key: K, on: date) -> T | None:
        return next((r for r in self._records.get(key, ()) if on in r.valid), None)


class Networks:
    """Longest-prefix match over networks with intervals; IPv4-mapped IPv6 addresses count as IPv4."""

    def __init__(self, networks: Iterable[Network]) -> None:
        table: dict[tuple[int, int], dict[int, list[Network]]] = {}
        for network in networks:
            key = (network.cidr.version, network.cidr.max_prefixlen - network.cidr.prefixlen)
            bits = int(network.cidr.network_address) >> key[1]
            table.setdefault(key, {}).setdefault(bits, []).append(network)
        self._by_version: dict[int, list[tuple[int, dict[int, list[Network]]]]] = {4: [], 6: []}
        for (version, shift), entries in sorted(table.items()):  # the smallest shift is the longest prefix
            self._by_version[version].append((shift, entries))

    def at(self, address: Number, on: date) -> Network | None:
        version, value = address
        for shift, entries in self._by_version[version]:
            for network in entries.get(value >> shift, ()):
                if on in network.valid:
                    return network
        return None


def number(text: str) -> Number | None:
    """(IP version, value) of an address, IPv4-mapped IPv6 as IPv4 and without a zone; None if it is none."""
    try:
        return 4, int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):
        pass
    try:
        value = int.from_bytes(inet_pton(AF_INET6, text.partition("%")[0]), "big")
    except (OSError, ValueError):
        return None
    return (4, value & 0xFFFF_FFFF) if value >> 32 == 0xFFFF else (6, value)


def local_day(at: datetime) -> date:
    """The day in Asia/Ho_Chi_Minh of an aware moment; the last hours of the year 9999 stay in it."""
    try:
        return at.astimezone(LOCAL).date()
    except OverflowError:
        return at.date()


class Org:
    """Units, agencies, assets and networks, answering for any moment. Immutable; built by `load_org`."""

    def __init__(
        self,
        units: UnitTree,
        agencies: Sequence[Agency] = (),
        assets: Sequence[Asset] = (),
        networks: Sequence[Network] = (),
        placements: Sequence[Placed] = (),
    ) -> None:
        self.units = units
        self.agencies = tuple(agencies)
        self.assets = tuple(assets)
        self.networks = tuple(networks)
        self.placements = tuple(placements)
        self._agencies: Dated[str, Agency] = Dated()
        self._leads: dict[int, dict[str, Agency]] = {}
        self._hosts: Dated[str, Asset] = Dated()
        self._addresses: Dated[Number, Asset] = Dated()
        self._placed: Dated[str, Placed] = Dated()
        self._networks = Networks(networks)
        for agency in agencies:
            self._agencies.add(agency.id, agency)
        for asset in assets:
            for name in asset.hostnames:
                self._hosts.add(name, asset)
            for ip in filter(None, map(number, asset.ips)):
                self._addresses.add(ip, asset)
        for placed in placements:
            self._placed.add(placed.asset, placed)
        self.changes = self._changes()
        self._bounds = [datetime.combine(day, time.min, LOCAL).astimezone(UTC) for day in self.changes]

    def _changes(self) -> tuple[date, ...]:
        """Every day on which some answer may change, in order."""
        intervals: list[Interval] = [
            r.valid for group in (self.agencies, self.assets, self.networks, self.placements) for r in group
        ]
        days = {day for i in intervals for day in (i.start, i.end) if day and day != date.min}
        return tuple(sorted(days | set(self.units.changes)))

    def steady(self, at: datetime) -> tuple[datetime, datetime]:
        """[from, to) around the moment within which `resolve` gives the same answers, so that they can be kept."""
        after = bisect_right(self._bounds, at)
        low = self._bounds[after - 1] if after else datetime.min.replace(tzinfo=UTC)
        high = self._bounds[after] if after < len(self._bounds) else datetime.max.replace(tzinfo=UTC)
        return low, high

    def resolve(
        self,
        host_name: str,
        host_ips: Sequence[str],
        source_ips: Sequence[str],
        registered_unit: str,
        at: datetime,
    ) -> Placement:
        """Where an event of that time belongs: the rules are in the module's docstring.

        `host_name` and `host_ips` are the reporting machine's ("" and () where unknown), `source_ips` the addresses
        that a network device's event is about, `registered_unit` the collector's ("" = none). Never raises for bad
        texts: an address that is none does not match.
        """
        on = local_day(at)
        host = self._host(host_name, host_ips, on)
        if host is None or host.observer:
            near = None if host else self._network(host_ips, on)
            if near:
                return self._in_network(near, "network", on)
            for ip in source_ips:
                asset = self.asset_at(ip, on)
                if asset and not asset.observer:
                    return self._of_asset(asset, (ip,), registered_unit, "endpoint", on)
                network = self._network((ip,), on)
                if network:
                    return self._in_network(network, "endpoint", on)
        if host:
            return self._of_asset(host, host_ips, registered_unit, "asset", on)
        unit = self.units.follow(registered_unit, on) if registered_unit else None
        return self._placement(unit, None, None, "source" if unit else "unknown", on)

    def knows(self, ip: str, on: date) -> bool:
        """Whether an asset or a network of ours has the address on that day."""
        address = number(ip)
        if address is None:
            return False
        return self._addresses.at(address, on) is not None or self._networks.at(address, on) is not None

    def asset_at(self, ip: str, on: date) -> Asset | None:
        """The asset that has the address on that day."""
        address = number(ip)
        return self._addresses.at(address, on) if address else None

    def unit_of(self, asset: Asset, on: date) -> Unit | None:
        """The asset's unit by placement or agency; None if neither decides on that day."""
        placed = self._placed.at(asset.id, on)
        if placed:
            return self.units.follow(placed.unit, on)
        agency = self._agencies.at(asset.agency, on)
        return self.units.follow(agency.unit, on) if agency else None

    def now(self, unit: str, on: date, asset: str = "") -> str:
        """The uid of "as it is now": where what happened in `unit` counts on that day; vn:unknown if undecided.

        A unit that was split is decided by the asset's placement of that day.
        """
        followed = self.units.follow(unit, on)
        if followed is None and asset:
            placed = self._placed.at(asset, on)
            followed = self.units.follow(placed.unit, on) if placed else None
        return (followed or UNKNOWN).uid

    def find(self, text: str, on: date | None = None, limit: int = 20) -> list[Unit]:
        """Units by name, marks and case ignored."""
        return self.units.find(text, on, limit)

    def _host(self, name: str, ips: Sequence[str], on: date) -> Asset | None:
        """By full name, by the first label of a domain name, then by address."""
        if name:
            wanted = name.lower().rstrip(".")
            asset = self._hosts.at(wanted, on)
            if asset is None and number(wanted) is None:
                asset = self._hosts.at(wanted.partition(".")[0], on)
            if asset:
                return asset
            ips = (*ips, name)
        return next((asset for ip in ips if (asset := self.asset_at(ip, on))), None)

    def _network(self, ips: Sequence[str], on: date) -> Network | None:
        for ip in ips:
            address = number(ip)
            network = self._networks.at(address, on) if address else None
            if network:
                return network
        return None

    def _of_asset(self, asset: Asset, ips: Sequence[str], registered: str, by: str, on: date) -> Placement:
        agency = self._agencies.at(asset.agency, on)
        if self._placed.at(asset.id, on) or agency:
            return self._placement(self.unit_of(asset, on), agency, asset, by, on)
        network = self._network((*ips, *asset.ips), on)
        if network:
            return self._in_network(network, by, on, asset)
        return self._placement(self.units.follow(registered, on) if registered else None, None, asset, by, on)

    def _in_network(self, network: Network, by: str, on: date, asset: Asset | None = None) -> Placement:
        agency = self._agencies.at(network.agency, on)
        uid = network.unit or (agency.unit if agency else "")
        return self._placement(self.units.follow(uid, on), agency, asset, by, on)

    def _placement(self, unit: Unit | None, agency: Agency | None, asset: Asset | None, by: str, on: date) -> Placement:
        unit = unit or UNKNOWN
        path = self.units.path(unit.uid)
        names = tuple(u.label for u in (*self.units.ancestors(unit.uid), unit))
        return Placement(unit, path, names, agency or self._lead(unit, on), asset, by)

    def _lead(self, unit: Unit, on: date) -> Agency | None:
        """The agency that answers for the unit on that day."""
        after = bisect_right(self.changes, on)
        if after not in self._leads:
            self._leads[after] = {
                held.uid: a
                for a in self.agencies
                if a.lead and on in a.valid and (held := self.units.follow(a.unit, on))
            }
        return self._leads[after].get(unit.uid)
