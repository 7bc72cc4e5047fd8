"""What a detection says of its event, how log sources route, and batches of any size."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import pytest

from soc.detect import LogSource, RuleSet, load_rules

RULES = """\
title: Shell
id: 00000000-0000-4000-8000-000000000001
level: high
logsource: {product: windows, category: process_creation}
detection:
    image: {Image|endswith: ['\\cmd.exe', '\\sh.exe']}
    line: {CommandLine|contains|all: [whoami, '/ALL'], Ids: 7}
    filter: {User: SYSTEM}
    none: {Parent: null}
    condition: image and line and none and not filter
---
title: Word
id: 00000000-0000-4000-8000-000000000002
level: low
logsource: {product: windows}
detection:
    words: [whoami, nothing]
    condition: words
---
title: Any service
id: 00000000-0000-4000-8000-000000000000
level: low
logsource: {service: sysmon}
detection:
    s: {Image|re: 'c.d'}
    condition: s
"""

EVENT = {"Image": "C:\\CMD.exe", "CommandLine": "whoami /all", "Ids": [3, 7], "User": "x"}
START = LogSource("windows", "process_creation")
SYSMON = LogSource("windows", None, "sysmon")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> RuleSet:
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(RULES)
    loaded = load_rules([path])
    assert not loaded.refused
    return loaded


def titles(rules: RuleSet, *logsources: LogSource) -> list[str]:
    return [d.title for d in rules.match([EVENT], [logsources])[0]]


def test_detections_come_in_the_order_of_rule_ids_with_what_held(rules: RuleSet) -> None:
    found = rules.match([{**EVENT, "Image": "C:\\cad\\cmd.exe"}])[0]
    assert [d.rule_id[-1] for d in found] == ["0", "1", "2"]
    shell = found[1]
    assert (shell.title, shell.level, shell.kind) == ("Shell", "high", "rule")
    assert shell.rule_version == rules.rules[shell.rule_id].version
    assert [(m.field, m.op, m.pattern, m.actual) for m in shell.matched] == [
        ("Image", "endswith", "\\cmd.exe", "C:\\cad\\cmd.exe"),
        ("CommandLine", "contains", "whoami", "whoami /all"),
        ("CommandLine", "contains", "/ALL", "whoami /all"),
        ("Ids", "equals", "7", "7"),
        ("Parent", "equals", "null", ""),
    ]
    assert [(m.field, m.op, m.pattern, m.actual) for m in found[2].matched] == [("", "equals", "whoami", "whoami /all")]


def test_long_values_are_cut_in_the_detail(rules: RuleSet) -> None:
    [detection] = rules.match([{"X": "whoami " * 1000}])[0]
    assert len(detection.matched[0].actual) == 1000


def test_long_values_are_not_kept(rules: RuleSet) -> None:
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(40):
        assert rules.match([{"X": f"whoami {n} " + "x" * 100_000}])[0]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_000_000


def test_a_common_alternative_among_many_others_is_told_where_it_holds(tmp_path: Path) -> None:
    """`.exe` is so common that no scan looks for it, and the others need a test of their own."""
    others = [f"{letter}?{letter}" for letter in "abcdfgh"]
    (tmp_path / "rule.yml").write_text(
        "title: t\nid: r\nlogsource: {product: windows}\n"
        f"detection: {{i: {{Image: evil}}, s: {{CommandLine|contains: [{', '.join(map(repr, others))}, .exe]}}, "
        "condition: i and s}\n"
    )
    [found] = load_rules([tmp_path]).match([{"Image": "evil", "CommandLine": "x.exe axa"}])[0]
    assert [one.pattern for one in found.matched] == ["evil", "a?a", ".exe"]


def test_a_rule_applies_where_all_that_its_log_source_asks_for_is_there(rules: RuleSet) -> None:
    assert titles(rules, START) == ["Shell", "Word"]
    assert titles(rules, LogSource("windows", None, "security")) == ["Word"]
    assert titles(rules, LogSource("linux", "process_creation")) == []
    assert titles(rules) == []


def test_an_event_of_several_log_sources_meets_the_rules_of_each(rules: RuleSet) -> None:
    event = {**EVENT, "Image": "C:\\cad\\cmd.exe"}
    assert [d.title for d in rules.match([event], [[START, SYSMON]])[0]] == ["Any service", "Shell", "Word"]
    assert [d.title for d in rules.match([event], [{SYSMON}])[0]] == ["Any service", "Word"]


def test_batches_of_any_size_and_mix_give_each_event_its_own(rules: RuleSet) -> None:
    events = [{**EVENT, "User": "SYSTEM" if i % 3 else "x", "N": i} for i in range(2500)]
    sources = [[START] if i % 2 else [LogSource("linux")] for i in range(2500)]
    found = rules.match(events, sources)
    assert len(found) == 2500
    for i, detections in enumerate(found):
        expected = ([] if i % 3 else ["Shell"]) + ["Word"] if i % 2 else []
        assert [d.title for d in detections] == expected, i


def test_the_explanation_shows_every_branch_with_the_events_value(rules: RuleSet) -> None:
    tree = rules.explain("00000000-0000-4000-8000-000000000001", {**EVENT, "User": "system"})
    assert not tree.true
    image, line, none, negated = tree.children
    assert [n.name for n in (image, line, none)] == ["image", "line", "none"]
    assert (image.true, line.true, none.true, negated.true, negated.kind) == (True, True, True, False, "not")
    assert [(leaf.pattern, leaf.true, leaf.actual) for leaf in image.children] == [
        ("\\cmd.exe", True, "C:\\CMD.exe"),
        ("\\sh.exe", False, "C:\\CMD.exe"),
    ]
    absent = rules.explain("00000000-0000-4000-8000-000000000001", {})
    assert absent.children[0].children[0].actual is None
    with pytest.raises(KeyError):
        rules.explain("no such rule", {})


def test_values_that_are_no_json_do_not_stop_a_batch(rules: RuleSet) -> None:
    odd = {"Image": b"\xff", "CommandLine": float("nan"), "Ids": {1: 2}, "User": object(), "E": "\ud800 whoami"}
    assert [d.title for d in rules.match([odd, EVENT])[0]] == ["Word"]
