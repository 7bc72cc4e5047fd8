"""soc demo: the main job end to end; the attacks of the sample province are found, and running it again is clean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.app.conftest import Soc

pytestmark = pytest.mark.timeout(240)


def facts(alerts: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return sorted((a["rule"]["id"], str(a["soc"]["group"]), a["soc"]["evidence"]["count"]) for a in alerts)


def test_every_attack_is_found_and_a_second_run_gives_the_same(soc: Soc, root: Path, tmp_path: Path) -> None:
    config = tmp_path / "data" / "soc.yaml"

    def queue() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = soc("alerts", "list", "--config", config, "--limit", "1000", "--json").json[
            "alerts"
        ]
        return found

    first = soc("demo")
    assert first.code == 0, first.err
    assert "0 thiếu" in first.err and "alerts show" in first.err
    alerts = queue()
    stories = yaml.safe_load((config.parent / "logs" / "stories.yml").read_text())["stories"]
    assert len(stories) == 4
    found = {alert["rule"]["id"] for alert in alerts}
    for story in stories:
        for rule in story["rules"]:
            assert yaml.safe_load((root / f"rules/{rule}.yml").read_text())["id"] in found, (story["id"], rule)
    assert soc("demo").code == 0
    assert facts(queue()) == facts(alerts)
    assert soc("demo", "--clean").code == 0
    assert not config.exists()


def test_the_demo_removes_nothing_that_it_did_not_make(soc: Soc, tmp_path: Path) -> None:
    precious = tmp_path / "data" / "store" / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    for arguments in (["demo"], ["demo", "--clean"]):
        ran = soc(*arguments)
        assert (ran.code, "holds something else than the demo" in ran.err) == (2, True)
    assert precious.exists()


def test_the_demos_workers_work_in_its_folder_whatever_the_environment_says(soc: Soc, tmp_path: Path) -> None:
    ran = soc("demo", "--folder", tmp_path / "elsewhere")
    assert (ran.code, "0 thiếu" in ran.err) == (0, True)
    assert not (tmp_path / "data").exists()


def test_the_demo_speaks_english_when_asked(soc: Soc) -> None:
    ran = soc("demo", "--lang", "en")
    assert ran.code == 0
    assert "records received" in ran.err and "Look further" in ran.err
