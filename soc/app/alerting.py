"""The alert worker: topic soc.detections in; correlations back onto it, alerts into the store out.

    detections ── correlate ──▶ 1. publish what correlations found  2. write alerts  3. flush  4. snapshot  5. commit

The state of each partition (open windows and episodes) is snapshotted together with the offset that it stands for;
whoever gets the partition next loads it and reads on from there, so the commit itself only tells how far we are.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import orjson

from soc.alert import build
from soc.alert.entity import entity, named_entity
from soc.alert.episodes import Change, Episodes
from soc.alert.triage import Mutes
from soc.app.detecting import Content, copies, publish
from soc.app.runner import Stopped, patiently
from soc.bus.base import DETECTIONS, Bus, Delivery, Message, Partitions
from soc.detect.correlate import Correlator
from soc.detect.wire import from_delivery
from soc.event import Alert, Detection, Fields, RecordError, rfc3339
from soc.store.base import Store, VersionConflictError
from soc.store.query import parse_query

log = logging.getLogger("soc.alert")

Result = TypeVar("Result")

GROUP: Final = "alert"
SNAPSHOT_VERSION: Final = 1
_SNAPSHOT_EVERY: Final = timedelta(seconds=30)
#: Nothing on soc.detections for so long: what happened before then has arrived.
_QUIET: Final = timedelta(minutes=1)
_CONFLICT_TRIES: Final = 20


@dataclass(slots=True)
class Partition:
    """State of one partition of soc.detections, and the offset that it stands for."""

    correlator: Correlator
    episodes: Episodes
    offset: int = 0


@dataclass(slots=True)
class AlertWorker:
    """`now` stamps event.created and decides when to snapshot; everything else goes by event time."""

    bus: Bus
    store: Store
    content: Content
    now: Callable[[], datetime]
    lang: str = "vi"
    url: str = ""
    partitions: dict[int, Partition] = field(default_factory=dict)
    _saved: datetime | None = None
    _beat: Callable[[], None] = lambda: None
    _heard: datetime | None = None
    _torn: bool = False  # a turn has begun and not ended: what is in memory is ahead of what is durable

    def run(
        self,
        stop: threading.Event,
        *,
        member: str = "",
        max_records: int = 2000,
        poll_s: float = 0.5,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Works until `stop` is set, then snapshots and leaves."""
        self._beat = beat
        fresh: list[int] = []
        subscription = self.bus.subscribe(
            DETECTIONS,
            GROUP,
            member=member,
            on_assigned=fresh.extend,
            on_revoked=lambda lost: self._give_up(lost),
        )
        try:
            while not stop.is_set():
                beat()
                try:
                    deliveries = self._patiently(
                        lambda: subscription.poll(max_records, poll_s), "reading soc.detections", stop
                    )
                    if fresh:  # what was polled before the state was there is read again from where the state stands
                        for number in fresh:
                            self._patiently(lambda n=number: self._take_over(n), "loading state", stop)  # type: ignore[misc]
                        fresh.clear()
                        for number in subscription.assigned():
                            subscription.seek(number, self.partitions[number].offset)
                        # the state may be ahead of the commit, when we were stopped between the two
                        self._patiently(subscription.commit, "committing soc.detections", stop)
                        continue
                    if deliveries or self._has_gone_quiet():
                        self.turn(deliveries, stop)
                        self._patiently(subscription.commit, "committing soc.detections", stop)  # 5. commit
                    self._save(stop, every=_SNAPSHOT_EVERY)
                except Stopped:
                    break
            with suppress(Stopped):  # stop is set: one try, for the last snapshot serves as well
                self._save(stop, every=timedelta(0))
        finally:
            subscription.close()

    def turn(self, deliveries: Sequence[Delivery], stop: threading.Event) -> list[Change]:
        """One batch: correlate, publish, alert, flush. The state is advanced in memory; `_save` makes it durable."""
        self._torn = True
        if deliveries:
            self._heard = self.now()
        found: list[Detection] = []
        alerting: dict[int, list[Detection]] = {}
        for delivery in deliveries:
            part = self._partition(delivery.partition)
            part.offset = delivery.offset + 1
            try:
                detection = from_delivery(delivery)
            except RecordError as error:
                log.error(
                    "skipped one record of soc.detections at %s/%s: %s", delivery.partition, delivery.offset, error
                )
                continue
            if detection.feeds:
                found += part.correlator.add(detection)
            else:
                alerting.setdefault(delivery.partition, []).append(detection)
        for part in self.partitions.values():
            found += part.correlator.drain()
            if not deliveries:
                found += part.correlator.close(self.now() - _QUIET)
        messages: list[Message] = [m for d in found for m in copies(d, self.content)]
        if messages:
            self._patiently(lambda: publish(self.bus, messages), "publishing correlations", stop)  # 1. publish
        changes = [c for number, some in alerting.items() for c in self._episodes(number, some)]
        self._write(changes, stop)  # 2. write alerts
        if messages:
            self._patiently(self.bus.flush, "flushing correlations", stop)  # 3. flush
        self._torn = False
        return changes

    def _patiently(self, call: Callable[[], Result], what: str, stop: threading.Event) -> Result:
        return patiently(call, what, stop, self._beat)

    def _has_gone_quiet(self) -> bool:
        """Once each time that nothing has come for a while: conditions that wait (`not`, `lt`) may be judged then."""
        now = self.now()
        if self._heard is None or now - self._heard < _QUIET:
            return False
        self._heard = None
        return True

    # ------------------------------------------------------------ alerts

    def _episodes(self, number: int, detections: Sequence[Detection]) -> list[Change]:
        rows = []
        for detection in detections:
            rule = self.content.rules.rules.get(detection.rule_id)
            about = entity(detection, named_entity(rule.custom if rule else {}))
            rows.append((detection, str(detection.fields.get("soc.unit.uid", "")), about))
        return self._partition(number).episodes.add(rows)

    def _write(self, changes: Sequence[Change], stop: threading.Event) -> None:
        if not changes:
            return
        mutes = self._patiently(lambda: Mutes(self.store).all(), "reading mutes", stop)
        for change in changes:
            self._patiently(lambda c=change: self._write_one(c, mutes), "writing an alert", stop)  # type: ignore[misc]

    def _write_one(self, change: Change, mutes: Sequence[Any]) -> None:
        episode = change.episode
        for _ in range(_CONFLICT_TRIES):
            alert = self.store.alert(episode.alert_id)
            if alert is None:
                if self.store.create_alert(Alert(episode.alert_id, self._document(change, mutes))):
                    return
                continue
            doc = alert.document
            if doc["soc.evidence.count"] >= episode.count and doc["soc.evidence.last"] >= rfc3339(episode.last):
                return  # replayed: the store is ahead of us
            grown = build.growth(self._readable(change.detection), episode, doc, str(doc["rule.name"]), self.lang)
            try:
                self.store.update_alert(alert.id, grown, alert.version)
                return
            except VersionConflictError:
                continue
        log.error("alert %s kept changing under us; its count is not up to date", episode.alert_id)

    def _readable(self, detection: Detection) -> Detection:
        """Rules that a correlation saw, by their titles and not by their ids."""
        if not any(m.op.startswith("temporal") for m in detection.matched):
            return detection

        def title(rule_id: str) -> str:
            rule = self.content.rules.named(rule_id)
            return str(build.said(rule, "title", self.lang) or rule.title) if rule else rule_id

        named = (replace(m, actual="; ".join(title(i) for i in m.actual.split(", "))) for m in detection.matched)
        return replace(detection, matched=tuple(named))

    def _document(self, change: Change, mutes: Sequence[Any]) -> Fields:
        detection, episode = self._readable(change.detection), change.episode
        rule = self.content.rules.named(detection.rule_id)
        decision = self.content.policy.decide(detection.rule_id, rule.path if rule else None)
        now = self.now()
        doc = build.document(
            detection,
            episode,
            rule,
            mode=decision.mode,
            lang=self.lang,
            now=now,
            history=self._history(detection, now),
            url=self.url,
        )
        path = [str(uid) for uid in doc["soc.unit.path"]] + [str(doc["soc.unit.uid"])]
        if (mute := next((m for m in mutes if m.covers(detection.rule_id, path, now)), None)) is not None:
            doc["tags"].append("muted")
            doc["soc.triage.status"] = "closed"
            doc["soc.triage.verdict"] = "other"
            doc["soc.triage.history"] = [
                {"at": rfc3339(now), "by": mute.by, "action": "mute", "note": mute.reason, "mute": mute.id}
            ]
        return doc

    def _history(self, detection: Detection, now: datetime) -> Fields:
        """How often the rule made alerts in the 30 days before, here and everywhere, and how those ended."""
        since = (detection.timestamp or now) - timedelta(days=30)
        total, alerts = self.store.search_alerts(
            parse_query(f"rule.id:{_term(detection.rule_id)}"), since=since, until=detection.timestamp, limit=200
        )
        unit = detection.fields.get("soc.unit.uid")
        here = [a.document for a in alerts if a.document.get("soc.unit.uid") == unit]
        verdicts = [v for a in alerts if (v := a.document.get("soc.triage.verdict"))]
        host = detection.fields.get("host.name")
        fields: Fields = {
            "rule_fires_30d": total,
            "unit_fires_30d": len(here),
            "first_seen_for_host": all(a.document.get("host.name") != host for a in alerts),
        }
        if verdicts:
            fields["fp_ratio"] = round(verdicts.count("false_positive") / len(verdicts), 2)
            fields["last_verdict"] = verdicts[0]
        return fields

    # ------------------------------------------------------------ state

    def _partition(self, number: int) -> Partition:
        if (part := self.partitions.get(number)) is None:
            correlator = Correlator(
                self.content.rules.correlations, lateness=self.content.lateness, fields=self.content.rules.names
            )
            part = self.partitions[number] = Partition(correlator, Episodes(self._quiet))
        return part

    def _quiet(self, rule_id: str) -> timedelta:
        rule = self.content.rules.named(rule_id)
        return self.content.policy.decide(rule_id, rule.path if rule else None).episode

    def _take_over(self, number: int) -> None:
        self.partitions.pop(number, None)
        part = self._partition(number)
        if (raw := self.store.load_state(_state_name(number))) is None:
            return
        state = orjson.loads(raw)
        if state["version"] != SNAPSHOT_VERSION:
            log.warning("state of partition %s has version %s; rebuilding it by reading back", number, state["version"])
            return
        part.offset = state["offset"]
        part.episodes.restore(state["episodes"])
        part.correlator.restore(state["correlator"].encode())

    def _give_up(self, lost: Partitions) -> None:
        for number in lost:
            if number in self.partitions:
                if not self._torn:
                    self._save_one(number)
                del self.partitions[number]

    def _save(self, stop: threading.Event, every: timedelta) -> None:
        now = self.now()
        if self._torn or (self._saved is not None and now - self._saved < every):
            return
        for number in list(self.partitions):
            self._patiently(lambda n=number: self._save_one(n), "saving state", stop)  # type: ignore[misc]
        self._saved = now

    def _save_one(self, number: int) -> None:
        part = self.partitions[number]
        state = {
            "version": SNAPSHOT_VERSION,
            "offset": part.offset,
            "episodes": part.episodes.snapshot(),
            "correlator": part.correlator.snapshot().decode(),
        }
        self.store.save_state(_state_name(number), orjson.dumps(state))


def _state_name(number: int) -> str:
    return f"alert/{DETECTIONS}/{number}"


def _term(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
