"""The store as its users see it. One contract suite (tests/contract/test_store.py) for every implementation.

Documents are flat (`Fields`) on this side of the border; an implementation nests them once where it must.
Times are aware UTC. Every call may raise TransportError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol

from soc.event import Alert, Event, Fields, RawRecord, Rejected, SocError
from soc.store.query import Query


class VersionConflictError(SocError):
    """Somebody else changed the alert since it was read: read again, decide again."""


@dataclass(slots=True)
class Written:
    """What became of a write: new documents, documents that were there already, and those never to be taken."""

    created: int = 0
    existed: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # event id → why


@dataclass(frozen=True, slots=True)
class Page:
    """Hits of a search, newest first unless asked otherwise. `total` counts all of them, not this page."""

    total: int
    hits: list[Fields]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Records (not events) of one registered unit, source and hour of receipt, by what became of them."""

    unit: str
    source: str
    hour: datetime
    stored: int
    filtered: int
    rejected: int
    late: int


class Store(Protocol):
    # -- events, and the fate of each record: create-once by id, so a redelivered batch changes nothing
    def write(
        self,
        events: Sequence[Event],
        rejected: Sequence[Rejected] = (),
        filtered: Sequence[RawRecord] = (),
        *,
        again: bool = False,
    ) -> Written:
        """Durable when it returns; counts every *record* once in the ledger's roll-up, whatever is redelivered.

        `again`: some of it may have been written before through other content (source definitions, units), so that a
        store that files by what an event says must look for it everywhere.
        """

    def event(self, event_id: str) -> Fields | None: ...

    def fates(self, record_ids: Sequence[str]) -> dict[str, str]:
        """Record id → what became of it: "stored", "filtered" or "rejected"; unknown ids are left out."""

    def search(
        self,
        query: Query,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
        oldest_first: bool = False,
    ) -> Page:
        """Events with since <= @timestamp < until that meet the query."""

    def count_by(
        self, query: Query, name: str, *, since: datetime | None = None, until: datetime | None = None, limit: int = 10
    ) -> list[tuple[str, int]]:
        """Most frequent values of a field among the hits, most frequent first, then by text."""

    def count_by_time(
        self, query: Query, step: timedelta, *, since: datetime, until: datetime
    ) -> list[tuple[datetime, int]]:
        """Hits per step of event time from since (its own start) to until; steps without hits are there with 0."""

    def sources_seen(self) -> list[tuple[str, str, datetime, datetime, int]]:
        """(unit, source, first received, last received, events) of every registered unit and source."""

    def ledger(self, since: datetime | None = None) -> list[LedgerRow]: ...

    def rejected(self, *, since: datetime | None = None, limit: int = 100) -> list[Rejected]: ...

    def forget_rejected(self, record_ids: Iterable[str]) -> None:
        """The records have been replayed: their fate is that of the replay from now on."""

    def expire(self, before: date) -> dict[str, int]:
        """Delete the events and rejected records received on days before `before`; class → documents deleted."""

    # -- alerts: create, then update-if-unchanged
    def create_alert(self, alert: Alert) -> bool:
        """False if an alert of that id exists already (which is left as it is)."""

    def alert(self, alert_id: str) -> Alert | None:
        """By id, or by a prefix of it that is unique (8 characters or more)."""

    def update_alert(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        """Set these fields if the version is still current; the new version. Raises VersionConflictError."""

    def search_alerts(
        self,
        query: Query,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[int, list[Alert]]:
        """(total, page), newest first by @timestamp."""

    # -- state of workers
    def save_state(self, name: str, state: bytes) -> None: ...

    def load_state(self, name: str) -> bytes | None: ...

    def close(self) -> None: ...
