"""SigmaHQ's rules over real recordings: each query finds what the engine finds, but for known.yml.

Asked are the rules that match something, and all others of these log sources whose query is short: a long one costs the
server up to seconds. SOC_MEANING=all asks every one of them (docs/sigma-semantics.md has the counts).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from soc.app.reading import records
from soc.author.convert import Converted
from soc.detect import RuleSet, load_rules
from soc.event import Event, RecordError, Rejected
from soc.normalize import Sources
from tests.services.meaning.conftest import Differences, World

pytestmark = [pytest.mark.services, pytest.mark.timeout(400)]

RECEIVED = datetime(2026, 11, 24, 2, tzinfo=UTC)
PACKS = ("rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance")


def short(one: Converted) -> bool:
    large = any(d.code == "size" for d in one.differences)
    return not large and (os.environ.get("SOC_MEANING") == "all" or len(one.query) < 400)


def recorded(shared_data: Path, sources: Sources) -> Iterator[tuple[str, Event]]:
    """Every event of the recordings, by its file and its number there."""
    for folder in ("sigma_regression", "evtx_cc0"):
        files = sorted(p for p in (shared_data / folder).iterdir() if p.suffix in (".evtx", ".json"))
        for item in records([p for p in files if p.name != "EXPECTED.json"], sources, "auto", RECEIVED):
            if isinstance(item, Rejected):
                continue
            try:
                made = sources.events(item)
            except RecordError:
                continue
            place = f"{Path(item.facts['file']).name} #{item.facts['record']}"
            yield from ((f"{place}{f'.{n}' if n else ''}", event) for n, event in enumerate(made))


@pytest.fixture(scope="module")
def rules(shared_data: Path, pipelines: list[Path]) -> RuleSet:
    return load_rules([shared_data / "sigmahq" / pack for pack in PACKS], pipelines)


def test_each_query_finds_what_its_rule_finds_but_for_the_known_differences(
    rules: RuleSet,
    sources: Sources,
    shared_data: Path,
    stored: Callable[[Sequence[Event]], World],
    converted: Callable[[RuleSet], list[Converted]],
) -> None:
    named = {event.id: (name, event) for name, event in recorded(shared_data, sources)}
    world = stored([event for _, event in named.values()])
    every = converted(rules)
    scopes = world.scopes(rules)
    matching = world.engine(rules)
    asked = [one for one in every if one.query and one.id in scopes and (one.id in matching or short(one))]
    compared = Differences.of(world, rules, asked, {identity: name for identity, (name, _) in named.items()})
    assert compared.unlisted("sigmahq") == ""
    assert compared.gone("sigmahq") == ""
    assert compared.untold("sigmahq") == []
    left = sum(len(found) for rule, found in matching.items() if not any(one.id == rule for one in asked))
    rate = f"{len(asked)} of {len(every)} rules asked of {len(named)} events"
    print(f"{rate}: {compared.summary('sigmahq')}; {left} finds of rules that are not converted")
    assert compared.equal >= 400
