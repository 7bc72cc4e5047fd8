"""SigmaHQ as it is: everything loads but what needs values of the user's, and that is refused with its place."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from soc.detect import RuleSet, load_rules

PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")


@pytest.fixture(scope="module")
def rules(shared_data: Path) -> RuleSet:
    return load_rules([shared_data / "sigmahq" / pack for pack in PACKS])


def test_all_rules_load_but_the_two_with_unresolved_placeholders(rules: RuleSet) -> None:
    assert len(rules.rules) == 3752
    assert [Path(error.path).parent.name for error in rules.refused] == ["CVE-2026-54121"] * 2
    assert all("placeholder %known_cdcs%" in error.why and error.line > 1 for error in rules.refused)
    assert rules.warnings == []


def test_placeholder_rules_load_once_their_values_are_known(shared_data: Path) -> None:
    folder = shared_data / "sigmahq" / "rules-placeholder"
    without = load_rules([folder])
    assert not without.rules
    names = {name for path in folder.rglob("*.yml") for name in re.findall(r"%([\w-]+)%", path.read_text())}
    loaded = load_rules([folder], placeholders=dict.fromkeys(names, ["one", "two*"]))
    assert not loaded.refused
    assert len(loaded.rules) == len(without.refused)


def test_a_release_archive_loads_as_its_folder_does(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "sigmahq" / "rules" / "windows" / "powershell"
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in folder.rglob("*.yml"):
            out.write(path, path.relative_to(shared_data))
    assert list(load_rules([archive]).rules) == list(load_rules([folder]).rules)


def test_a_second_copy_of_the_rules_is_refused_rule_by_rule(shared_data: Path) -> None:
    folder = shared_data / "sigmahq" / "rules" / "linux"
    twice = load_rules([folder, folder / "auditd"])
    once = load_rules([folder])
    assert list(twice.rules) == list(once.rules)
    assert len(twice.refused) == len(list((folder / "auditd").rglob("*.yml")))
    assert all("is taken by" in error.why for error in twice.refused)
