"""A server that is busy, breaks off or says no: writes wait and try again, and whatever is repeated happens once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from soc.event import TransportError
from soc.store.elasticsearch import ElasticsearchStore, Server
from soc.store.query import parse_query
from tests.services.elasticsearch.between import REFUSED, Between, Decide, Forward, between, error, items, merged
from tests.services.elasticsearch.samples import event, rejection

pytestmark = pytest.mark.services
numbers = count(1)
Answer = tuple[int, bytes] | None


@contextmanager
def through(
    target: str, namespace: str, decide: Decide, patience_s: float = 20.0
) -> Iterator[tuple[ElasticsearchStore, Between]]:
    """A store that reaches the server only through the test's decisions."""
    with between(target, decide) as server:
        store = ElasticsearchStore([server.url], namespace=namespace, patience_s=patience_s)
        yield store, server
        store.close()


def bulks(*answers: Callable[[bytes, Forward], Answer]) -> Decide:
    """Decides on the bulk requests in order; afterwards, and on all others, the server itself does."""
    waiting = list(answers)

    def decide(method: str, path: str, body: bytes, forward: Forward) -> Answer:
        return waiting.pop(0)(body, forward) if waiting and path.startswith("/_bulk") else forward(body)

    return decide


def refuse(status: int) -> Callable[[bytes, Forward], Answer]:
    return lambda body, forward: error(status)


@pytest.fixture
def few(server: Server) -> list[int]:
    """Numbers of events that no other test writes."""
    return [1000 * next(numbers) + n for n in range(10)]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_refused_request_is_sent_again(elasticsearch: str, namespace: str, few: list[int], status: int) -> None:
    with through(elasticsearch, namespace, bulks(refuse(status), refuse(status))) as (store, server):
        written = store.write([event(n) for n in few])
    assert (written.created, written.existed, written.refused) == (10, 0, {})
    assert server.bulks == [10, 10, 10]


def test_only_refused_items_are_sent_again(elasticsearch: str, namespace: str, few: list[int]) -> None:
    def every_other(body: bytes, forward: Forward) -> Answer:
        pairs = items(body)
        _, answered = forward(b"".join(pairs[::2]))
        kept = dict(zip(range(0, len(pairs), 2), json.loads(answered)["items"], strict=True))
        busy = {at: {"create": {"status": 429, "error": REFUSED}} for at in range(1, len(pairs), 2)}
        return 200, merged(kept, busy)

    with through(elasticsearch, namespace, bulks(every_other, every_other)) as (store, server):
        written = store.write([event(n) for n in few])
    assert (written.created, written.existed) == (10, 0)
    assert server.bulks == [10, 5, 2]


def test_a_server_that_stays_busy_is_told_and_can_be_asked_again(
    elasticsearch: str, namespace: str, few: list[int]
) -> None:
    busy = True

    def decide(method: str, path: str, body: bytes, forward: Forward) -> Answer:
        return error(503) if busy and path.startswith("/_bulk") else forward(body)

    with through(elasticsearch, namespace, decide, patience_s=0.5) as (store, server):
        with pytest.raises(TransportError, match=r"overloaded or not ready \(503\): injected; 10 documents wait"):
            store.write([event(n) for n in few])
        assert len(server.bulks) > 1
        busy = False
        assert store.write([event(n) for n in few]).created == 10


@pytest.mark.parametrize("taken", [True, False])
def test_an_answer_that_is_lost_is_asked_for_again_by_the_caller_and_nothing_is_there_twice(
    elasticsearch: str, namespace: str, few: list[int], taken: bool
) -> None:
    def break_off(body: bytes, forward: Forward) -> Answer:
        if taken:
            forward(body)
        return None

    with through(elasticsearch, namespace, bulks(break_off)) as (store, server):
        with pytest.raises(TransportError, match=f"{server.url} does not answer"):
            store.write([event(n) for n in few], [rejection(few[0] + 500)])
        written = store.write([event(n) for n in few], [rejection(few[0] + 500)])
        assert (written.created, written.existed) == ((0, 10) if taken else (10, 0))
        store.refresh()
        assert store.fates([event(few[3]).id, rejection(few[0] + 500).record.id]) == {
            event(few[3]).id: "stored",
            rejection(few[0] + 500).record.id: "rejected",
        }


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (error(401, "security_exception", "unable to authenticate"), "does not accept an anonymous user"),
        (error(403, "security_exception", "needs [create_doc]"), r"lacks a privilege: needs \[create_doc\]"),
        (error(403, "cluster_block_exception", "index read-only"), r"takes no writes now \(a full disk, mostly\)"),
        (error(400, "validation_exception", "this cluster has [1000] shards open"), "has no room for another index"),
    ],
)
def test_a_refusal_for_good_is_told_at_once_and_no_record_is_set_aside(
    elasticsearch: str, namespace: str, few: list[int], answer: tuple[int, bytes], sentence: str
) -> None:
    with through(elasticsearch, namespace, bulks(lambda body, forward: answer)) as (store, server):
        with pytest.raises(TransportError, match=sentence):
            store.write([event(n) for n in few])
        assert server.bulks == [10]


def test_an_item_that_meets_a_closed_door_is_no_fault_of_its_document(
    elasticsearch: str, namespace: str, few: list[int]
) -> None:
    blocked = {"type": "cluster_block_exception", "reason": "disk usage exceeded flood-stage watermark"}

    def closed(body: bytes, forward: Forward) -> Answer:
        return 200, merged({}, {at: {"create": {"status": 403, "error": blocked}} for at in range(len(items(body)))})

    with through(elasticsearch, namespace, bulks(closed)) as (store, _):
        with pytest.raises(TransportError, match="flood-stage"):
            store.write([event(n) for n in few])
        assert store.write([event(n) for n in few]).created == 10


def test_a_read_waits_for_a_shard_that_is_being_started(elasticsearch: str, namespace: str, few: list[int]) -> None:
    starting = iter([error(503, "search_phase_execution_exception", "all shards failed")] * 2)

    def decide(method: str, path: str, body: bytes, forward: Forward) -> Answer:
        return next(starting, None) or forward(body) if "_msearch" in path else forward(body)

    with through(elasticsearch, namespace, decide) as (store, _):
        store.write([event(n) for n in few])
        store.refresh()
        assert store.search(parse_query(f'"line {few[0]}"')).total == 1
        assert next(starting, None) is None


def test_a_large_batch_goes_in_requests_of_bounded_size(elasticsearch: str, namespace: str, few: list[int]) -> None:
    large = "x " * 1_500_000  # 3 MB, which nothing compresses on the way
    with through(elasticsearch, namespace, lambda method, path, body, forward: forward(body)) as (store, server):
        written = store.write([event(n, {"message": large}) for n in few[:5]])
        assert written.created == 5
        assert server.bulks == [2, 2, 1]
        store.write([event(n + 100_000) for n in range(2_500)])
        assert server.bulks[3:5] == [2_000, 500]
