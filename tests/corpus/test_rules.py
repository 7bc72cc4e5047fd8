"""Our own rules: they load, they pass Sigma's own checker, every test beside them holds, and they find the stories."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from soc.app.sample import SampleFacts, write_province
from soc.author.cases import Case, load_cases
from soc.author.verify import verify
from soc.detect import Correlation, Rule, RuleSet, load_rules
from soc.detect.correlate import Correlator
from soc.detect.wire import completed
from soc.enrich import Enricher
from soc.event import Detection, RawRecord, record_id
from soc.normalize import Sources, load_sources
from soc.org import load_org
from soc.store.query import parse_query

ROOT = Path(__file__).resolve().parents[2]
CASES = [case for path in sorted((ROOT / "rules").rglob("*.test.yaml")) for case in load_cases(path)]


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules([ROOT / "rules"], [ROOT / "pipelines" / "sigma"])


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources([ROOT / "pipelines" / "sources"])


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.path.parent.name}/{c.path.name.partition('.')[0]}: {c.name}")
def test_a_rule_does_what_the_test_beside_it_says(case: Case, rules: RuleSet, sources: Sources) -> None:
    outcome = verify(case, rules, sources)
    assert outcome.passed, f"{outcome.why}\n{outcome.explanation}"


def test_every_rule_loads(rules: RuleSet) -> None:
    assert [str(e) for e in (*rules.refused, *rules.warnings)] == []
    assert len(rules.rules) + len(rules.correlations) >= 24
    assert len(rules.correlations) >= 5


def test_every_rule_that_alerts_has_a_test_that_fires_and_one_that_stays_quiet(rules: RuleSet) -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for case in CASES:
        seen[case.rule_id].add(case.alerts > 0)
    alerting = [r for r in _all(rules) if r.level != "informational"]
    assert [str(r.path) for r in alerting if seen[r.id] != {True, False}] == []


def test_a_rule_says_what_it_is_and_what_to_do_in_vietnamese_and_english(rules: RuleSet) -> None:
    for rule in _all(rules):
        own = rule.custom["soc"]
        assert own["title_vi"], rule.path
        assert own["description_vi"], rule.path
        assert len(own["falsepositives_vi"]) == len(rule.falsepositives) > 0, rule.path
        if rule.level != "informational":
            assert 1 <= len(own["steps_vi"]) == len(own["steps_en"]) <= 5, rule.path


def test_the_next_steps_are_queries_that_the_search_understands(rules: RuleSet) -> None:
    for rule in _all(rules):
        for step in (*rule.custom["soc"].get("steps_vi", ()), *rule.custom["soc"].get("steps_en", ())):
            assert parse_query(re.sub("%[^%]+%", "x", step["query"])), (rule.path, step["query"])


def test_the_rules_pass_sigmas_own_checker() -> None:
    program = Path(sys.executable).with_name("sigma")
    command = [str(program), "check", "-i", "-x", "attacktag", "-x", "d3_fendtag", "rules"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "Found 0 errors, 0 condition errors and 0 issues." in done.stdout


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> SampleFacts:
    return write_province(tmp_path_factory.mktemp("province"))


@pytest.fixture(scope="module")
def found(province: SampleFacts, rules: RuleSet, sources: Sources) -> list[Detection]:
    """All detections over the province, as the workers would make them: parse, enrich, match, correlate, chains too."""
    enricher = Enricher(load_org(ROOT / "deploy" / "sample" / "org"))
    correlator = Correlator(rules.correlations, lateness=timedelta(minutes=5), fields=rules.names)
    received = province.last
    out: list[Detection] = []
    for file in province.files:
        name = file.path.relative_to(province.folder).as_posix()
        source = sources.recognise(file.path.read_bytes()[:65536], file.path.name)
        events = []
        for number, line in enumerate(file.path.read_bytes().splitlines()):
            record = RawRecord(record_id(received, name, number), line, received, source, file.unit, name, name)
            events += sources.events(record)
        assert len(events) == file.lines, name
        enricher.enrich(events)
        matches = rules.match([e.fields for e in events], [e.logsources for e in events])
        turn = [completed(m, e) for e, per_event in zip(events, matches, strict=True) for m in per_event]
        while turn:
            out += turn
            fed = [replace(d, feeds=to) for d in turn for to in rules.feeds.get(d.rule_id, ())]
            turn = [made for d in fed for made in correlator.add(d)] + correlator.drain()
    return out


def test_every_story_is_found_by_the_rules_that_its_answer_names(
    province: SampleFacts, rules: RuleSet, found: list[Detection]
) -> None:
    stem = {r.id: r.path.relative_to(ROOT / "rules").with_suffix("").as_posix() for r in _all(rules)}
    for story in province.stories:
        here = {
            stem[d.rule_id]
            for d in found
            if d.timestamp and story.first <= d.timestamp <= story.last + timedelta(minutes=5)
            if d.fields.get("soc.unit.uid") == story.unit
        }
        assert set(story.rules) <= here, (story.id, sorted(set(story.rules) - here))


def test_outside_the_stories_nothing_high_or_critical_is_found(province: SampleFacts, found: list[Detection]) -> None:
    for detection in found:
        if detection.level in {"high", "critical"}:
            assert detection.timestamp is not None
            assert any(s.first <= detection.timestamp <= s.last for s in province.stories), detection


def test_ordinary_days_make_few_alerts(rules: RuleSet, province: SampleFacts, found: list[Detection]) -> None:
    loud = [d for d in found if d.level not in {"informational", ""} and d.rule_id not in rules.silent]
    quiet = [d for d in loud if d.timestamp and not any(s.first <= d.timestamp <= s.last for s in province.stories)]
    per_day = len({(d.rule_id, d.fields.get("host.name"), d.fields.get("source.ip")) for d in quiet}) / 3
    assert per_day <= 5, sorted({d.title for d in quiet})


def _all(rules: RuleSet) -> list[Rule | Correlation]:
    return [*rules.rules.values(), *rules.correlations]
