"""soc ingest: files through the whole pipeline, and the books balanced to the record."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Soc

pytestmark = pytest.mark.timeout(240)


def written(folder: Path, **settings: Any) -> Path:
    path = folder / "soc.yaml"
    path.write_text(json.dumps({"data_dir": str(folder / "data"), "org": "deploy/sample/org", **settings}))
    return path


def test_thousands_of_guesses_become_a_few_dozen_alerts_and_the_same_file_again_nothing(
    soc: Soc, shared_data: Path, tmp_path: Path
) -> None:
    config = written(tmp_path)
    log = shared_data / "raw" / "auth.log"
    first = soc("ingest", log, "--config", config, "--json").json
    assert (first["received"], first["stored"], first["deficit"]) == (7121, 7121, 0)
    assert first["detections"] > 1000
    assert 5 <= first["alerts"] <= 60
    alerts = soc("alerts", "list", "--config", config, "--json").json
    assert alerts["total"] == first["alerts"]
    assert max(a["soc"]["evidence"]["count"] for a in alerts["alerts"]) > 100
    again = soc("ingest", log, "--config", config, "--json").json
    assert (again["stored"], again["alerts"], again["deficit"]) == (0, 0, 0)
    ledger = soc("ledger", "--config", config, "--json")
    assert ledger.code == 0
    assert sum(row["stored"] for row in ledger.json["rows"]) == 7121


def test_every_apache_line_is_stored(soc: Soc, shared_data: Path, tmp_path: Path) -> None:
    log = shared_data / "raw" / "apache_access_10000.log"
    counts = soc("ingest", log, "--config", written(tmp_path), "--json").json
    assert (counts["received"], counts["stored"] + counts["rejected"], counts["deficit"]) == (10_000, 10_000, 0)
    assert counts["stored"] == 10_000


def test_the_regression_rules_fire_in_the_pipeline_as_in_the_hunt(soc: Soc, shared_data: Path, tmp_path: Path) -> None:
    config = written(tmp_path, rules=[str(shared_data / "sigmahq")])
    folder = shared_data / "sigma_regression"
    keys = json.loads((folder / "EXPECTED.json").read_text())
    soc("ingest", folder, "--config", config, "--json")
    found: dict[str, set[str]] = defaultdict(set)
    for event in soc("events", "search", "*", "--limit", "5000", "--config", config, "--json").json["events"]:
        found[Path(event["log"]["file"]["path"]).name] |= set(event["soc"].get("rules", []))
    for key in keys:
        for file in (key["file"], key["file"].replace(".evtx", ".json")):
            assert found[file] == set(key["all_rules_expected"]), (file, key["title"])


def test_the_machine_of_a_log_that_names_none_can_be_told(soc: Soc, tmp_path: Path) -> None:
    config = written(tmp_path)
    log = tmp_path / "access.log"
    log.write_text('203.0.113.9 - - [02/Mar/2026:05:00:00 +0700] "GET / HTTP/1.1" 200 5 "-" "x"\n')
    soc("ingest", log, "--source", "nginx_access", "--host", "hs-web01", "--config", config)
    (event,) = soc("events", "search", "host.name:hs-web01", "--config", config, "--json").json["events"]
    assert event["soc"]["unit"]["name"] == "Xã Hồng Sơn"


def test_a_bad_record_is_set_aside_seen_and_replayed(soc: Soc, tmp_path: Path) -> None:
    config = written(tmp_path)
    log = tmp_path / "access.log"
    log.write_bytes(
        b'203.0.113.9 - - [02/Mar/2026:05:00:00 +0700] "GET / HTTP/1.1" 200 5 "-" "x"\n\x00\xff\xfe not an access log\n'
    )
    counts = soc("ingest", log, "--source", "nginx_access", "--config", config, "--json").json
    assert (counts["received"], counts["stored"], counts["rejected"], counts["deficit"]) == (2, 1, 1, 0)
    (item,) = soc("rejected", "list", "--config", config, "--json").json["rejected"]
    assert (item["code"], item["source"]) == ("bad_format", "nginx_access")
    assert "not an access log" in item["original"]
    assert soc("rejected", "replay", "--config", config, "--json").json["replayed"] == 1


def test_a_file_that_is_not_there_is_wrong_usage(soc: Soc, tmp_path: Path) -> None:
    ran = soc("ingest", tmp_path / "nowhere.log", "--config", written(tmp_path))
    assert (ran.code, "does not exist" in ran.err) == (2, True)


def test_a_broken_pack_stops_before_anything_is_read(soc: Soc, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "pack.yaml").write_text("mode: loud\n")
    (tmp_path / "a.log").write_text("x\n")
    config = written(tmp_path, rules=[str(pack)])
    ran = soc("ingest", tmp_path / "a.log", "--config", config, "--json")
    assert (ran.code, "mode is one of live, shadow, off" in ran.err, ran.out) == (3, True, "")
    (pack / "pack.yaml").write_text("mode: live\n")
    assert soc("ingest", tmp_path / "a.log", "--config", config, "--json").json["stored"] == 1
