"""The alert worker: detections of the bus in, alerts in the store out, and what people decided stays decided."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.alert.triage import Mutes, Triage
from soc.app.alerting import AlertWorker
from soc.app.config import Config
from soc.app.content import load_content
from soc.app.detecting import Content, copies
from soc.bus.base import DETECTIONS
from soc.bus.sqlite import SqliteBus
from soc.detect.wire import detection_id
from soc.event import Detection
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
PROVINCE, COMMUNE, WARD = "vn:tinh:08@2025-07-01", "vn:xa:02473@2025-07-01", "vn:xa:02215@2025-07-01"


@pytest.fixture(scope="module")
def content(root: Path) -> Content:
    return load_content(
        Config(
            org=root / "deploy/sample/org",
            rules=[root / "rules"],
            sources=[root / "pipelines/sources"],
            sigma_pipelines=[root / "pipelines/sigma"],
        )
    )


class Desk:
    """A worker on an empty store, fed with detections of one rule of ours that alerts by itself."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.content = content
        self.bus, self.store = SqliteBus(folder / "bus"), SqliteStore(folder / "store")
        self.worker = AlertWorker(self.bus, self.store, content, lambda: NOW)
        self.subscription = self.bus.subscribe(DETECTIONS, "alert")
        rules = content.rules
        self.rule = next(r for r in rules.rules.values() if r.id not in rules.feeds and r.level == "high")
        self._number = 0

    def detect(self, unit: str = COMMUNE, host: str = "web01") -> None:
        """One more detection, and the worker's turn over it."""
        self._number += 1
        event_id = f"20260302-{self._number:024d}"
        found = Detection(
            rule_id=self.rule.id,
            title=self.rule.title,
            level=self.rule.level,
            rule_version=self.rule.version,
            id=detection_id(self.rule.id, self.rule.version, event_id),
            timestamp=NOW + timedelta(seconds=self._number),
            event_id=event_id,
            fields={"host.name": host, "soc.unit.uid": unit, "soc.unit.path": [PROVINCE, unit]},
        )
        self.bus.publish(DETECTIONS, copies(found, self.content))
        self.bus.flush()
        self.worker.turn(self.subscription.poll(100, 1.0), threading.Event())

    def alerts(self) -> list[dict[str, Any]]:
        return [a.document for a in self.store.search_alerts(parse_query("*"))[1]]


@pytest.fixture
def desk(content: Content, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(content, tmp_path)
    yield made
    made.bus.close()
    made.store.close()


def test_what_belongs_together_is_one_alert_that_grows(desk: Desk) -> None:
    for _ in range(3):
        desk.detect()
    desk.detect(host="web02")
    assert sorted(a["soc.evidence.count"] for a in desk.alerts()) == [1, 3]


def test_a_muted_rule_makes_alerts_that_are_closed_from_the_start_in_its_unit_and_below(desk: Desk) -> None:
    mute = Mutes(desk.store).add(desk.rule.id, COMMUNE, NOW, timedelta(hours=1), "bảo trì", "lan")
    desk.detect(COMMUNE)
    desk.detect(WARD, host="web02")
    muted, heard = sorted(desk.alerts(), key=lambda a: a["soc.unit.uid"] != COMMUNE)
    assert (muted["soc.triage.status"], "muted" in muted["tags"]) == ("closed", True)
    assert [(h["by"], h["action"], h["mute"]) for h in muted["soc.triage.history"]] == [("lan", "mute", mute.id)]
    assert (heard["soc.triage.status"], "muted" in heard["tags"]) == ("open", False)


def test_a_closed_alert_goes_on_counting_and_stays_closed(desk: Desk) -> None:
    desk.detect()
    Triage(desk.store, "lan", lambda: NOW).close(desk.alerts()[0]["event.id"], "benign_positive", "quen")
    desk.detect()
    (alert,) = desk.alerts()
    assert (alert["soc.evidence.count"], alert["soc.triage.status"], alert["soc.triage.verdict"]) == (
        2,
        "closed",
        "benign_positive",
    )
    assert len(alert["soc.triage.history"]) == 1


def test_the_next_alert_knows_how_the_last_ones_ended(desk: Desk) -> None:
    desk.detect()
    Triage(desk.store, "lan", lambda: NOW).close(desk.alerts()[0]["event.id"], "false_positive")
    desk.detect(host="web02")
    latest = next(a for a in desk.alerts() if a["host.name"] == "web02")
    assert (latest["soc.history.rule_fires_30d"], latest["soc.history.unit_fires_30d"]) == (1, 1)
    assert (latest["soc.history.fp_ratio"], latest["soc.history.last_verdict"]) == (1.0, "false_positive")
    assert latest["soc.history.first_seen_for_host"] is True
