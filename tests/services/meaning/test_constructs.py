"""The table of what every Sigma construct means, asked of the real server: all of it holds but for constructs.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from soc.author.convert import Converted, convert
from soc.author.differences import GENERAL
from soc.author.indices import indices
from soc.author.kinds import kind
from soc.detect import load_rules
from soc.event import Event, LogSource, record_id, rfc3339
from tests.corpus.test_sigma_conformance import CASES, Case
from tests.services.meaning.conftest import World

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

TABLE = Path(__file__).with_name("constructs.yml")
NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)

#: The fields of the table → fields that our indices keep as keywords.
FIELDS = {
    "A": "winlog.event_data.CommandLine",
    "B": "winlog.event_data.Image",
    "C": "winlog.event_data.User",
    "T": "winlog.event_data.CreationUtcTime",
}
#: Where a case compares numbers: fields that they keep as numbers.
NUMBERS = FIELDS | {"A": "process.pid"}


def mapping(case: Case) -> dict[str, str]:
    return NUMBERS if any(f"A|{word}:" in case.detection for word in ("gt", "gte", "lt", "lte")) else FIELDS


def pipeline(case: Case) -> str:
    change = {"type": "field_name_mapping", "mapping": mapping(case)}
    return yaml.safe_dump({"name": case.id, "priority": 1, "transformations": [change]})


def event(case: Case, number: int, fields: Mapping[str, Any]) -> Event:
    known = {"@timestamp": rfc3339(NOW), "event.dataset": "table", "event.kind": "event"}
    made = known | {mapping(case).get(name, name): value for name, value in fields.items()}
    identity = record_id(NOW, case.id, number)
    return Event(identity, identity, NOW, NOW, "table", (LogSource("p"),), made)


def large(one: Converted) -> bool:
    return any(d.code == "size" for d in one.differences)


@pytest.fixture(scope="module")
def events() -> dict[str, list[Event]]:
    """Case → its events."""
    return {case.id: [event(case, n, e) for n, e in enumerate([*case.match, *case.miss])] for case in CASES}


@pytest.fixture(scope="module")
def world(events: dict[str, list[Event]], stored: Callable[[Sequence[Event]], World]) -> World:
    return stored([one for of in events.values() for one in of])


@pytest.fixture(scope="module")
def answers(world: World, events: dict[str, list[Event]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Claim → what was converted, the ids that the engine and the query find among its events."""
    folder = tmp_path_factory.mktemp("table")
    made: dict[str, Converted] = {}
    engine: dict[str, set[str]] = {}
    for case in CASES:
        if case.refused:
            continue
        rule, names = folder / f"{case.id}.yml", folder / f"{case.id}.names.yml"
        rule.write_text(case.rule, "utf-8")
        names.write_text(pipeline(case), "utf-8")
        rules = load_rules([rule], [names], case.placeholders)
        [made[case.about]] = convert(rules, [names], case.placeholders, kind, indices)
        own = events[case.id]
        engine[case.about] = {e.id for e, found in zip(own, rules.match([e.fields for e in own]), strict=True) if found}
    hits = world.hits([one for one in made.values() if one.query and not large(one)])
    out: dict[str, Any] = {}
    for case in CASES:
        if not case.refused:
            one = made[case.about]
            answer = hits.get(one.id, "")
            ids = {e.id for e in events[case.id]}
            out[case.about] = (one, engine[case.about], answer if isinstance(answer, str) else answer & ids)
    return out


def test_every_claim_holds_in_a_search_but_for_those_that_are_listed(answers: dict[str, Any]) -> None:
    table = yaml.safe_load(TABLE.read_text("utf-8"))
    refused = {about for about, (one, _, _) in answers.items() if not one.query}
    too_large = {about for about, (one, _, _) in answers.items() if large(one)}
    differs = {
        about for about, (one, engine, answer) in answers.items() if one.query and not large(one) and answer != engine
    }
    assert sorted(refused - set(table["refused"])) == [], "not convertible, and not listed"
    assert sorted(set(table["refused"]) - refused) == [], "listed as not convertible, and is"
    assert sorted(too_large) == table["too_large"]
    assert sorted(differs - set(table["differs"])) == [], "different, and not listed"
    assert sorted(set(table["differs"]) - differs) == [], "listed as different, and is not"


def test_each_difference_is_told_beside_the_query(answers: dict[str, Any]) -> None:
    table = yaml.safe_load(TABLE.read_text("utf-8"))
    told = {about: {d.code for d in one.differences} | set(GENERAL) for about, (one, _, _) in answers.items()}
    assert {about: code for about, code in table["differs"].items() if code not in told[about]} == {}
