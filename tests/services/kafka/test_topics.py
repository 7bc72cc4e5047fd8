"""`soc topics apply` on the real Kafka: the difference first, the same twice, nothing lowered, nothing else touched."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import ConfigResource

from soc.bus.base import RAW, TOPICS
from soc.bus.kafka.access import Cluster
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.topics import Plan, apply, plan
from soc.bus.kafka.topics_table import load_topics

from .conftest import until

pytestmark = pytest.mark.services

TABLE = """\
replication: {factor: FACTOR, min.insync.replicas: 1}
settings: {compression.type: zstd, message.timestamp.type: LogAppendTime}
topics:
  soc.raw: {partitions: RAW, retention.ms: RETENTION, max.message.bytes: 2097152}
  soc.detections: {partitions: 1}
  soc.rejected: {partitions: 1}
  soc.counts: {partitions: 1}
"""


class Place:
    """A table and a prefix of one's own."""

    def __init__(self, folder: Path, bootstrap: str) -> None:
        self.prefix = f"t-{secrets.token_hex(6)}."
        self.table = folder / "topics.yaml"
        self.config = folder / "soc.yaml"
        self.config.write_text(
            f"data_dir: {folder}\nbus: {{type: kafka, bootstrap: ['{bootstrap}'], prefix: {self.prefix}, "
            f"topics: {self.table}}}\n"
        )
        self.cluster = Administration(Cluster([bootstrap]))
        self.write()

    def write(self, raw: int = 2, retention: int = 604_800_000, factor: int = 1) -> None:
        words = {"RAW": raw, "RETENTION": retention, "FACTOR": factor}
        text = TABLE
        for word, value in words.items():
            text = text.replace(word, str(value))
        self.table.write_text(text)

    def plan(self) -> Plan:
        return plan(self.cluster, load_topics(self.table), self.prefix)

    def soc(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "soc.app", "topics", "apply", *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True)

    def set(self, topic: str, **settings: str) -> None:
        resource = ConfigResource("TOPIC", self.prefix + topic, {k.replace("_", "."): v for k, v in settings.items()})
        self.cluster.ask("changing", lambda admin: admin.alter_configs([resource]))

    def settings(self, topic: str) -> dict[str, str]:
        resource = ConfigResource("TOPIC", self.prefix + topic)
        found = self.cluster.ask("looking", lambda admin: admin.describe_configs([resource], config_filter="all"))
        return {name: value["value"] for name, value in found["topic"][self.prefix + topic].items()}


@pytest.fixture
def place(tmp_path: Path, kafka: str) -> Iterator[Place]:
    made = Place(tmp_path, kafka)
    yield made
    made.cluster.close()


def test_topics_are_created_once_as_the_table_says(place: Place) -> None:
    before = place.plan()
    assert [(c.topic, c.what) for c in before.changes] == [(place.prefix + name, "topic") for name in TOPICS]
    assert before.drift
    apply(place.cluster, before)
    apply(place.cluster, before)  # somebody else was quicker
    assert until(lambda: not place.plan().drift)
    assert place.plan().kept == len(TOPICS)
    assert len(place.cluster.partitions(place.prefix + RAW)) == 2
    found = place.settings(RAW)
    assert (found["retention.ms"], found["max.message.bytes"]) == ("604800000", "2097152")
    assert (found["compression.type"], found["message.timestamp.type"]) == ("zstd", "LogAppendTime")


def test_drift_is_named_with_what_is_and_what_should_be_and_mended(place: Place) -> None:
    apply(place.cluster, place.plan())
    place.set(RAW, retention_ms="1000", segment_ms="600000")
    place.write(raw=4)
    assert until(lambda: len(place.plan().changes) == 2)
    assert [str(change) for change in place.plan().changes] == [
        f"{place.prefix}soc.raw: partitions 2 → 4 (records of a key may go to another partition from now on)",
        f"{place.prefix}soc.raw: retention.ms 1000 → 604800000",
    ]
    apply(place.cluster, place.plan())
    assert until(lambda: not place.plan().drift)
    assert place.settings(RAW)["segment.ms"] == "600000"  # the table does not name it


def test_partitions_are_never_lowered_and_replicas_not_moved_but_both_are_told(place: Place) -> None:
    apply(place.cluster, place.plan())
    place.write(raw=1)
    made = place.plan()
    assert made.changes == ()
    (told,) = made.by_hand
    assert (told.what, told.before, told.after) == ("partitions", "2", "1")
    assert "cannot take partitions away" in told.why
    apply(place.cluster, made)
    assert len(place.cluster.partitions(place.prefix + RAW)) == 2
    place.write(factor=3)
    assert {change.what for change in place.plan().by_hand} == {"replication factor"}


def test_the_command_shows_first_applies_then_and_says_by_its_exit_code_whether_something_differs(place: Place) -> None:
    dry = place.soc("--dry-run")
    assert (dry.returncode, "nothing was changed" in dry.stderr) == (1, True)
    assert f"{place.prefix}soc.raw" in dry.stdout
    assert place.soc("--dry-run").returncode == 1
    done = place.soc()
    assert (done.returncode, "4 changes made" in done.stderr) == (0, True)
    assert until(lambda: place.soc("--dry-run").returncode == 0)
    again = place.soc("--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == {"schema": 1, "applied": True, "kept": 4, "changes": [], "by_hand": []}
    place.write(raw=1)
    lowered = place.soc("--json")
    assert lowered.returncode == 1
    assert json.loads(lowered.stdout)["by_hand"][0]["what"] == "partitions"


def test_more_replicas_than_brokers_are_refused_with_a_sentence(place: Place) -> None:
    place.write(factor=3)
    done = place.soc()
    assert done.returncode == 4
    assert "asks for 3 replicas and the cluster has fewer brokers" in done.stderr


def test_a_mistake_in_the_table_is_named_before_anything_is_asked(place: Place) -> None:
    place.table.write_text(place.table.read_text().replace("retention.ms", "retention.m"))
    done = place.soc("--dry-run")
    assert done.returncode == 3
    assert f"{place.table}:4: unknown setting 'retention.m'; did you mean 'retention.ms'?" in done.stderr


def test_another_bus_has_no_topics_to_apply(place: Place) -> None:
    place.config.write_text("bus: {type: sqlite}\n")
    done = place.soc()
    assert done.returncode == 2
    assert "not of type kafka" in done.stderr
