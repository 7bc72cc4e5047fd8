"""The server's search and `soc.store.evaluate` read every query alike, by word, value, address, number and time.

The documents and queries are those of tests/property/test_store_query.py. Known differences, which they are spared:

- A number that JSON writes with an exponent (1e22) in a field with a type keeps JSON's spelling ("1e22"), where we say
  "1e+22": wildcards and counts show it. As an equal number it is found.
- 73.0 in a field of whole numbers is 73 to wildcards and counts.
- Of a run of more than 255 letters and digits the index knows the beginning: a wildcard that ends within it misses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from soc.event import Event, Fields, rfc3339, text_of
from soc.store.elasticsearch import ElasticsearchStore
from soc.store.evaluate import matches, members
from soc.store.query import parse_query
from tests.property.test_store_query import FIELDS, Case, parsed

pytestmark = pytest.mark.services

START = datetime(2026, 11, 24, tzinfo=UTC)
#: Seeds; the last ones have found mistakes.
CASES = [*range(16), 121, 138, 171, 180, 221, 262, 264, 279]
APART = timedelta(hours=1)


def spared(name: str, value: Any) -> Any:
    """Without numbers that the server spells otherwise."""
    if isinstance(value, list):
        return [spared(name, member) for member in value]
    if isinstance(value, dict):
        return {inner: spared(inner, member) for inner, member in value.items()}
    if isinstance(value, float) and name == "destination.port" and value.is_integer():
        return 73
    return 0.25 if isinstance(value, float) and "e" in repr(value) else value


class Written:
    """The documents of one case, with times of its own."""

    def __init__(self, number: int) -> None:
        self.case = Case(number)
        self.since = START + number * APART
        self.until = self.since + APART
        self.docs: list[Fields] = []
        self.events: list[Event] = []
        for i, doc in enumerate(self.case.docs):
            timestamp = self.since + timedelta(minutes=i, microseconds=number)
            fields = {name: spared(name, value) for name, value in doc.items()} | {"@timestamp": rfc3339(timestamp)}
            event_id = f"20261124-{number:012x}{i:012x}"
            self.events.append(Event(event_id, event_id, timestamp, START, "test", (), fields))
            self.docs.append({"event.id": event_id, **fields})

    @property
    def span(self) -> dict[str, datetime]:
        return {"since": self.since, "until": self.until}


@pytest.fixture(scope="module")
def written(store: ElasticsearchStore) -> dict[int, Written]:
    cases = {number: Written(number) for number in CASES}
    result = store.write([event for one in cases.values() for event in one.events])
    assert result.refused == {}
    store.refresh()
    return cases


def asked(one: Written) -> Iterator[tuple[str, Any, list[int]]]:
    """Each query of a case with the documents that meet it."""
    for text in one.case.queries:
        if (query := parsed(text)) is not None:
            yield text, query, [i for i, doc in enumerate(one.docs) if matches(query, doc)]


@pytest.mark.parametrize("number", CASES)
def test_the_server_finds_what_the_reference_finds(
    written: dict[int, Written], store: ElasticsearchStore, number: int
) -> None:
    one = written[number]
    for text, query, wanted in asked(one):
        page = store.search(query, **one.span)
        assert (page.total, page.hits) == (len(wanted), [one.docs[i] for i in reversed(wanted)]), text
        late = [i for i in wanted if i >= len(one.docs) // 2]
        middle = {**one.span, "since": one.events[len(one.docs) // 2].timestamp}
        page = store.search(query, **middle, limit=2, offset=1, oldest_first=True)
        assert (page.total, page.hits) == (len(late), [one.docs[i] for i in late[1:3]]), text


@pytest.mark.parametrize("number", CASES[::4])
def test_counts_are_those_of_the_reference(written: dict[int, Written], store: ElasticsearchStore, number: int) -> None:
    one = written[number]
    names = [*FIELDS, "soc.match.field", "host.ip", "absent", "event.id", "@timestamp"]
    for at, (text, query, wanted) in enumerate(asked(one)):
        name = names[at % len(names)]
        counts = Counter(value for i in wanted for value in {text_of(v) for v in members(one.docs[i], name)})
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        assert store.count_by(query, name, **one.span, limit=100) == ranked, (text, name)
        assert store.count_by(query, name, **one.span, limit=2) == ranked[:2], (text, name)
        step = timedelta(minutes=2) if at % 2 else timedelta(seconds=100, microseconds=7)
        times = Counter((one.events[i].timestamp - one.since) // step for i in wanted)
        steps = store.count_by_time(query, step, **one.span)
        assert [count for _, count in steps] == [times[i] for i in range(len(steps))], text
        assert steps[0][0] == one.since


def test_the_queries_are_worth_asking(written: dict[int, Written]) -> None:
    found = [len(wanted) / len(one.docs) for one in written.values() for _, _, wanted in asked(one)]
    assert len(found) > 25 * len(CASES)
    assert sum(0 < share < 1 for share in found) > len(found) // 3


def test_an_empty_store_has_no_hits_and_no_counts(elasticsearch: str) -> None:
    store = ElasticsearchStore([elasticsearch], namespace="test.nothing.written")
    query = parse_query('user.name:root OR "a b" OR x:>1')
    assert store.search(query).total == 0
    assert store.search(query, limit=5000, offset=20_000).hits == []
    assert store.count_by(query, "host.name") == []
    assert [n for _, n in store.count_by_time(query, APART, since=START, until=START + 2 * APART)] == [0, 0]
    assert (store.ledger(), store.sources_seen(), store.rejected()) == ([], [], [])
    store.close()
