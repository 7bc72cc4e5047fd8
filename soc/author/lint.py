"""The rule linter: folders of rules in, findings with stable codes out. Reports every file, needs no network.

An error stops the rule from loading. A warning is what a reviewer would say. `soc rules why CODE` explains a code.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from soc.alert.attack import TACTICS
from soc.alert.policy import LEVELS
from soc.author.cases import Case, load_cases
from soc.detect import RuleSet
from soc.event import ContentErrors

#: Code → (severity, what it means and what to do).
CODES: Final[dict[str, tuple[str, str]]] = {
    "R001": ("error", "The rule cannot be loaded; the message says what was expected. Everything else still works."),
    "R002": ("error", "A test file is wrong: unknown key, missing part, or it names a rule that does not exist."),
    "R010": ("warning", "The loader accepts this, but other Sigma tools may not, or it rarely means what it says."),
    "R020": ("warning", "An own rule of status test or stable needs a test that fires and one that stays quiet."),
    "R021": ("warning", "No Vietnamese title or description: analysts read `soc: {title_vi, description_vi}`."),
    "R022": ("warning", "No next steps: `soc: {steps_vi: [{q, query}]}` tells the analyst at 3 a.m. what to look at."),
    "R023": ("warning", "False positives say nothing: name what ordinary work looks the same, or leave the list out."),
    "R024": ("warning", "No ATT&CK tactic or technique among the tags (attack.execution, attack.t1059.001)."),
    "R025": ("warning", "The level is missing or none of informational, low, medium, high, critical."),
    "R026": ("warning", "The file name is <tactic>_<what>.yml, so that a folder reads like a table of contents."),
    "R030": ("warning", "Two rules with another id say the same: one of them only doubles the alerts."),
    "R031": ("warning", "The rule matches whatever lacks its fields: nothing but negations. Say what must be there."),
}

_NAME: Final = re.compile(r"([a-z]+(?:_[a-z]+)*?)_[a-z0-9][a-z0-9_]*")
_VAGUE: Final = frozenset({"unknown", "unlikely", "none"})


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing to mend. `line` is 1-based, 0 = the whole file."""

    path: str
    line: int
    code: str
    message: str

    @property
    def severity(self) -> str:
        return CODES[self.code][0]


def lint(rules: RuleSet, folders: Sequence[Path]) -> tuple[list[Finding], list[Case]]:
    """Findings over the loaded rules and the test files in the folders; the cases of the test files that are right."""
    findings = [Finding(e.path, e.line, "R001", e.why) for e in rules.refused]
    findings += [Finding(e.path, e.line, "R010", e.why) for e in rules.warnings]
    cases: list[Case] = []
    for path in test_files(folders):
        try:
            cases += load_cases(path)
        except ContentErrors as wrong:
            findings += [Finding(e.path, e.line, "R002", e.why) for e in wrong.errors]
    known = {*rules.rules, *(c.id for c in rules.correlations)}
    findings += [
        Finding(str(path), 0, "R002", f"no rule {rule_id} is loaded")
        for rule_id, path in sorted({(c.rule_id, c.path) for c in cases if c.rule_id not in known})
    ]
    tested = _expectations(cases)
    everything: list[Any] = [*rules.rules.values(), *rules.correlations]
    for rule in everything:
        asked = _hygiene(rule, tested, rule.id in rules.silent)
        findings += (Finding(str(rule.path), rule.line, code, why) for code, why in asked)
    findings += _twins(rules)
    findings += _boundless(rules)
    return sorted(set(findings)), cases


def test_files(folders: Iterable[Path]) -> list[Path]:
    """All `*.test.yaml` below the folders (or beside the rule files)."""
    files: list[Path] = []
    for folder in folders:
        if folder.is_dir():
            files += sorted(folder.rglob("*.test.yaml"))
        elif (beside := folder.with_suffix(".test.yaml")).is_file():
            files.append(beside)
    return files


def _expectations(cases: Iterable[Case]) -> Mapping[str, set[bool]]:
    tested: dict[str, set[bool]] = defaultdict(set)
    for case in cases:
        tested[case.rule_id].add(case.alerts > 0)
    return tested


def _hygiene(rule: Any, tested: Mapping[str, set[bool]], silent: bool) -> Iterator[tuple[str, str]]:
    """What a reviewer asks of our own rules: those with a `soc:` block. Vendored packs keep their authors' habits.

    A silent rule only feeds a correlation: the correlation has the tests and the next steps.
    """
    if (rule.level or "") not in LEVELS:
        yield "R025", f"level is {rule.level or 'missing'!r}"
    own = rule.custom.get("soc")
    if not isinstance(own, Mapping):
        return
    if rule.status in {"test", "stable"} and not silent:
        for fires, word in ((True, "fires"), (False, "stays quiet")):
            if fires not in tested.get(rule.id, set()):
                yield "R020", f"no test in which the rule {word}"
    for name in ("title_vi", "description_vi"):
        if not own.get(name):
            yield "R021", f"soc.{name} is missing"
    if not own.get("steps_vi") and not silent:
        yield "R022", "soc.steps_vi is missing"
    if any(str(text).casefold() in _VAGUE for text in rule.falsepositives):
        yield "R023", f"falsepositives: {', '.join(rule.falsepositives)}"
    if not any(tag.startswith("attack.") for tag in rule.tags):
        yield "R024", "no tag attack.*"
    found = _NAME.fullmatch(rule.path.stem)
    tactics = {name.replace("-", "_") for name in TACTICS}
    if not found or not any(rule.path.stem.startswith(f"{tactic}_") for tactic in tactics):
        yield "R026", f"{rule.path.name} does not begin with a tactic such as credential_access_"


def _boundless(rules: RuleSet) -> Iterator[Finding]:
    for detection in rules.match([{}])[0]:
        rule = rules.rules[detection.rule_id]
        yield Finding(str(rule.path), rule.line, "R031", "it matches even an event that holds none of its fields")


def _twins(rules: RuleSet) -> Iterator[Finding]:
    seen: dict[object, Any] = {}
    for rule in rules.rules.values():
        first = seen.setdefault((rule.logsource, repr(rule.tree)), rule)
        if first is not rule:
            yield Finding(
                str(rule.path), rule.line, "R030", f"same log source and detection as {first.path} ({first.id})"
            )
