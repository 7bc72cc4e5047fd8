"""SigmaHQ's rules over real recordings: each query finds what the engine finds, but for known.yml."""

from __future__ import annotations

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
    asked = [one for one in every if one.query and one.id in scopes]
    compared = Differences.of(world, rules, asked, {identity: name for identity, (name, _) in named.items()})
    assert compared.unlisted("sigmahq") == ""
    assert compared.gone("sigmahq") == ""
    assert compared.untold("sigmahq") == []
    print(f"{len(every)} rules, {len(asked)} asked of {len(named)} events: {compared.summary('sigmahq')}")
    assert compared.equal >= 400
