"""SigmaHQ as it is: everything loads but what needs values of the user's, and real Windows recordings, read and
normalised by the real rooms, raise the rules that their answer keys name.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest

from soc.collect.open import read_path
from soc.detect import RuleSet, load_rules
from soc.event import Event, RawRecord
from soc.normalize import Sources, load_sources

PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting")


@pytest.fixture(scope="module")
def rules(root: Path, shared_data: Path) -> RuleSet:
    return load_rules(
        [shared_data / "sigmahq" / pack for pack in PACKS], [root / "pipelines" / "sigma" / "windows.yml"]
    )


@pytest.fixture(scope="module")
def sources(root: Path) -> Sources:
    return load_sources([root / "pipelines" / "sources" / "windows"])


def events(path: Path, sources: Sources) -> list[tuple[int, Event]]:
    """(ordinal of the record, event) of every record that is whole."""
    out = []
    for record in read_path(path):
        if isinstance(record, RawRecord):
            out += [(int(record.facts["record"]), event) for event in sources.get("windows").events(record)]
    return out


def fired(path: Path, sources: Sources, rules: RuleSet) -> dict[str, list[int]]:
    """Rule id → ordinals of the records that it matches."""
    read = events(path, sources)
    detections = rules.match([event.fields for _, event in read], [event.logsources for _, event in read])
    out: dict[str, list[int]] = defaultdict(list)
    for (ordinal, _), found in zip(read, detections, strict=True):
        for detection in found:
            out[detection.rule_id].append(ordinal)
    return out


@pytest.mark.parametrize("shape", [".evtx", ".json"])
def test_each_regression_file_raises_its_rule_and_no_unexpected_one(
    shape: str, shared_data: Path, sources: Sources, rules: RuleSet
) -> None:
    folder = shared_data / "sigma_regression"
    for expected in json.loads((folder / "EXPECTED.json").read_text()):
        found = fired((folder / expected["file"]).with_suffix(shape), sources, rules)
        assert len(found.get(expected["rule_id"], ())) >= expected["min_matches"], (expected["title"], shape)
        assert sorted(found) == sorted(expected["all_rules_expected"]), (expected["file"], shape)


def test_attack_recordings_match_their_key_to_the_record(shared_data: Path, sources: Sources, rules: RuleSet) -> None:
    folder = shared_data / "evtx_cc0"
    for expected in json.loads((folder / "EXPECTED.json").read_text()):
        assert fired(folder / expected["file"], sources, rules) == expected["expected_rule_record"], expected["source"]


def test_ordinary_hosts_raise_nothing_high(shared_data: Path, sources: Sources, rules: RuleSet) -> None:
    for path in sorted((shared_data / "evtx_benign_or_damaged").glob("*.evtx")):
        loud = {i for i in fired(path, sources, rules) if rules.rules[i].level in ("high", "critical")}
        assert not loud, (path.name, [rules.rules[i].title for i in loud])


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
    loaded = load_rules([folder], placeholders=dict.fromkeys(names, ("one", "two*")))
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
