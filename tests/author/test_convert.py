"""soc rules convert: the same query as `sigma convert` gives, and what stands beside it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import typer

from soc.app.commands.rules import convert as command
from soc.author.convert import Converted, convert
from soc.author.differences import GENERAL, REASONS
from soc.author.indices import indices
from soc.detect import RuleSet, load_rules
from soc.event import Fields, LogSource
from soc.store.elasticsearch.names import CLASSES, class_of

RULE = """\
title: t
id: 6f6d8a3e-2a60-4f0e-9a25-5f2b7b1e8c11
logsource: {{product: windows, category: process_creation}}
detection: {{{detection}}}
"""


def one(folder: Path, detection: str, kind: str = "keyword", **more: list[str]) -> Converted:
    path = folder / "rule.yml"
    path.write_text(RULE.format(detection=detection if "condition" in detection else f"{detection}, condition: s"))
    rules = load_rules([path], placeholders=more)
    assert not rules.refused
    [made] = convert(rules, [], more, lambda name: kind, indices)
    return made


@pytest.fixture(scope="module")
def pipelines(root: Path) -> list[Path]:
    return sorted((root / "pipelines" / "sigma").glob("*.yml"))


@pytest.fixture(scope="module")
def rules(root: Path, pipelines: list[Path]) -> RuleSet:
    return load_rules([root / "rules"], pipelines)


@pytest.fixture(scope="module")
def sigma(
    root: Path, rules: RuleSet, pipelines: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Stem of a rule's file → what the real `sigma convert` makes of it with our pipelines; no correlations."""
    out = tmp_path_factory.mktemp("sigma")
    program = Path(sys.executable).with_name("sigma")
    given = [word for path in pipelines for word in ("-p", str(path))]
    files = [str(rule.path) for rule in rules.rules.values()]
    command = [str(program), "convert", "-t", "lucene", *given, "-od", str(out), "-ot", "{stem}.txt", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return {path.stem: path.read_text("utf-8").strip() for path in out.glob("*.txt")}


def test_sigma_convert_with_our_pipelines_gives_the_same_query_but_for_regular_expressions(
    rules: RuleSet, pipelines: list[Path], sigma: dict[str, str]
) -> None:
    found = convert(rules, pipelines, {}, lambda name: "keyword", indices)
    assert {c.path.stem for c in found if c.query} == set(sigma)
    expression = re.compile(r":/(?:[^/\\]|\\.)*/", re.DOTALL)
    for c in found:
        if c.query and "|re:" not in rules.rules[c.id].raw:
            assert c.query == sigma[c.path.stem], c.path
        elif c.query:
            ours, theirs = (expression.sub(":/…/", text) for text in (c.query, sigma[c.path.stem]))
            assert ours == theirs, c.path


def test_every_rule_of_ours_is_converted_and_every_correlation_is_listed(rules: RuleSet, pipelines: list[Path]) -> None:
    found = convert(rules, pipelines, {}, lambda name: "keyword", indices)
    assert {c.id for c in found if c.query} == set(rules.rules)
    left = [c for c in found if not c.query]
    assert {c.id for c in left} == {c.id for c in rules.correlations}
    assert all("Lucene has none" in c.why for c in left)
    silent = [c for c in found if c.query and c.id in rules.silent]
    assert silent and all("feeds" in {d.code for d in c.differences} for c in silent)


def test_no_pipeline_maps_to_a_name_that_a_query_would_have_to_escape(rules: RuleSet, pipelines: list[Path]) -> None:
    targets = [name for path in pipelines for name in re.findall(r"(?m)^      \S+: \[?([^\]\n#]+)", path.read_text())]
    assert len(targets) > 80
    assert [text for text in targets if re.search(r'[()"{}^~!+&|<>=\\/]', text)] == []


@pytest.mark.parametrize(
    ("detection", "query"),
    [
        ("s: {A: 'x y'}", 'A:"x y"'),
        ("s: {A|contains: [x, y]}", "A:(*x* OR *y*)"),
        ("s: {A|re: '^ab?$'}", "A:/ab?/"),
        ("s: {A|cidr: 10.16.0.0/12}", r"A:/(\:\:ffff\:)?10\.<16-31>\.<0-255>\.<0-255>/"),
        ("s: {'A(x)': y}", r"A\(x\):y"),
        ("s: [4624]", "*4624*"),
        ("s: ['evil*NOT', 'dpapi::masterkey ']", "(*evil* AND *not*) OR (*dpapi AND masterkey)"),
        ("s: {A: yes}", "A:yes"),
        ("s: {A|expand: '%v%'}", "A:(x OR *y)"),
        ("s1: {A: x}, s2: {A: y}, condition: [s1, s2]", "(A:x) OR (A:y)"),
    ],
)
def test_the_query_of(detection: str, query: str, tmp_path: Path) -> None:
    assert one(tmp_path, detection, v=["x", "*y"]).query == query


@pytest.mark.parametrize(
    ("detection", "kind", "why"),
    [
        ("s: {A|cased: x}", "keyword", "letter case does not count"),
        ("s: {A|fieldref: B}", "keyword", "field references"),
        ("s: {A|hour: 3}", "keyword", "parts of dates"),
        ("s: {A|hour|gte: 3}", "long", "parts of dates"),
        ("s: {A|gt: 3}", "keyword", "is kept as keyword, which is not compared as a number"),
        ("s: {A|re: 'a\\bc'}", "keyword", r"Lucene's language: \b"),
        ("s: {A|re: 'a'}", "long", "is kept as long, where no regular expression can look"),
        ("s: {A|contains: '10.'}", "ip", "is kept as ip, where a part of it cannot be looked for"),
        ("s: {A: '-'}", "ip", "is kept as ip, and '-' is none"),
        ("s: {A: ['1', 'x']}", "long", "is kept as long, and 'x' is none"),
        ("s: {A|re|startswith: a}", "keyword", "without an anchor"),
        ("s: ['->']", "keyword", "holds no word"),
        ("s: {A|base64offset|contains: é é}", "keyword", "characters for bytes"),
        ("s: {A|utf16|base64|contains: foo}", "keyword", "byte order mark"),
        ("s: {A|re|expand: '%v%'}", "keyword", "as expressions"),
    ],
)
def test_what_a_query_cannot_say_is_told_and_not_approximated(
    detection: str, kind: str, why: str, tmp_path: Path
) -> None:
    made = one(tmp_path, detection, kind, v=["x"])
    assert made.query == ""
    assert why in made.why


@pytest.mark.parametrize(
    ("detection", "kind", "codes"),
    [
        ("s: {A: x}", "keyword", []),
        ("s: {A: 4624}", "keyword", []),
        ("s: {A|contains: x}", "keyword", ["long"]),
        ("s: {A|contains: đ}", "keyword", ["long", "letters"]),
        ("s: {A|re: x}", "keyword", ["long", "case"]),
        ("s: {A|re|i: x}", "keyword", ["long"]),
        ("s: {A|re|i: 'x{1,64}'}", "keyword", ["long", "counts"]),
        ("s: {A: null}", "keyword", ["null"]),
        ("s: {A|exists: true}", "keyword", ["null"]),
        ("s: [x]", "keyword", ["keywords"]),
        ("s: {A|cidr: 'fe80::/10'}", "keyword", ["network"]),
        ("s: {A|cidr: 'fe80::/10'}", "ip", []),
        ("s: {A|contains: x}", "text", ["text"]),
        ("s: {A: x}", "", ["unsearchable"]),
        ("s: {A: x}", "exact", ["exact"]),
        ("s: {event.outcome: failure}", "exact", []),
        ("s: {event.outcome: Failure}", "exact", ["exact"]),
        ("s: {A|windash|contains: '-a -b -c -d -e'}", "keyword", ["long", "size"]),
    ],
)
def test_differences_are_those_of_the_rule(detection: str, kind: str, codes: list[str], tmp_path: Path) -> None:
    made = one(tmp_path, detection, kind)
    assert made.query
    assert {d.code for d in made.differences} == set(codes)
    assert [d.code for d in made.differences] == [code for code in REASONS if code in codes]


def test_a_filter_narrows_the_query(tmp_path: Path) -> None:
    (tmp_path / "filter.yml").write_text(
        "title: f\nid: 1f6d8a3e-2a60-4f0e-9a25-5f2b7b1e8c11\nlogsource: {product: windows}\n"
        "filter: {rules: [6f6d8a3e-2a60-4f0e-9a25-5f2b7b1e8c11], s: {B: y}, condition: not s}\n"
    )
    (tmp_path / "rule.yml").write_text(RULE.format(detection="s: {A: x}, condition: s"))
    rules = load_rules([tmp_path])
    assert not rules.refused
    [made] = convert(rules, [], {}, lambda name: "keyword", indices)
    assert made.query == "A:x AND (NOT B:y)"


def events(root: Path) -> Iterator[tuple[list[LogSource], Fields]]:
    for path in sorted((root / "pipelines" / "sources").glob("*/expected/*.ndjson")):
        for line in path.read_bytes().splitlines():
            made = orjson.loads(line)
            for event in [made] if "fields" in made else made.get("events", []):
                yield [LogSource(*names) for names in event["logsources"]], event["fields"]


def test_a_rules_indices_hold_every_event_of_its_log_source(root: Path) -> None:
    seen = 0
    for logsources, fields in events(root):
        index = f"logs-soc.{class_of(fields)}-tinh-2026.11.24"
        for logsource in logsources:
            patterns = [re.escape(p).replace(r"\*", ".*") for p in indices(logsource)]
            assert any(re.fullmatch(pattern, index) for pattern in patterns), (logsource, fields)
            seen += 1
    assert seen > 300


def test_classes_are_the_stores_and_an_unknown_log_source_means_all_events() -> None:
    assert indices(LogSource(product="okta")) == ("logs-soc.*",)
    products = ("windows", "linux", "zeek", "iis")
    named = {index for product in products for index in indices(LogSource(product=product))}
    assert named <= {f"logs-soc.{name}-*" for name in CLASSES}


def soc(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("soc"))
    command = [program, "rules", "convert", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100, check=False)


def test_the_command_gives_one_document_with_what_could_not_be_converted(root: Path) -> None:
    done = soc(root, "rules/linux", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["schema"], document["format"]) == (0, 1, "lucene")
    assert document["converted"] == len(document["queries"]) >= 8
    assert all("linux/" in found["file"] for found in (*document["queries"], *document["not_converted"]))
    assert len(document["not_converted"]) >= 4
    assert all(query["query"] and query["indices"] for query in document["queries"])
    assert set(document["general"]) == set(GENERAL)


def test_the_command_writes_a_query_and_a_page_for_each_rule(root: Path, tmp_path: Path) -> None:
    done = soc(root, "71fb603b-5777-4ef9-bed9-eb4d4a0f078c", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "impact_shadow_copies_deleted.lucene",
        "impact_shadow_copies_deleted.md",
    ]
    page = (tmp_path / "out" / "impact_shadow_copies_deleted.md").read_text("utf-8")
    assert "logs-soc.host-*" in page and "not searched" in page


def test_a_rule_that_is_not_loaded_is_listed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text("title: broken\nlogsource: {product: windows}\ndetection: {s: {A: 1}}\n")
    done = soc(root, str(tmp_path))
    assert (done.returncode, "broken.yml:3: not converted:" in done.stdout) == (0, True)


def test_what_is_neither_a_path_nor_a_rule_is_wrong_usage() -> None:
    with pytest.raises(typer.BadParameter, match="no-such-rule is neither"):
        command(["no-such-rule"])
