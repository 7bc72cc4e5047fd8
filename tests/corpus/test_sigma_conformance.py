"""The table of what every Sigma construct means (tests/corpus/sigma/*.yml), case by case, alone and in one rule set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from soc.detect import RuleSet, load_rules

FOLDER = Path(__file__).parent / "sigma"


@dataclass(frozen=True)
class Case:
    """`about` what; the rule's `detection` as text; events that `match`, events that `miss`; or why it is `refused`."""

    id: str
    about: str
    detection: str
    match: list[dict[str, Any]]
    miss: list[dict[str, Any]]
    warns: str
    refused: str
    placeholders: dict[str, list[str]]

    @property
    def rule(self) -> str:
        body = self.detection
        if "condition:" not in body:
            body = f"{{{body}, condition: s}}"
        return f"title: {self.id}\nid: {self.id}\nlevel: low\nlogsource: {{product: p}}\ndetection: {body}\n"


def cases() -> list[Case]:
    found = []
    for path in sorted(FOLDER.glob("*.yml")):
        for i, one in enumerate(yaml.safe_load(path.read_text("utf-8"))):
            default = {"match": [], "miss": [], "warns": "", "refused": "", "placeholders": {}}
            found.append(Case(id=f"{path.stem}-{i}", **(default | one)))
    return found


CASES = cases()


def loaded(case: Case, folder: Path) -> RuleSet:
    path = folder / "rule.yml"
    path.write_text(case.rule, "utf-8")
    return load_rules([path], placeholders=case.placeholders)


def test_the_table_is_long_and_its_claims_are_not_repeated() -> None:
    assert len(CASES) >= 200
    assert len({case.about for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}: {case.about}")
def test_case(case: Case, tmp_path: Path) -> None:
    rules = loaded(case, tmp_path)
    if case.refused:
        assert not rules.rules
        [error] = rules.refused
        assert case.refused in error.why and error.line > 0
        return
    assert not rules.refused
    reasons = " ".join(warning.why for warning in rules.warnings if "UUID" not in warning.why)
    assert (case.warns in reasons) if case.warns else not reasons
    for wanted, events in ((True, case.match), (False, case.miss)):
        for event in events:
            assert bool(rules.match([event])[0]) is wanted, event
            assert rules.explain(case.id, event).true is wanted, event
    together = rules.match([*case.match, *case.miss])
    assert [bool(found) for found in together] == [True] * len(case.match) + [False] * len(case.miss)


def test_all_cases_in_one_rule_set_keep_their_meaning(tmp_path: Path) -> None:
    usable = [case for case in CASES if not case.refused]
    for case in usable:
        (tmp_path / f"{case.id}.yml").write_text(case.rule, "utf-8")
    values = {name: list(texts) for case in usable for name, texts in case.placeholders.items()}
    rules = load_rules([tmp_path], placeholders=values)
    asked = [
        (case, event, wanted)
        for case in usable
        for wanted in (True, False)
        for event in getattr(case, "match" if wanted else "miss")
    ]
    found = rules.match([event for _, event, _ in asked])
    wrong = [
        (case.about, event)
        for (case, event, wanted), detections in zip(asked, found, strict=True)
        if (case.id in {d.rule_id for d in detections}) is not wanted and not conflicting(case, usable)
    ]
    assert not wrong


def conflicting(case: Case, usable: list[Case]) -> bool:
    """Does another case give other values to this one's placeholders?"""
    return any(o.placeholders.get(k, v) != v for o in usable for k, v in case.placeholders.items())
