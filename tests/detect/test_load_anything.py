"""Whatever stands in a rule or pipeline file, loading ends with rules and reasons, and what loaded can be matched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.detect import load_rules
from soc.detect.transformations import KINDS

RULE = """\
title: Rule
id: 00000000-0000-4000-8000-000000000001
level: high
logsource: {product: p}
detection:
    s:
        A|contains|all: ['x*', "y\\\\"]
        B|re|i: '^a.c$'
    k: [word, 7]
    condition: s and not 1 of k*
"""
PIPELINE = """\
vars: {v: [1, x]}
transformations:
- {id: a, type: field_name_mapping, mapping: {A: [b, c]}, rule_conditions: [{type: logsource, product: p}]}
- {type: field_name_prefix, prefix: w., field_name_conditions: [{type: include_fields, fields: [B]}]}
"""
KEYS = st.sampled_from(
    [
        *("title", "id", "level", "logsource", "detection", "condition", "s", "A", "A|re", "|all", "A|cidr", "A|gt"),
        *("action", "filter", "rules", "correlation", "product", "B|fieldref", "A|exists", "A|expand", "A|hour"),
        *("transformations", "type", "mapping", "rule_conditions", "fields", "priority", "name", "tags", "status"),
        *("vars", "field", "value", "regex", "replacement", "prefix", "cond", "pattern", "op", "key", "val", "include"),
    ]
)
WORDS = st.one_of(
    st.sampled_from(
        ["s", "1 of s*", "not s", "(", "%x%", "10.0.0.0/8", "a{2,1}", "global", "any", "level", "high", "in"]
    ),
    st.sampled_from(["logsource", "tag", "rule_attribute", "processing_state", "include_fields", "match_string"]),
    st.text(max_size=5),
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(WORDS, st.integers(-5, 5), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@st.composite
def step(draw: st.DrawFn) -> Any:
    """A transformation with a real type, its parameters anything."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = st.sampled_from(
        ["mapping", "prefix", "regex", "replacement", "value", "conditions", "include", "key", "val"]
    )
    conditions = st.lists(st.dictionaries(KEYS, ANYTHING, max_size=3).map(lambda d: {"type": "tag", **d}), max_size=2)
    asked = st.fixed_dictionaries({}, optional={"rule_conditions": conditions, "field_name_conditions": conditions})
    return {"type": kind, **draw(st.dictionaries(names, ANYTHING, max_size=2)), **draw(asked)}


def loads_and_matches(folder: Path, rule: bytes, pipeline: bytes = b"") -> None:
    (folder / "rule.yml").write_bytes(rule)
    (folder / "pipeline.yaml").write_bytes(pipeline)
    rules = load_rules([folder / "rule.yml"], [folder / "pipeline.yaml"])
    assert len(rules.match([{"A": "xy\\", "B": "ABC", "C": [1, None]}, {}])) == 2
    assert all(error.path and error.why for error in (*rules.refused, *rules.warnings))


@st.composite
def edited(draw: st.DrawFn, text: str) -> bytes:
    """The text with a few pieces cut, doubled or replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        text = (
            text[:start]
            + draw(st.sampled_from(["", "\n", ": ", "- ", "|", "'", "(", "*", "\t", "é", text[start:end] * 2]))
            + text[end:]
        )
    return text.encode()


@settings(max_examples=80)
@given(data=st.binary(max_size=40))
def test_any_bytes(data: bytes, folder: Path) -> None:
    loads_and_matches(folder, data, data)


@settings(max_examples=80)
@given(rule=edited(RULE), pipeline=edited(PIPELINE))
def test_damaged_files(rule: bytes, pipeline: bytes, folder: Path) -> None:
    loads_and_matches(folder, rule, PIPELINE.encode())
    loads_and_matches(folder, RULE.encode(), pipeline)


@settings(max_examples=80)
@given(steps=st.lists(step(), min_size=1, max_size=3), variables=ANYTHING)
def test_any_pipeline(steps: list[Any], variables: Any, folder: Path) -> None:
    for one in steps:  # each alone too, or the first bad one would hide the rest
        loads_and_matches(folder, RULE.encode(), json.dumps({"transformations": [one], "vars": variables}).encode())
    loads_and_matches(folder, RULE.encode(), json.dumps({"transformations": steps}).encode())


@settings(max_examples=80)
@given(detection=ANYTHING, whole=ANYTHING)
def test_any_structure(detection: Any, whole: Any, folder: Path) -> None:
    document = {"title": "t", "logsource": {"product": "p"}, "detection": detection}
    loads_and_matches(folder, json.dumps(document).encode(), json.dumps({"transformations": whole}).encode())
    loads_and_matches(folder, json.dumps(whole).encode(), json.dumps(whole).encode())
    condition = {**detection, "condition": "1 of them"} if isinstance(detection, dict) else detection
    loads_and_matches(folder, json.dumps({**document, "detection": condition}).encode())
