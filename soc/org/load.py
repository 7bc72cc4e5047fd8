"""An organisation's folder (`org:` of the configuration) → `Org`, or every mistake in it with file and line.

    agencies.yml|csv    id, name, unit, [lead, phone, valid_from, valid_to]
    assets.csv|yml      id, name, [hostnames, ips, role, owner, phone, criticality, system_level, agency, observer,
                        as_of, valid_from, valid_to]
    networks.csv|yml    cidr, [unit, agency, note, valid_from, valid_to]       (a unit or an agency)
    placements.csv|yml  asset, unit, from, [to, reason]

Any of the files may be missing. Lists within a cell are separated by ";". Days are YYYY-MM-DD, [from, to).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final, TypeVar

from soc.content import unknown
from soc.event import ContentError, ContentErrors
from soc.org.org import Org, number
from soc.org.records import CRITICALITIES, Agency, Asset, Interval, Network, Placed
from soc.org.tables import Row, find_table, read_table
from soc.org.units import HERE, UnitTree, load_units

R = TypeVar("R", Agency, Asset, Network, Placed)

_VALID: Final = {"valid_from": False, "valid_to": False}
_AGENCIES: Final = {"id": True, "name": True, "unit": True, "lead": False, "phone": False, **_VALID}
_ASSETS: Final = {
    **dict.fromkeys(("id", "name"), True),
    **dict.fromkeys(("hostnames", "ips", "role", "owner", "phone", "criticality", "system_level", "agency"), False),
    **dict.fromkeys(("observer", "as_of"), False),
    **_VALID,
}
_NETWORKS: Final = {"cidr": True, "unit": False, "agency": False, "note": False, **_VALID}
_PLACEMENTS: Final = {"asset": True, "unit": True, "from": True, "to": False, "reason": False}
_FLAGS: Final = {"": False, "no": False, "false": False, "yes": True, "true": True}


@dataclass(slots=True)
class _File:
    """One table while it is read: where it lies and what is wrong with it."""

    path: Path
    units: UnitTree
    errors: list[ContentError]
    lines: dict[int, int] = field(default_factory=dict)  # id() of a record → its line

    def wrong(self, row: Row, why: str) -> None:
        self.errors.append(ContentError(self.path, row.line, why))

    def interval(self, row: Row, begin: str = "valid_from", end: str = "valid_to") -> Interval | None:
        start = self.day(row, begin)
        stop = self.day(row, end)
        if start == date.max or stop == date.max:
            return None
        if stop and stop <= (start or date.min):
            self.wrong(row, f"{end} {stop} is not after {begin} {start or '(always)'}; the end day is out")
            return None
        return Interval(start or date.min, stop)

    def day(self, row: Row, column: str) -> date | None:
        """The day, None where none is given, date.max (already reported) where it is none."""
        text = row.values[column]
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.wrong(row, f"{column}: {text!r} is not a day (YYYY-MM-DD)")
            return date.max

    def flag(self, row: Row, column: str) -> bool:
        """yes or no; no where nothing is given."""
        text = row.values[column].lower()
        if text not in _FLAGS:
            self.wrong(row, f"{column}: {text!r} is neither yes nor no")
        return _FLAGS.get(text, False)

    def unit(self, row: Row, valid: Interval | None) -> bool:
        """The row's unit exists, and at some time of the row."""
        uid = row.values["unit"]
        unit = self.units.get(uid)
        if unit is None:
            near = self.units.nearest(uid)
            self.wrong(row, f"unknown unit {uid!r}" + (f"; did you mean {near}?" if near else ""))
            return False
        begins = date.min if unit.valid_from == self.units.known_since else unit.valid_from
        if valid and not valid.overlaps(Interval(begins, unit.valid_to)):
            heirs = ", ".join(s.new for s in self.units.successors(uid) if s.new)
            hint = f"; it became {heirs}" if heirs else ""
            self.wrong(row, f"{unit.label} ({uid}) exists {Interval(begins, unit.valid_to)}, this row {valid}{hint}")
            return False
        return True


def load_org(path: Path, units: Path = HERE) -> Org:
    """The organisation of a folder, on the units of a folder (the shipped facts of the whole country by default).

    Raises ContentErrors that hold everything wrong, sorted by file and line.
    """
    tree = load_units(units)
    errors: list[ContentError] = []
    if not path.is_dir():
        raise ContentErrors([ContentError(path, 0, "the folder of units, agencies and assets does not exist")])
    agencies, at_agency = _read(path, "agencies", _AGENCIES, _agency, tree, errors)
    assets, at_asset = _read(path, "assets", _ASSETS, _asset, tree, errors)
    networks, at_network = _read(path, "networks", _NETWORKS, _network, tree, errors)
    placements, at_placed = _read(path, "placements", _PLACEMENTS, _placed, tree, errors)
    _apart(at_agency, ((a.id, a) for a in agencies), "agency")
    _apart(at_asset, ((a.id, a) for a in assets), "asset")
    _apart(at_asset, ((n, a) for a in assets for n in a.hostnames), "host name", other=True)
    _apart(at_asset, ((i, a) for a in assets for i in a.ips), "address", other=True)
    _apart(at_network, ((str(n.cidr), n) for n in networks), "network")
    _apart(at_placed, ((p.asset, p) for p in placements), "placement of")
    known = {a.id for a in agencies}
    for asset in assets:
        _refers(at_asset, asset, asset.agency, known, "agency")
    for network in networks:
        _refers(at_network, network, network.agency, known, "agency")
    for placed in placements:
        _refers(at_placed, placed, placed.asset, {a.id for a in assets}, "asset")
    org = Org(tree, agencies, assets, networks, placements)
    if not errors:
        _one_lead(org, at_agency)
    if errors:
        raise ContentErrors(sorted(errors, key=lambda e: (e.path, e.line)))
    return org


def _read(
    folder: Path,
    stem: str,
    columns: Mapping[str, bool],
    make: Callable[[_File, Row], R | None],
    tree: UnitTree,
    errors: list[ContentError],
) -> tuple[list[R], _File]:
    path = find_table(folder, stem, errors)
    file = _File(path or folder / stem, tree, errors)
    records: list[R] = []
    for row in read_table(path, columns, errors) if path else ():
        record = make(file, row)
        if record is not None:
            records.append(record)
            file.lines[id(record)] = row.line
    return records, file


def _agency(file: _File, row: Row) -> Agency | None:
    v = row.values
    valid = file.interval(row)
    lead = file.flag(row, "lead")
    if not file.unit(row, valid) or valid is None:
        return None
    return Agency(v["id"], v["name"], v["unit"], lead, v["phone"], valid)


def _asset(file: _File, row: Row) -> Asset | None:
    v = row.values
    before = len(file.errors)
    valid = file.interval(row)
    as_of = file.day(row, "as_of")
    observer = file.flag(row, "observer")
    ips: list[str] = []
    for text in _list(v["ips"]):
        if number(text) is None:
            file.wrong(row, f"ips: {text!r} is not an address")
        else:
            ips.append(str(ip_address(text.partition("%")[0])))
    if v["criticality"] and v["criticality"] not in CRITICALITIES:
        file.wrong(row, f"criticality: {v['criticality']!r} is none of {', '.join(CRITICALITIES)}")
    if v["system_level"] and v["system_level"] not in ("1", "2", "3", "4", "5"):
        file.wrong(row, f"system_level: {v['system_level']!r} is none of 1-5")
    if valid is None or len(file.errors) > before:
        return None
    return Asset(
        id=v["id"],
        name=v["name"],
        hostnames=tuple(name.lower().rstrip(".") for name in _list(v["hostnames"])),
        ips=tuple(ips),
        role=v["role"],
        owner=v["owner"],
        phone=v["phone"],
        criticality=v["criticality"],
        system_level=int(v["system_level"]) if v["system_level"] else None,
        agency=v["agency"],
        as_of=as_of,
        observer=observer,
        valid=valid,
    )


def _network(file: _File, row: Row) -> Network | None:
    v = row.values
    valid = file.interval(row)
    cidr = _cidr(file, row, v["cidr"])
    if not v["unit"] and not v["agency"]:
        file.wrong(row, "a network needs a unit or an agency")
        return None
    if (v["unit"] and not file.unit(row, valid)) or valid is None or cidr is None:
        return None
    return Network(cidr, v["unit"], v["agency"], v["note"], valid)


def _cidr(file: _File, row: Row, text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        try:
            file.wrong(row, f"cidr: {text} has host bits set; did you mean {ip_network(text, strict=False)}?")
        except ValueError:
            file.wrong(row, f"cidr: {text!r} is not a network")
        return None


def _placed(file: _File, row: Row) -> Placed | None:
    valid = file.interval(row, "from", "to")
    if not file.unit(row, valid) or valid is None:
        return None
    return Placed(row.values["asset"], row.values["unit"], row.values["reason"], valid)


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _apart(file: _File, keyed: Iterable[tuple[str, R]], what: str, *, other: bool = False) -> None:
    """Records of one key do not overlap in time. `other`: rows of one asset may share it among themselves."""
    seen: dict[str, list[R]] = {}
    for key, record in keyed:
        for earlier in seen.setdefault(key, []):
            same = other and isinstance(earlier, Asset) and isinstance(record, Asset) and earlier.id == record.id
            if not same and earlier is not record and earlier.valid.overlaps(record.valid):
                line = file.lines[id(record)]
                why = f"{what} {key} stands twice for the same days: line {file.lines[id(earlier)]} ({earlier.valid})"
                file.errors.append(ContentError(file.path, line, f"{why} and here ({record.valid})"))
        seen[key].append(record)


def _refers(file: _File, record: Agency | Asset | Network | Placed, to: str, known: set[str], what: str) -> None:
    if to and to not in known:
        file.errors.append(ContentError(file.path, file.lines[id(record)], unknown(to, known, what)))


def _one_lead(org: Org, file: _File) -> None:
    """At any time a unit has at most one leading agency, also after units have merged."""
    told: set[tuple[str, str]] = set()
    for on in (date.min, *org.changes):
        leads: dict[str, Agency] = {}
        for agency in org.agencies:
            unit = org.units.follow(agency.unit, on) if agency.lead and on in agency.valid else None
            if unit is None:
                continue
            first = leads.setdefault(unit.uid, agency)
            if first is not agency and (first.id, agency.id) not in told:
                told.add((first.id, agency.id))
                why = f"{agency.id} and {first.id} (line {file.lines[id(first)]}) both lead {unit.label} on "
                day = on if on > date.min else org.units.known_since
                file.errors.append(ContentError(file.path, file.lines[id(agency)], f"{why}{day}; end one of them"))
