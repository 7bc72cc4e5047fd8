"""The recordings with an answer key through Kafka and Elasticsearch: the same pairs of event and rule as embedded."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from elasticsearch import Elasticsearch

from soc.bus.kafka.access import Cluster
from soc.bus.kafka.administration import admin_of

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

FOLDERS = ("sigma_regression", "evtx_cc0")

#: Without the day of receipt, on which a run may begin and another not.
Pairs = set[tuple[str, str]]


def soc(root: Path, *arguments: str | Path) -> str:
    command = [sys.executable, "-m", "soc.app", *map(str, arguments)]
    environment = {name: text for name, text in os.environ.items() if name != "SOC_DATA_DIR"} | {"SOC_QUIET": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ingested(root: Path, shared_data: Path, config: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `soc ingest` counted, and all events that the store then has."""
    folders = [shared_data / name for name in FOLDERS]
    counts = json.loads(soc(root, "ingest", *folders, "--config", config, "--json"))
    found = json.loads(soc(root, "events", "search", "*", "--limit", "5000", "--config", config, "--json"))
    assert found["total"] == len(found["events"])
    return counts, found["events"]


def written(folder: Path, shared_data: Path, **blocks: Any) -> Path:
    settings = {
        "data_dir": str(folder / "data"),
        "org": "deploy/sample/org",
        "rules": [str(shared_data / "sigmahq")],
        **blocks,
    }
    path = folder / "soc.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return path


@pytest.fixture(scope="module")
def embedded(
    root: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return ingested(root, shared_data, written(tmp_path_factory.mktemp("embedded"), shared_data))


@pytest.fixture(scope="module")
def distributed(
    root: Path, shared_data: Path, kafka: str, elasticsearch: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Topics and indices of their own, deleted afterwards."""
    own = f"corpus{secrets.token_hex(6)}"
    config = written(
        tmp_path_factory.mktemp("distributed"),
        shared_data,
        bus={"type": "kafka", "bootstrap": [kafka], "prefix": f"{own}."},
        store={"type": "elasticsearch", "hosts": [elasticsearch], "namespace": own},
    )
    soc(root, "topics", "apply", "--config", config)
    soc(root, "store", "apply", "--config", config)
    yield ingested(root, shared_data, config)
    with admin_of(Cluster([kafka])) as admin:
        admin.delete_topics([topic for topic in admin.list_topics() if topic.startswith(f"{own}.")])
    client = Elasticsearch(elasticsearch)
    for index in client.indices.get(index=f"*-{own}*"):
        client.indices.delete(index=index)
    client.close()


def pairs(events: list[dict[str, Any]]) -> Pairs:
    return {
        (event["event"]["id"].partition("-")[2], rule) for event in events for rule in event["soc"].get("rules", [])
    }


def test_every_record_is_stored_as_embedded_and_the_same_alerts_are_raised(
    embedded: tuple[dict[str, Any], Any], distributed: tuple[dict[str, Any], Any]
) -> None:
    counted = ("received", "stored", "filtered", "rejected", "deficit", "detections", "alerts")
    assert {name: distributed[0][name] for name in counted} == {name: embedded[0][name] for name in counted}
    assert distributed[0]["deficit"] == 0
    assert distributed[0]["stored"] > 400


def test_every_pair_of_event_and_rule_is_the_embedded_one(
    embedded: tuple[Any, list[dict[str, Any]]], distributed: tuple[Any, list[dict[str, Any]]]
) -> None:
    found = pairs(distributed[1])
    assert found == pairs(embedded[1])
    assert len(found) > 400


def test_the_answer_keys_hold(distributed: tuple[Any, list[dict[str, Any]]], shared_data: Path) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for event in distributed[1]:
        found[Path(event["log"]["file"]["path"]).name] |= set(event["soc"].get("rules", []))
    for key in json.loads((shared_data / "sigma_regression" / "EXPECTED.json").read_text()):
        for file in (key["file"], key["file"].replace(".evtx", ".json")):
            assert found[file] == set(key["all_rules_expected"]), (file, key["title"])
    for key in json.loads((shared_data / "evtx_cc0" / "EXPECTED.json").read_text()):
        assert found[key["file"]] == set(key["expected_rule_record"]), key["file"]
