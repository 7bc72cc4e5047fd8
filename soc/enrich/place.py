"""Events → soc.unit.*, organization.* and soc.asset.*, as `Org.resolve` says for the time of each event.

    soc.unit.uid, .level, .name (full label), .path (uids from the root to the unit), .by (which rule decided)
    organization.id, .name (the agency; the code of QĐ 20/2020/QĐ-TTg)
    soc.asset.id, .name, .role, .owner, .phone, .criticality, .system_level, .as_of

The machine is the event's host, else its observer (a firewall, a sensor).

These names are the pipeline's own: what a sender wrote under them is replaced, and removed where nothing is known, for
a sender must not choose its own unit (its text is still in event.original). Nothing else of the event is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from soc.event import Event, Fields
from soc.org import Org, Placement, local_day

_ASSET_FIELDS: Final = tuple(
    f"soc.asset.{name}" for name in ("id", "name", "role", "owner", "phone", "criticality", "system_level", "as_of")
)
_OWN: Final = ("organization.id", "organization.name", *_ASSET_FIELDS)

#: Categories of events that say something about other machines: their addresses may say whose event it is.
_ABOUT_OTHERS: Final = frozenset({"network", "intrusion_detection", "malware"})
#: What an observer reports about itself: who logged in to it, from where, and what was changed.
_ABOUT_ITSELF: Final = frozenset({"authentication", "configuration", "iam", "session"})

_Key = tuple[str, str, tuple[str, ...], str, str]
_Patch = tuple[Fields, tuple[str, ...]]  # fields to set, names to remove


class Enricher:
    """Keeps answers per steady time of the organisation, so that an event costs one look-up. Not thread-safe.

    `max_entries` bounds each table of answers: host names and addresses come from logs, so anybody may invent them.
    """

    def __init__(self, org: Org, max_entries: int = 50_000) -> None:
        self._org = org
        self._max = max_entries
        self._steady: dict[datetime, tuple[dict[_Key, _Patch], dict[str, str]]] = {}
        self._low = self._high = datetime.min.replace(tzinfo=UTC)
        self._day = local_day(self._low)
        self._patches: dict[_Key, _Patch] = {}
        self._ours: dict[str, str] = {}

    def enrich(self, events: Sequence[Event]) -> None:
        """Sets the fields in place. Never raises for what an event holds."""
        low, high, patches = self._low, self._high, self._patches
        for event in events:
            at = event.timestamp
            if not low <= at < high:
                low, high, patches = self._turn_to(at)
            fields = event.fields
            name = fields.get("host.name") or fields.get("observer.name") or ""
            if name.__class__ is not str:
                name = "".join(_texts(name)[:1])
            ips = fields.get("host.ip") or fields.get("observer.ip")
            near = far = ""
            category = fields.get("event.category") or ()
            if not _ABOUT_OTHERS.isdisjoint(category) or (
                "observer.name" in fields and _ABOUT_ITSELF.isdisjoint(category)
            ):
                near = self._own_address(fields.get("source.ip"))
                far = self._own_address(fields.get("destination.ip"))
            key = (event.unit, name, _texts(ips) if ips else (), near, far)
            own, absent = patches.get(key) or self._resolve(key, at)
            fields.update(own)
            fields["soc.unit.path"] = own["soc.unit.path"].copy()
            for field in absent:
                if field in fields:
                    del fields[field]

    def _turn_to(self, at: datetime) -> tuple[datetime, datetime, dict[_Key, _Patch]]:
        """The bounds and answers of the steady time that holds the moment."""
        self._low, self._high = self._org.steady(at)
        self._day = local_day(at)  # any day of the steady time has the same answers
        self._patches, self._ours = self._steady.setdefault(self._low, ({}, {}))
        return self._low, self._high, self._patches

    def _own_address(self, ip: Any) -> str:
        """The address if an asset or network of ours has it, else "": the world's addresses share one answer."""
        if ip.__class__ is not str:
            return ""
        own = self._ours.get(ip)
        if own is None:
            if len(self._ours) >= self._max:
                self._ours.clear()
            own = self._ours[ip] = ip if self._org.knows(ip, self._day) else ""
        return own

    def _resolve(self, key: _Key, at: datetime) -> _Patch:
        if len(self._patches) >= self._max:
            self._patches.clear()
        unit, name, ips, near, far = key
        place = self._org.resolve(name, ips, tuple(ip for ip in (near, far) if ip), unit, at)
        fields = _fields(place)
        made = self._patches[key] = (fields, tuple(name for name in _OWN if name not in fields))
        return made


def _texts(value: Any) -> tuple[str, ...]:
    """The texts of a value that should be a text or a list of them."""
    if value.__class__ is list and len(value) == 1 and value[0].__class__ is str:
        return (value[0],)
    if value.__class__ is str:
        return (value,)
    return tuple(v for v in value if v.__class__ is str) if isinstance(value, list | tuple) else ()


def _fields(place: Placement) -> Fields:
    fields: Fields = {
        "soc.unit.uid": place.unit.uid,
        "soc.unit.level": place.unit.level,
        "soc.unit.name": place.unit.label,
        "soc.unit.path": list(place.path),
        "soc.unit.by": place.by,
    }
    if place.agency:
        fields["organization.id"] = place.agency.id
        fields["organization.name"] = place.agency.name
    asset = place.asset
    if asset:
        known = {
            "id": asset.id,
            "name": asset.name,
            "role": asset.role,
            "owner": asset.owner,
            "phone": asset.phone,
            "criticality": asset.criticality,
            "system_level": asset.system_level,
            "as_of": asset.as_of.isoformat() if asset.as_of else "",
        }
        fields |= {f"soc.asset.{name}": value for name, value in known.items() if value not in ("", None)}
    return fields
