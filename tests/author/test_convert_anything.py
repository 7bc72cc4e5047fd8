"""Whatever loads, converting it ends with a query or a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.author.convert import convert
from soc.author.indices import indices
from soc.detect import load_rules
from soc.event import ContentErrors
from tests.corpus.test_sigma_conformance import CASES
from tests.detect.test_load_anything import ANYTHING, step
from tests.property.test_match import PIPELINE, rule

KINDS = ("keyword", "exact", "text", "ip", "long", "date", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def converts(folder: Path, document: str, pipeline: str, kind: str, **placeholders: list[str]) -> None:
    (folder / "rule.yml").write_text(document, "utf-8", errors="surrogatepass")
    (folder / "names.yml").write_text(pipeline, "utf-8")
    rules = load_rules([folder / "rule.yml"], [folder / "names.yml"], placeholders)
    try:
        found = convert(rules, [folder / "names.yml"], placeholders, lambda name: kind, indices)
    except ContentErrors as wrong:
        assert any(error.path == str(folder / "names.yml") for error in rules.refused) or "pySigma" in str(wrong)
        return
    assert len(found) == len(rules.rules)
    assert all(bool(one.query) != bool(one.why) for one in found)


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=lambda case: case.id)
def test_every_construct(case: Any, folder: Path) -> None:
    converts(folder, case.rule, PIPELINE, "keyword", **case.placeholders)


@settings(max_examples=100)
@given(document=rule(), kind=st.sampled_from(KINDS))
def test_any_rule(document: dict[str, Any], kind: str, folder: Path) -> None:
    converts(folder, json.dumps(document), PIPELINE, kind)


@settings(max_examples=60)
@given(detection=ANYTHING, steps=st.lists(step(), min_size=1, max_size=2))
def test_any_structure_and_pipeline(detection: Any, steps: list[Any], folder: Path) -> None:
    body = {**detection, "condition": "1 of them"} if isinstance(detection, dict) else detection
    document = {"title": "t", "logsource": {"product": "p"}, "detection": body}
    converts(folder, json.dumps(document), PIPELINE, "keyword")
    whole = {"title": "t", "logsource": {"product": "p"}, "detection": {"s": {"A": ["x", 1]}, "condition": "s"}}
    converts(folder, json.dumps(whole), json.dumps({"name": "n", "priority": 1, "transformations": steps}), "keyword")
