"""Processing pipelines in pySigma's format: what each transformation and condition does, what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sigma.processing.pipeline import ProcessingPipeline

from soc.detect import RuleSet, load_rules

RULE = """\
title: T
id: 00000000-0000-4000-8000-000000000001
level: low
tags: [attack.t1110]
logsource: {product: p, category: c}
detection:
    s:
        A: x
        B|contains: y
    condition: s
"""


def ready(tmp_path: Path, *pipelines: str, rule: str = RULE) -> RuleSet:
    (tmp_path / "rule.yml").write_text(rule)
    paths = []
    for i, text in enumerate(pipelines):
        paths.append(tmp_path / f"p{i}.yaml")
        paths[-1].write_text(text)
    return load_rules([tmp_path / "rule.yml"], paths)


def steps(*items: str, **extra: Any) -> str:
    head = "".join(f"{key}: {value}\n" for key, value in extra.items())
    return head + "transformations:\n" + "".join(f"- {{{item}}}\n" for item in items)


def matches(rules: RuleSet, event: dict[str, Any]) -> bool:
    assert not rules.refused, rules.refused
    return bool(rules.match([event])[0])


RENAME = "type: field_name_mapping, mapping: {A: m.a}"


def test_a_mapped_field_is_found_under_its_new_name_and_under_its_own(tmp_path: Path) -> None:
    rules = ready(tmp_path, steps(RENAME))
    assert matches(rules, {"m.a": "x", "B": "y"})
    assert matches(rules, {"m": {"a": "x"}, "B": "y"})
    assert matches(rules, {"A": "x", "B": "y"})
    [detection] = rules.match([{"m.a": "X", "B": "zyz"}])[0]
    assert [(m.field, m.ecs, m.op, m.pattern, m.actual) for m in detection.matched] == [
        ("A", "m.a", "equals", "x", "X"),
        ("B", "B", "contains", "y", "zyz"),
    ]


def test_the_mapped_name_wins_over_the_own_one_where_it_holds_a_value(tmp_path: Path) -> None:
    rules = ready(tmp_path, steps(RENAME))
    assert not matches(rules, {"m.a": "other", "A": "x", "B": "y"})
    assert matches(rules, {"m.a": None, "A": "x", "B": "y"})


def test_several_targets_are_alternatives(tmp_path: Path) -> None:
    rules = ready(tmp_path, steps("type: field_name_mapping, mapping: {A: [m.a, n.a]}"))
    assert matches(rules, {"n.a": "x", "B": "y"})
    assert matches(rules, {"m.a": "other", "n.a": "x", "B": "y"})
    assert not matches(rules, {"m.a": "other", "n.a": "other", "A": "x", "B": "y"})


def test_null_of_several_targets_is_null_in_all_of_them(tmp_path: Path) -> None:
    rule = RULE.replace("A: x", "A: null")
    rules = ready(tmp_path, steps("type: field_name_mapping, mapping: {A: [m.a, n.a]}"), rule=rule)
    assert matches(rules, {"B": "y"})
    assert matches(rules, {"B": "y", "m.a": None})
    assert not matches(rules, {"B": "y", "m.a": None, "n.a": "1"})
    assert not matches(rules, {"B": "y", "A": "1"})


@pytest.mark.parametrize(
    ("step", "event"),
    [
        ("type: field_name_prefix, prefix: 'w.'", {"w.A": "x", "w.B": "y"}),
        ("type: field_name_suffix, suffix: _s", {"A_s": "x", "B_s": "y"}),
        ("type: field_name_prefix_mapping, mapping: {A: 'q.a', B: ['r.b', 't.b']}", {"q.a": "x", "t.b": "y"}),
        ("type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [A]}]", {"B": "y"}),
        ("type: replace_string, regex: '^x$', replacement: z", {"A": "z", "B": "y"}),
        ("type: map_string, mapping: {x: [u, v]}", {"A": "v", "B": "y"}),
        ("type: set_value, value: 5, field_name_conditions: [{type: include_fields, fields: [A]}]", {"A": 5, "B": "y"}),
        ("type: add_condition, conditions: {C: $category}, template: true", {"A": "x", "B": "y", "C": "c"}),
        ("type: add_condition, conditions: {C: 1}, negated: true", {"A": "x", "B": "y"}),
    ],
)
def test_each_transformation_changes_what_the_rule_asks(tmp_path: Path, step: str, event: dict[str, Any]) -> None:
    assert matches(ready(tmp_path, steps(step)), event)
    for name in event:
        assert not matches(ready(tmp_path, steps(step)), {k: v for k, v in event.items() if k != name})


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ("rule_conditions: [{type: logsource, product: p}]", True),
        ("rule_conditions: [{type: logsource, product: p, category: d}]", False),
        ("rule_conditions: [{type: logsource, product: q}], rule_cond_not: true", True),
        ("rule_conditions: [{type: logsource, product: q}, {type: tag, tag: attack.t1110}], rule_cond_op: or", True),
        ("rule_conditions: [{type: contains_field, field: B}]", True),
        ("rule_conditions: [{type: contains_detection_item, field: A, value: x}]", True),
        ("rule_conditions: [{type: rule_attribute, attribute: level, op: gte, value: medium}]", False),
        ("rule_conditions: [{type: rule_attribute, attribute: tags, op: in, value: attack.t1110}]", True),
        ("rule_conditions: [{type: processing_state, key: k, val: v}]", True),
        ("rule_conditions: [{type: processing_item_applied, processing_item_id: never}]", False),
        ("rule_conditions: [{type: is_sigma_correlation_rule}]", False),
        ("rule_conditions: {a: {type: tag, tag: no.no}, b: {type: is_sigma_rule}}, rule_cond_expr: not a and b", True),
        ("field_name_conditions: [{type: include_fields, fields: [A]}]", True),
        ("field_name_conditions: [{type: include_fields, mode: re, fields: ['[A-Z]$']}]", True),
        ("field_name_conditions: [{type: exclude_fields, fields: [A]}]", False),
        ("detection_item_conditions: [{type: match_string, cond: any, pattern: x}]", True),
        ("detection_item_conditions: [{type: match_value, cond: all, value: y}]", False),
        ("detection_item_conditions: [{type: contains_wildcard, cond: any}]", False),
        ("detection_item_conditions: [{type: is_null, cond: any}], detection_item_cond_not: true", True),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of a library that pySigma uses
def test_conditions_decide_where_a_step_applies(tmp_path: Path, conditions: str, applies: bool) -> None:
    text = steps("id: first, type: set_state, key: k, val: v", f"{RENAME}, {conditions}")
    rules = ready(tmp_path, text)
    assert matches(rules, {"m.a": "x", "B": "y"}) is applies
    ProcessingPipeline.from_yaml(text)  # pySigma reads the same file


def test_later_steps_see_what_earlier_ones_did(tmp_path: Path) -> None:
    applied = "{type: processing_item_applied, processing_item_id: one}"
    rest = f"type: field_name_prefix, prefix: 'e.', field_name_conditions: [{applied}], field_name_cond_not: true"
    rules = ready(tmp_path, steps(f"id: one, {RENAME}", rest))
    assert matches(rules, {"m.a": "x", "e.B": "y"})


def test_pipelines_apply_by_priority(tmp_path: Path) -> None:
    late = steps("type: field_name_mapping, mapping: {m.a: late}", priority=50)
    assert matches(ready(tmp_path, late, steps(RENAME, priority=10)), {"late": "x", "B": "y"})


def test_a_changed_log_source_routes_the_rule(tmp_path: Path) -> None:
    rules = ready(tmp_path, steps("type: change_logsource, product: z"))
    [rule] = rules.rules.values()
    assert (rule.logsource.product, rule.asked.product) == ("z", "p")


def test_referenced_fields_are_renamed_too(tmp_path: Path) -> None:
    rule = RULE.replace("B|contains: y", "B|fieldref: A")
    assert matches(ready(tmp_path, steps(RENAME), rule=rule), {"m.a": "x", "B": "X"})


def test_placeholders_take_the_values_of_vars(tmp_path: Path) -> None:
    rule = RULE.replace("A: x", "A|expand: '%who%'")
    text = "vars: {who: [root, 'adm*'], other: 1}\n" + steps("type: value_placeholders, include: [who]")
    assert matches(ready(tmp_path, text, rule=rule), {"A": "admin", "B": "y"})
    assert matches(ready(tmp_path, steps("type: wildcard_placeholders"), rule=rule), {"A": "any", "B": "y"})
    assert ready(tmp_path, steps("type: wildcard_placeholders, exclude: [who]"), rule=rule).refused


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (steps("type: regex"), 2, "'regex' is not supported"),
        (steps("type: field_name_mapping, mapping: {A: []}"), 2, "'A' maps to"),
        (steps("type: field_name_mapping, maping: {A: b}"), 2, "maping"),
        (steps(f"{RENAME}, rule_conditions: [{{type: moon}}]"), 2, "rule condition 'moon' is not supported"),
        (steps(f"{RENAME}, rule_conditions: {{a: {{type: is_sigma_rule}}}}"), 2, "rule_cond_expr"),
        (steps("type: replace_string, regex: '(', replacement: x"), 2, "no regular expression"),
        (steps(RENAME, postprocessing="[]"), 1, "'postprocessing' is not supported"),
        (steps(RENAME, priority="high"), 1, "whole number"),
        ("- 1", 1, "mapping"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(tmp_path: Path, text: str, line: int, why: str) -> None:
    [error] = ready(tmp_path, text).refused
    assert (Path(error.path).name, error.line) == ("p0.yaml", line)
    assert why in error.why


def test_a_pipeline_may_refuse_rules(tmp_path: Path) -> None:
    [error] = ready(tmp_path, steps("type: rule_failure, message: not here")).refused
    assert error.why == "not here" and error.path.endswith("rule.yml")
    step = "type: detection_item_failure, message: not B, field_name_conditions: [{type: include_fields, fields: [B]}]"
    [error] = ready(tmp_path, steps(step)).refused
    assert (error.why, error.line) == ("not B", 9)


def test_a_rule_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    [error] = ready(tmp_path, steps("type: drop_detection_item")).refused
    assert "nothing is left" in error.why


def test_our_windows_pipeline_maps_as_it_says_and_pysigma_reads_it(tmp_path: Path, root: Path) -> None:
    path = root / "pipelines" / "sigma" / "windows.yml"
    assert ProcessingPipeline.from_yaml(path.read_text("utf-8")).items
    start = RULE.replace("product: p, category: c", "product: windows, category: process_creation")
    (tmp_path / "rule.yml").write_text(start)
    rules = load_rules([tmp_path / "rule.yml"], [path])
    [rule] = rules.rules
    names = {field: rules.names(rule, field)[0] for field in ("Image", "EventID", "Hashes", "process.name")}
    assert names == {
        "Image": "process.executable",
        "EventID": "winlog.event_id",
        "Hashes": "winlog.event_data.Hashes",
        "process.name": "process.name",
    }
    (tmp_path / "rule.yml").write_text(start.replace("process_creation", "image_load"))
    assert load_rules([tmp_path / "rule.yml"], [path]).names(rule, "Image")[0] == "winlog.event_data.Image"
