"""Which records a detect worker may not be the first to write; detections that their topic does not take."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.app.config import Config
from soc.app.content import load_content
from soc.app.detecting import Inherited, may_alert, publish
from soc.bus.base import DETECTIONS, Delivery
from soc.bus.sqlite import SqliteBus
from soc.detect.wire import from_delivery, to_message
from soc.event import Detection, Matched

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def delivered(partition: int, *offsets: int) -> list[Delivery]:
    return [Delivery("soc.raw", partition, offset, b"", b"", {}, NOW) for offset in offsets]


def test_the_first_records_of_a_partition_may_have_been_written_by_its_last_owner() -> None:
    inherited = Inherited(records=10)
    inherited.assigned(frozenset({0, 1}))
    assert inherited.perhaps_written(delivered(0, 100, 101))
    assert inherited.perhaps_written(delivered(0, 109, 110))
    assert not inherited.perhaps_written(delivered(0, 111))
    assert inherited.perhaps_written(delivered(1, 5))
    assert not inherited.perhaps_written(delivered(1, 20) + delivered(0, 120))
    inherited.assigned(frozenset({0}))  # lost and given back
    assert inherited.perhaps_written(delivered(0, 121))


@pytest.mark.parametrize(("mode", "alerts"), [("live", True), ("off", False)])
def test_a_packs_word_is_heard_by_its_correlations_too(root: Path, tmp_path: Path, mode: str, alerts: bool) -> None:
    pack = shutil.copytree(root / "rules", tmp_path / "rules")
    (pack / "pack.yaml").write_text(f"mode: {mode}\n", "utf-8")
    content = load_content(Config(rules=[pack], sources=[root / "pipelines/sources"]))
    made = content.rules.correlations[0]
    assert may_alert(content, made.id, "high") is alerts


def test_a_detection_too_large_for_its_topic_goes_without_the_long_values_of_its_event(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path, max_message_bytes=5_000)
    fields = {"host.name": "PC-0001", "tags": ["a"], "x": "y" * 6_000, "list": ["z" * 100] * 100, "event.severity": 3}
    matched = (Matched("x", "x", "contains", "y", "y" * 6_000),)
    made = Detection("rule", "title", "high", matched, id="1", timestamp=NOW, event_id="e", fields=fields)
    other = Detection("rule", "title", "high", id="2", timestamp=NOW, event_id="f")
    publish(bus, [to_message(made, b"k"), to_message(other, b"k")])
    bus.flush()
    found, second = (from_delivery(d) for d in bus.subscribe(DETECTIONS, "g").poll(10, 1.0))
    assert (found.id, found.event_id, second.id) == ("1", "e", "2")
    assert found.fields == fields | {"x": "y" * 256, "list": "…"}
    assert found.matched[0].actual == "y" * 256
    bus.close()
