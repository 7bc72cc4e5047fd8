"""What keeps a worker going: a bug costs one record, broken transport costs time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.app.config import Config
from soc.app.content import load_content
from soc.app.detecting import turn
from soc.app.runner import Stopped, bisected, patiently
from soc.bus.base import RAW
from soc.bus.sqlite import SqliteBus
from soc.collect.wire import to_message
from soc.event import ContentError, RawRecord, TransportError, parse_rfc3339, record_id
from soc.store.query import parse_query
from soc.store.sqlite import SqliteStore

RECEIVED = parse_rfc3339("2026-03-02T05:00:00Z")


def run(items: list[int], poison: set[int]) -> tuple[list[int], list[int]]:
    def step(some: Sequence[int]) -> tuple[list[int], list[int]]:
        if poison & set(some):
            raise ZeroDivisionError
        return list(some), []

    return bisected(
        items, step, lambda a, b: (a[0] + b[0], a[1] + b[1]), lambda item, trace: ([], [item] * ("ZeroDiv" in trace))
    )


@given(st.lists(st.integers(0, 99), min_size=1, max_size=40, unique=True), st.sets(st.integers(0, 99)))
def test_a_bug_costs_the_records_that_meet_it_and_no_other(items: list[int], poison: set[int]) -> None:
    done, aside = run(items, poison)
    assert done == [i for i in items if i not in poison]
    assert aside == [i for i in items if i in poison]


def test_our_own_errors_are_no_bugs() -> None:
    def step(some: Sequence[int]) -> Any:
        raise ContentError("x", 0, "y")

    with pytest.raises(ContentError):
        bisected([1, 2], step, lambda a, b: a, lambda item, trace: None)


def test_broken_transport_is_tried_again_until_it_answers() -> None:
    answers = [TransportError("gone"), TransportError("gone"), None]

    def call() -> str:
        if (failure := answers.pop(0)) is not None:
            raise failure
        return "there"

    assert patiently(call, "asking", threading.Event()) == "there"


def test_who_waits_can_be_stopped() -> None:
    stop = threading.Event()
    stop.set()

    def call() -> None:
        raise TransportError("gone")

    with pytest.raises(Stopped):
        patiently(call, "asking", stop)


def test_a_bug_in_a_stage_sets_one_record_aside_with_its_trace(root: Path, tmp_path: Path) -> None:
    content = load_content(
        Config(
            org=root / "deploy/sample/org",
            rules=[root / "rules"],
            sources=[root / "pipelines/sources"],
            sigma_pipelines=[root / "pipelines/sigma"],
        )
    )

    class Buggy:
        """The real enricher, with a bug for one host."""

        def __init__(self, real: Any) -> None:
            self._real = real

        def enrich(self, events: Any) -> None:
            assert all(event.fields.get("host.name") != "web07" for event in events)
            self._real.enrich(events)

    content.enricher = Buggy(content.enricher)  # type: ignore[assignment]
    lines = [f"Mar  2 05:00:00 web{n:02d} sshd[1]: Server listening on 192.0.2.1 port 22." for n in range(20)]
    bus, store = SqliteBus(tmp_path / "bus"), SqliteStore(tmp_path / "store")
    records = [RawRecord(record_id(RECEIVED, n), x.encode(), RECEIVED, "linux_auth") for n, x in enumerate(lines)]
    bus.publish(RAW, [to_message(record) for record in records])
    bus.flush()
    turn(bus, store, content, bus.subscribe(RAW, "g").poll(100, 1.0), threading.Event())
    assert store.search(parse_query("*")).total == 19
    (aside,) = store.rejected()
    assert (aside.code, aside.record.data.split()[3]) == ("internal_error", b"web07")
    assert "AssertionError" in aside.detail
    bus.close()
    store.close()
