"""Our rules: over the sample events of all their tests, a query finds what the engine finds, but for known.yml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from soc.author.cases import load_cases
from soc.author.convert import Converted
from soc.author.verify import events_of
from soc.detect import RuleSet, load_rules
from soc.event import Event
from soc.normalize import Sources
from tests.services.meaning.conftest import World

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

KNOWN = Path(__file__).with_name("known.yml")


@dataclass(frozen=True, order=True)
class Difference:
    """A rule and an event that the query finds `more`, or the engine alone (`less`)."""

    rule: str
    event: str
    finds: str


def shown(differences: Iterable[Difference]) -> str:
    """As lines of known.yml."""
    return "".join(f"\n- {{rule: {d.rule}, event: '{d.event}', finds: {d.finds}}}" for d in sorted(differences))


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
    """Event id → its name; cases with the same lines share their events."""
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
    engine, scopes, hits = world.engine(rules), world.scopes(rules), world.hits(queries)
    found: set[Difference] = set()
    equal = 0
    for one in queries:
        answer, scope, wanted = hits[one.id], scopes[one.id], engine.get(one.id, set())
        assert isinstance(answer, set), (one.path, answer)
        equal += len(answer & wanted)
        found |= {Difference(one.id, names[event], "less") for event in wanted - answer}
        found |= {Difference(one.id, names[event], "more") for event in (answer & scope) - wanted}
    known = {
        Difference(k["rule"], k["event"], k["finds"]): k["reason"] for k in yaml.safe_load(KNOWN.read_text("utf-8"))
    }
    assert shown(found - set(known)) == "", "differences that known.yml does not list"
    assert shown(set(known) - found) == "", "differences of known.yml that are no more"
    assert equal > 450
    told = {one.id: {d.code for d in one.differences} for one in queries}
    assert [d for d, reason in known.items() if reason not in told[d.rule]] == [], "the query's page does not tell it"


def test_no_query_finds_events_of_other_log_sources_unsaid(
    world: World, rules: RuleSet, queries: list[Converted]
) -> None:
    """What `differences.GENERAL` says of log sources: how often it matters among the samples."""
    scopes, hits = world.scopes(rules), world.hits(queries)
    strangers = {one.path.stem: len(set(hits[one.id]) - scopes[one.id]) for one in queries}
    assert sum(map(bool, strangers.values())) <= 4, strangers
