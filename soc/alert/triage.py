"""What people decide about alerts: acknowledge, assign, note, close, mute; the history only grows.

Every change reads the alert, appends to its history and writes if nobody else wrote meanwhile, else it starts anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from soc.event import Alert, SocError, digest, parse_rfc3339, rfc3339
from soc.store.base import Store, VersionConflictError

VERDICTS: Final = ("true_positive", "false_positive", "benign_positive", "duplicate", "other")
STATUSES: Final = ("open", "acknowledged", "closed")
_TRIES: Final = 10


class TriageError(SocError):
    """The change makes no sense; the text says what would."""


class Triage:
    """Acts as `user`; `now` gives the time that history records."""

    def __init__(self, store: Store, user: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._user = user
        self._now = now

    def acknowledge(self, alert_id: str) -> Alert:
        """Taken by the user, who becomes the assignee where there was none."""

        def change(doc: dict[str, Any]) -> dict[str, object]:
            if doc.get("soc.triage.status") == "closed":
                raise TriageError(f"alert {alert_id} is closed; nothing to acknowledge")
            return {
                "soc.triage.status": "acknowledged",
                "soc.triage.assignee": doc.get("soc.triage.assignee") or self._user,
            }

        return self._apply(alert_id, "acknowledge", change)

    def assign(self, alert_id: str, user: str) -> Alert:
        return self._apply(alert_id, "assign", lambda doc: {"soc.triage.assignee": user})

    def note(self, alert_id: str, text: str) -> Alert:
        if not text.strip():
            raise TriageError("an empty note says nothing")
        return self._apply(alert_id, "note", lambda doc: {}, note=text)

    def close(self, alert_id: str, verdict: str, note: str = "") -> Alert:
        """A verdict is mandatory; closing never ends the episode's suppression."""
        if verdict not in VERDICTS:
            raise TriageError(f"a verdict is one of {', '.join(VERDICTS)}, not {verdict!r}")
        return self._apply(
            alert_id,
            "close",
            lambda doc: {"soc.triage.status": "closed", "soc.triage.verdict": verdict},
            note=note,
        )

    def reopen(self, alert_id: str) -> Alert:
        return self._apply(alert_id, "reopen", lambda doc: {"soc.triage.status": "open", "soc.triage.verdict": None})

    def _apply(
        self, alert_id: str, action: str, change: Callable[[dict[str, Any]], dict[str, object]], note: str = ""
    ) -> Alert:
        for _ in range(_TRIES):
            alert = self._store.alert(alert_id)
            if alert is None:
                raise TriageError(f"no alert {alert_id}; `soc alerts list` shows those there are")
            changes = change(alert.document)
            at = rfc3339(self._now())
            entry: dict[str, object] = {"at": at, "by": self._user, "action": action}
            entry |= {
                name.removeprefix("soc.triage."): [alert.document.get(name), value]
                for name, value in changes.items()
                if alert.document.get(name) != value
            }
            if note:
                entry["note"] = note
            changes |= {
                "soc.triage.history": [*alert.document.get("soc.triage.history", []), entry],
                "soc.triage.updated_at": at,
                "soc.triage.updated_by": self._user,
            }
            try:
                version = self._store.update_alert(alert.id, changes, alert.version)
            except VersionConflictError:
                continue
            return Alert(alert.id, alert.document | changes, version)
        raise TriageError(f"alert {alert_id} kept changing; try again")


@dataclass(frozen=True, slots=True)
class Mute:
    """A rule kept out of the queue for a while: its alerts are made and counted, but closed from the start."""

    id: str
    rule: str
    unit: str  # "" = everywhere; else the unit and all below it
    since: datetime
    until: datetime
    reason: str
    by: str

    def covers(self, rule: str, path: list[str], at: datetime) -> bool:
        """Whether an alert of the rule, in a unit with this path from the root, made at that time is muted."""
        return self.rule == rule and self.since <= at < self.until and (not self.unit or self.unit in path)


class Mutes:
    """The list of mutes, kept in the store's state; ended ones stay in it as history."""

    _STATE: Final = "alert/mutes"

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Mute]:
        raw = self._store.load_state(self._STATE)
        return [
            Mute(**(row | {"since": parse_rfc3339(row["since"]), "until": parse_rfc3339(row["until"])}))
            for row in (orjson.loads(raw) if raw else [])
        ]

    def add(self, rule: str, unit: str, since: datetime, lasts: timedelta, reason: str, by: str) -> Mute:
        """Raises TriageError without a reason, or for longer than 365 days."""
        if not reason.strip():
            raise TriageError("a mute needs a reason: --reason '…'")
        if lasts > timedelta(days=365):
            raise TriageError("a mute lasts at most 365 days")
        mute = Mute(digest(rule, unit, rfc3339(since))[:8], rule, unit, since, since + lasts, reason, by)
        self._save([*self.all(), mute])
        return mute

    def end(self, mute_id: str, now: datetime) -> Mute:
        """The mute ends now. Raises TriageError for one that does not exist or has ended."""
        mutes = self.all()
        found = next((m for m in mutes if m.id == mute_id and m.until > now), None)
        if found is None:
            raise TriageError(f"no mute {mute_id} is in force; `soc alerts mutes` lists them")
        ended = replace(found, until=now)
        self._save([ended if m is found else m for m in mutes])
        return ended

    def _save(self, mutes: Sequence[Mute]) -> None:
        self._store.save_state(self._STATE, orjson.dumps([self._row(m) for m in mutes]))

    @staticmethod
    def _row(mute: Mute) -> dict[str, str]:
        return {
            "id": mute.id,
            "rule": mute.rule,
            "unit": mute.unit,
            "since": rfc3339(mute.since),
            "until": rfc3339(mute.until),
            "reason": mute.reason,
            "by": mute.by,
        }
