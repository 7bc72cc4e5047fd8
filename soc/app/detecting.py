"""The detect worker: topic soc.raw in; stored events and topic soc.detections out.

    records ── parse, normalize ──▶ events ── enrich ──▶ match ──▶ 1. store  2. publish  3. flush  4. commit

It keeps no state but caches, so any number of them share the partitions of soc.raw.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from soc.alert.entity import entity, named_entity
from soc.alert.policy import Policy
from soc.app.runner import Stopped, bisected, patiently
from soc.bus.base import DETECTIONS, RAW, REJECTED, Bus, Delivery, Message, Partitions, TooLargeError
from soc.collect.wire import from_delivery, rejected_from_delivery
from soc.detect import RuleSet
from soc.detect.correlate import Correlator
from soc.detect.wire import completed, lighter, to_message
from soc.enrich import Enricher
from soc.event import Batch, Detection, RecordError, Rejected
from soc.normalize import Sources
from soc.org import Org
from soc.store.base import Store

log = logging.getLogger("soc.detect")

GROUP: Final = "detect"
#: A group of its own: within one, a member's name is one subscription's.
ASIDE_GROUP: Final = "aside"
Beat = Callable[[], None]


def _no_one() -> None:
    """Nobody watches that the loop lives."""


#: Records of one batch, at most, of workers that run with the default settings.
_LARGEST_BATCH: Final = 10_000


@dataclass(slots=True)
class Content:
    """What a detect worker works with: source definitions, units, rules and what may alert."""

    sources: Sources
    enricher: Enricher
    rules: RuleSet
    policy: Policy
    correlator: Correlator  # asked for group keys alone; the state lives with the alert worker
    org: Org
    lateness: timedelta = timedelta(minutes=5)


def detect(
    bus: Bus,
    store: Store,
    content: Content,
    stop: threading.Event,
    *,
    member: str = "",
    max_records: int = 2000,
    poll_s: float = 0.5,
    beat: Beat = _no_one,
) -> None:
    """Works until `stop` is set. `beat` is called once a turn, for whoever watches that the loop lives."""
    heirs = Inherited(max(2 * max_records, _LARGEST_BATCH))
    subscription = bus.subscribe(RAW, GROUP, member=member, on_assigned=heirs.assigned)
    set_aside = bus.subscribe(REJECTED, ASIDE_GROUP, member=member)
    try:
        while not stop.is_set():
            beat()
            try:
                deliveries = patiently(lambda: subscription.poll(max_records, poll_s), "reading soc.raw", stop, beat)
                turn(bus, store, content, deliveries, stop, again=heirs.perhaps_written(deliveries), beat=beat)
                if deliveries:
                    patiently(subscription.commit, "committing soc.raw", stop, beat)  # 4. commit what was read
                refused = patiently(lambda: set_aside.poll(max_records, 0.0), "reading soc.rejected", stop, beat)
                if refused:
                    keep_refused(store, refused, stop, beat)
                    patiently(set_aside.commit, "committing soc.rejected", stop, beat)
            except Stopped:
                break
    finally:
        set_aside.close()
        subscription.close()


class Inherited:
    """Which records the owner of a partition before us may have written and not committed.

    It wrote one batch at a time and committed before the next one, so these are the first ones of each partition
    that we are given. Its content may have been another than ours: the store is told, see `Store.write`.
    """

    def __init__(self, records: int) -> None:
        self._records = records  # as many as a batch can have had
        self._until: dict[int, int | None] = {}

    def assigned(self, partitions: Partitions) -> None:
        self._until |= dict.fromkeys(partitions)

    def perhaps_written(self, deliveries: Sequence[Delivery]) -> bool:
        """Whether one of the records is such. Call it with every batch."""
        found = False
        for delivery in deliveries:
            if delivery.partition not in self._until:
                continue
            until = self._until[delivery.partition]
            if until is None:
                self._until[delivery.partition] = until = delivery.offset + self._records
            if delivery.offset < until:
                found = True
            else:
                del self._until[delivery.partition]
        return found


def turn(
    bus: Bus,
    store: Store,
    content: Content,
    deliveries: Sequence[Delivery],
    stop: threading.Event,
    *,
    again: bool = False,
    beat: Beat = _no_one,
) -> Batch:
    """Everything between reading and committing one batch; `again` as in `Store.write`."""
    if not deliveries:
        return Batch()
    batch = bisected(
        deliveries,
        lambda some: examine(some, content),
        _joined,
        lambda one, trace: Batch(rejected=[Rejected(from_delivery(one), "internal_error", trace, "match")]),
    )
    messages = published(batch, content)
    patiently(lambda: store_batch(store, batch, again), "storing events", stop, beat)  # 1. write events
    if messages:
        patiently(lambda: publish(bus, messages), "publishing detections", stop, beat)  # 2. publish
        patiently(bus.flush, "flushing detections", stop, beat)  # 3. flush
    return batch


def examine(deliveries: Sequence[Delivery], content: Content) -> Batch:
    """Deliveries → events with their detections, records without events, rejected records. No writing."""
    batch = parsed(deliveries, content.sources, content.lateness)
    content.enricher.enrich(batch.events)
    batch.detections = content.rules.match([e.fields for e in batch.events], [e.logsources for e in batch.events])
    for event, found in zip(batch.events, batch.detections, strict=True):
        if found:
            event.fields["soc.rules"] = [d.rule_id for d in found]
    return batch


def parsed(deliveries: Sequence[Delivery], sources: Sources, lateness: timedelta) -> Batch:
    """The records, and the events that they hold; soc.late marks those that came later than correlation waits.

    The records of a file are read when it is read: their events are not late, they are old.
    """
    batch = Batch()
    events = sources.events
    for delivery in deliveries:
        record = from_delivery(delivery)
        batch.records.append(record)
        try:
            found = events(record)
        except RecordError as error:
            batch.rejected.append(Rejected(record, error.code, error.detail, "parse"))
            continue
        if found:
            file = record.facts.get("file")
            live = file is None
            for event in found:
                event.registered = record.source
                if (host := record.facts.get("host")) is not None:
                    event.fields.setdefault("host.name", host)
                if file is not None:
                    event.fields.setdefault("log.file.path", file)
                else:
                    event.fields.setdefault("log.source.address", record.sender)
                if live and event.received - event.timestamp > lateness:
                    event.fields["soc.late"] = True
            batch.events += found
        else:
            batch.filtered.append(record)
    return batch


def store_batch(store: Store, batch: Batch, again: bool = False) -> None:
    """Write the batch; a document that the store will never take is set aside with its reason."""
    written = store.write(batch.events, batch.rejected, batch.filtered, again=again)
    if written.refused:
        records = {record.id: record for record in batch.records}
        refused = [
            Rejected(records[event.record_id], "store_refused", written.refused[event.id], "store")
            for event in batch.events
            if event.id in written.refused
        ]
        log.warning(
            "the store refused %s events, see `soc rejected list`; the first: %s", len(refused), refused[0].detail
        )
        store.write((), refused)


def publish(bus: Bus, messages: Sequence[Message]) -> None:
    """Detections onto their topic. One that is too large for it goes without the texts of its event."""
    try:
        bus.publish(DETECTIONS, messages)
    except TooLargeError as wrong:
        log.warning("%s; they go on without the long values of their events", wrong)
        bus.publish(DETECTIONS, [lighter(m) if n in wrong.at else m for n, m in enumerate(messages)])


def keep_refused(store: Store, deliveries: Sequence[Delivery], stop: threading.Event, beat: Beat = _no_one) -> None:
    """Records that a collector set aside, kept where `soc rejected` finds them."""
    items = [rejected_from_delivery(delivery) for delivery in deliveries]
    patiently(lambda: store.write((), items), "storing rejected records", stop, beat)


def published(batch: Batch, content: Content) -> list[Message]:
    """Messages for soc.detections: a copy for each correlation that a detection feeds, one for the alert builder."""
    messages: list[Message] = []
    for event, found in zip(batch.events, batch.detections, strict=True):
        for match in found:
            messages += copies(completed(match, event), content)
    return messages


def copies(made: Detection, content: Content) -> list[Message]:
    """One message for each correlation that the detection feeds, and one for the alert builder if it may alert."""
    messages = []
    for correlation in content.rules.feeds.get(made.rule_id, ()):
        copy = replace(made, feeds=correlation)
        if (key := content.correlator.group_key(correlation, copy)) is not None:
            messages.append(to_message(copy, key))
    if made.rule_id not in content.rules.silent and may_alert(content, made.rule_id, made.level):
        rule = content.rules.rules.get(made.rule_id)
        about = entity(made, named_entity(rule.custom if rule else {}))
        # an episode's growth and end must meet its beginning, whatever unit its newest event is of
        unit = "" if made.kind == "correlation" else str(made.fields.get("soc.unit.uid", ""))
        key = "\0".join([made.rule_id, unit, *about.values()]).encode()
        messages.append(to_message(made, key))
    return messages


def may_alert(content: Content, rule_id: str, level: str) -> bool:
    rule = content.rules.named(rule_id)
    return content.policy.decide(rule_id, rule.path if rule else None).alerts(level)


def _joined(left: Batch, right: Batch) -> Batch:
    return Batch(
        left.records + right.records,
        left.events + right.events,
        left.rejected + right.rejected,
        left.filtered + right.filtered,
        left.detections + right.detections,
    )
