"""State of correlation follows its partition from worker to worker, and can be had again by reading the topic back."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.app.alerting import GROUP, AlertWorker
from soc.app.detecting import Content, detect
from soc.bus.base import DETECTIONS, RAW
from soc.bus.sqlite import SqliteBus
from soc.collect.wire import to_message
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore
from tests.property.test_kill import MEMORY, RECEIVED, content, records

__all__ = ["content"]  # the fixture

PARTITIONS = 4


@contextmanager
def opened(folder: Path) -> Iterator[tuple[SqliteBus, SqliteStore]]:
    bus, store = SqliteBus(folder / "bus", PARTITIONS), SqliteStore(folder / "store")
    try:
        yield bus, store
    finally:
        bus.close()
        store.close()


def done(bus: SqliteBus, topic: str, group: str) -> bool:
    ends, committed = bus.end_offsets(topic), bus.committed(topic, group)
    return all(committed.get(p, 0) >= end for p, end in ends.items())


@pytest.fixture(scope="module")
def detected(content: Content, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose soc.detections are there to be read."""
    folder = tmp_path_factory.mktemp("detected")
    with opened(folder) as (bus, store):
        bus.publish(RAW, [to_message(r) for r in records()])
        bus.flush()
        stop = threading.Event()
        detect(
            bus, store, content, stop, member="d", poll_s=0.01, beat=lambda: _stop_if(done(bus, RAW, "detect"), stop)
        )
    return folder


def _stop_if(condition: bool, stop: threading.Event) -> None:
    if condition:
        stop.set()


def work(folder: Path, content: Content, member: str, beats: int | None, forget: bool = False) -> AlertWorker:
    """An alert worker until everything is done, or for so many turns of its loop."""
    with opened(folder) as (bus, store):
        stop, turns = threading.Event(), iter(range(beats if beats is not None else 10_000))
        seen: list[Any] = []

        def beat() -> None:
            seen.append(None)
            finished = beats is None and len(seen) > 3 and done(bus, DETECTIONS, GROUP)
            _stop_if(finished or next(turns, None) is None, stop)

        if forget:
            store.load_state = lambda name: None  # type: ignore[method-assign]
        worker = AlertWorker(bus, store, content, lambda: RECEIVED)
        worker.run(stop, member=member, max_records=5, poll_s=0.005, beat=beat)
        return worker


def alerts(folder: Path) -> list[Any]:
    with opened(folder) as (_, store):
        _, found = store.search_alerts(parse_query("*"), limit=1000)
        return sorted(
            (
                a.document["rule.id"],
                str(a.document["soc.group"]),
                a.document["soc.evidence.count"],
                a.document["soc.evidence.first"],
                a.document["soc.evidence.last"],
                tuple(sorted(a.document["soc.evidence.ids"])),
            )
            for a in found
        )


@contextmanager
def copied(folder: Path) -> Iterator[Path]:
    copy = Path(tempfile.mkdtemp(prefix="soc-state-", dir=MEMORY))
    try:
        yield Path(shutil.copytree(folder, copy / "copy"))
    finally:
        shutil.rmtree(copy)


@pytest.fixture(scope="module")
def undisturbed(content: Content, detected: Path) -> list[Any]:
    with copied(detected) as folder:
        work(folder, content, "one", None)
        found = alerts(folder)
    assert len(found) == 6
    return found


#: Workers that come for some turns, one after the other and some beside the one that stays.
comers = st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=15, deadline=None)
@given(comers)
def test_partitions_move_between_workers_and_nothing_is_lost_or_doubled(
    content: Content, detected: Path, undisturbed: list[Any], comers: list[tuple[int, bool]]
) -> None:
    with copied(detected) as folder:
        threads = []
        for number, (beats, beside) in enumerate(comers):
            coming = threading.Thread(target=work, args=(folder, content, f"b{number}", beats))
            coming.start()
            if beside:
                threads.append(coming)
            else:
                coming.join()
        work(folder, content, "a", None)
        for thread in threads:
            thread.join()
        work(folder, content, "a", None)  # what the last of them gave back
        assert alerts(folder) == undisturbed


def _state(worker_or_store: Callable[[str], bytes | None]) -> dict[str, Any]:
    """What every partition's state says, without the offset and in an order of its own."""
    found = {}
    for number in range(PARTITIONS):
        raw = worker_or_store(f"alert/{DETECTIONS}/{number}")
        assert raw is not None
        state = orjson.loads(raw)
        found[str(number)] = [
            sorted(state["episodes"], key=lambda e: e["alert"]),
            orjson.loads(state["correlator"]),
        ]
    return found


def test_reading_the_topic_back_gives_the_same_state_and_the_same_alerts(
    content: Content, detected: Path, undisturbed: list[Any]
) -> None:
    with copied(detected) as folder:
        work(folder, content, "one", None)
        with opened(folder) as (_, store):
            before = _state(store.load_state)
        work(folder, content, "one", None, forget=True)
        with opened(folder) as (_, store):
            assert _state(store.load_state) == before
        assert alerts(folder) == undisturbed
