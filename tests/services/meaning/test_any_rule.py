"""Any rule that no difference is told of: over any texts, its query finds on the real server what the engine finds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.author.convert import convert
from soc.author.indices import indices
from soc.author.kinds import kind
from soc.detect import load_rules
from soc.event import Event, LogSource, record_id, rfc3339
from tests.services.meaning.conftest import World

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
#: Fields that our indices keep as keywords, under names that no rule knows by another.
FIELDS = {"A": "winlog.event_data.CommandLine", "B": "process.executable", "C": "url.original"}
#: What Sigma, Lucene's queries and its expressions take for signs, and letters with another case.
SIGNS = "aAbBđĐ01 -/\\*?\"'&|!(){}[]^~:<>=@#.,+%$_\n\t"
WORDS = (
    "ab",
    "a b",
    "-a",
    " /b",
    "10.1.2.3",
    "10.255.0.1",
    "11.0.0.1",
    "YWI=",
    "AND",
    "or",
    "_exists_",
    "a\\b",
    "*",
    "",
)
HARMLESS = {"long"}


def texts(chance: random.Random) -> str:
    made = "".join(chance.choice(SIGNS) for _ in range(chance.randrange(6)))
    return made if chance.random() < 0.6 else chance.choice(WORDS) + made[:2]


@pytest.fixture(scope="module")
def world(stored: Callable[[Sequence[Event]], World]) -> World:
    """400 events; each of the fields is there in three of four."""
    chance = random.Random(20261124)
    events = []
    for number in range(400):
        fields: dict[str, Any] = {"@timestamp": rfc3339(NOW), "event.dataset": "any", "event.kind": "event"}
        fields |= {name: texts(chance) for name in FIELDS.values() if chance.random() < 0.75}
        identity = record_id(NOW, "any rule", number)
        events.append(Event(identity, identity, NOW, NOW, "any", (LogSource("p"),), fields))
    return stored(events)


text = st.one_of(
    st.text(st.sampled_from(SIGNS), min_size=1, max_size=3), st.sampled_from([word for word in WORDS if word])
)
patterns = st.lists(
    st.sampled_from(["a", "B", "đ", "[ab]", "[^a]", ".", ".*", "a+", "b?", "(?:a|b)", r"\d", r"\s", r"\W", r"\.", "/"]),
    min_size=1,
    max_size=4,
).map("".join)
anchored = st.tuples(st.sampled_from(["", "^"]), patterns, st.sampled_from(["", "$"])).map("".join)


@st.composite
def item(draw: st.DrawFn) -> tuple[str, Any]:
    field = draw(st.sampled_from(sorted(FIELDS)))
    modifiers = draw(
        st.sampled_from(["", "|contains", "|startswith", "|endswith", "|re|i", "|cidr", "|windash|contains"])
    )
    values = anchored if "re" in modifiers else st.just("10.0.0.0/8") if "cidr" in modifiers else text
    more = draw(st.sampled_from(["", "|neq", "|all" if modifiers else ""]))
    return f"{field}{modifiers}{more}", draw(st.lists(values, min_size=1, max_size=3))


selection = st.lists(item(), min_size=1, max_size=3).map(dict)
condition = st.sampled_from(["a", "not a", "a and b", "a or not b", "not (a or b)", "1 of them", "not all of them"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rules")
    change = {"type": "field_name_mapping", "mapping": FIELDS}
    (made / "names.yml").write_text(yaml.safe_dump({"name": "n", "priority": 1, "transformations": [change]}), "utf-8")
    return made


@settings(max_examples=150)
@given(first=selection, second=selection, asked=condition)
def test_any_rule_without_a_told_difference_is_its_query(
    first: Any, second: Any, asked: str, world: World, folder: Path
) -> None:
    rule = {"title": "t", "logsource": {"product": "p"}, "detection": {"a": first, "b": second, "condition": asked}}
    (folder / "rule.yml").write_text(yaml.safe_dump(rule, allow_unicode=True), "utf-8")
    rules = load_rules([folder / "rule.yml"], [folder / "names.yml"])
    assert not rules.refused
    [made] = convert(rules, [folder / "names.yml"], {}, kind, indices)
    if made.query and {d.code for d in made.differences} <= HARMLESS | {"letters"}:
        assert world.hits([made])[made.id] == world.engine(rules).get(made.id, set()), made.query
