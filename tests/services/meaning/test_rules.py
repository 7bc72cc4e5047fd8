"""Our rules: over the sample events of all their tests, a query finds what the engine finds, but for known.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from soc.author.cases import load_cases
from soc.author.convert import Converted
from soc.author.verify import events_of
from soc.detect import RuleSet, load_rules
from soc.event import Event
from soc.normalize import Sources
from tests.services.meaning.conftest import Differences, World

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]


def named(root: Path, sources: Sources) -> Iterator[tuple[str, Event]]:
    """Every event of every case, by the test file, the case and its number in it."""
    for path in sorted((root / "rules").rglob("*.test.yaml")):
        for case in load_cases(path):
            for number, event in enumerate(events_of(case, sources), 1):
                assert isinstance(event, Event), event
                yield f"{path.name.partition('.')[0]}: {case.name} #{number}", event


@pytest.fixture(scope="module")
def rules(root: Path, pipelines: list[Path]) -> RuleSet:
    return load_rules([root / "rules"], pipelines)


@pytest.fixture(scope="module")
def names(root: Path, sources: Sources) -> dict[str, str]:
    return {event.id: name for name, event in named(root, sources)}


@pytest.fixture(scope="module")
def world(root: Path, sources: Sources, stored: Callable[[Sequence[Event]], World]) -> World:
    return stored(list({event.id: event for _, event in named(root, sources)}.values()))


@pytest.fixture(scope="module")
def queries(rules: RuleSet, converted: Callable[[RuleSet], list[Converted]]) -> list[Converted]:
    return [one for one in converted(rules) if one.query]


def test_every_query_finds_what_its_rule_finds_but_for_the_known_differences(
    world: World, rules: RuleSet, queries: list[Converted], names: dict[str, str]
) -> None:
    compared = Differences.of(world, rules, queries, names)
    assert len(queries) == len(rules.rules)
    assert compared.unlisted("own") == ""
    assert compared.gone("own") == ""
    assert compared.untold("own") == []
    print(f"{len(queries)} queries, {len(names)} events: {compared.summary('own')}")
    assert compared.equal >= 500


#: What a difference takes that no sample shows: the rule, what its event becomes, what the query then finds.
PLANTED = {
    "long": ("execution_powershell_encoded", "less", lambda text: f"{text}{' ' * 9_000}"),
    "case": ("privilege_escalation_sudo_root_shell", "more", str.upper),
}
COMMANDS = ("process.command_line", "winlog.event_data.CommandLine", "system.auth.sudo.command")


@pytest.mark.parametrize("code", PLANTED)
def test_a_difference_that_is_told_beside_a_query_is_real(
    code: str,
    world: World,
    rules: RuleSet,
    queries: list[Converted],
    stored: Callable[[Sequence[Event]], World],
) -> None:
    stem, finds, change = PLANTED[code]
    [one] = [query for query in queries if query.path.stem == stem]
    assert code in {d.code for d in one.differences}
    matched = world.engine(rules)[one.id]
    sample = next(event for event in world.events if event.id in matched)
    fields = {name: change(value) if name in COMMANDS else value for name, value in sample.fields.items()}
    changed = stored([replace(sample, fields=fields)])
    compared = Differences.of(changed, rules, [one], {sample.id: "planted"})
    assert [(d.rule, d.finds) for d in compared.found] == [(one.id, finds)]


def test_among_the_samples_few_queries_find_events_of_other_log_sources(
    world: World, rules: RuleSet, queries: list[Converted]
) -> None:
    """What `differences.GENERAL` says of the scope."""
    scopes, hits = world.scopes(rules), world.hits(queries)
    strangers = {one.path.stem: len(set(hits[one.id]) - scopes[one.id]) for one in queries}
    assert sum(map(bool, strangers.values())) <= 4, strangers
