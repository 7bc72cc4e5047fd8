"""The spool: durable, bounded, in order, the same ids after any end; every shed record is counted."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.collect.counts import counts
from soc.collect.forward import Forwarding
from soc.collect.spool import CRITICAL, Batch, Spool
from soc.event import RawRecord, Rejected, TransportError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOW, NORMAL = 0, 1


def batch(count: int, size: int = 1000, *, unit: str = "u", priority: int = NORMAL, waits: bool = False) -> Batch:
    records = [RawRecord("", b"%d" % n + b"x" * size, NOON, "s", unit) for n in range(count)]
    return Batch("syslog", records, priority, waits)


def spool(tmp_path: Path, **options: Any) -> Spool:
    return Spool(tmp_path / "collect", now=lambda: NOON, **options)


def books(tmp_path: Path) -> dict[str, tuple[int, int]]:
    return {c.unit: (c.received, c.shed) for c in counts(tmp_path / "collect")}


def test_what_is_stored_is_forwarded_in_order_and_removed(tmp_path: Path, bus: Any) -> None:
    s = spool(tmp_path)
    for _ in range(3):
        s.append([batch(2), batch(1)])
    assert s.used > 9000
    assert Forwarding(s, bus).turn() == 9
    assert Forwarding(s, bus).turn() == 0
    assert s.used == 0
    assert [d[:1] for d in bus.data()] == [b"0", b"1", b"0"] * 3
    assert len({r.id for r in bus.records()}) == 9
    assert books(tmp_path) == {"u": (9, 0)}


def test_ids_stay_when_records_are_forwarded_again_and_are_never_used_twice(tmp_path: Path, bus: Any) -> None:
    s = spool(tmp_path)
    s.append([batch(3)])
    first, _ = s.next()
    s.close()
    s = spool(tmp_path)
    second, upto = s.next()
    assert first == second
    s.remove(upto)
    s.close()
    s = spool(tmp_path)
    s.append([batch(3)])
    third, _ = s.next()
    assert not {r.id for r in third if isinstance(r, RawRecord)} & {r.id for r in first if isinstance(r, RawRecord)}


def test_bytes_and_what_was_set_aside_come_out_as_they_went_in(tmp_path: Path) -> None:
    s = spool(tmp_path)
    facts = {"port": "514", "client": "hộp thư"}
    good = RawRecord("20261124-1", bytes(range(256)), NOON, "s", "u", "192.0.2.1", "tcp", facts)
    bad = Rejected(RawRecord("20261124-2", b"\xff", NOON, "other", "u"), "too_large", "chi tiết", "collect")
    s.append([Batch("http", [good, bad, good])])
    assert s.next()[0] == [good, bad, good]


def test_a_bus_that_fails_loses_nothing(tmp_path: Path, bus: Any) -> None:
    s = spool(tmp_path)
    s.append([batch(2)])

    def fail(step: str) -> None:
        raise TransportError(step)

    bus.before = fail
    with pytest.raises(TransportError):
        Forwarding(s, bus).turn()
    bus.before = lambda step: None
    assert Forwarding(s, bus).turn() == 2


def test_a_bus_that_has_taken_records_is_asked_to_flush_and_not_given_them_again(tmp_path: Path) -> None:
    s = spool(tmp_path)
    s.append([batch(2)])
    steps: list[str] = []

    class Slow:
        """Takes records at once and has them durable at the third flush."""

        def publish(self, topic: str, messages: Any) -> None:
            steps.append("publish")

        def flush(self) -> None:
            steps.append("flush")
            if steps.count("flush") < 3:
                raise TransportError("not yet")

    forwarding: Any = Forwarding(s, Slow())  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(TransportError):
            forwarding.turn()
    assert forwarding.turn() == 2
    assert steps == ["publish", "flush", "flush", "flush"]
    assert forwarding.turn() == 0


def test_senders_that_wait_are_refused_and_others_shed_when_it_is_full(tmp_path: Path) -> None:
    s = spool(tmp_path, max_bytes=18_500, reserved=0.2)
    assert s.append([batch(12, waits=True)])[0].refused == ""
    refused, shed = s.append([batch(5, waits=True), batch(5, unit="udp")])
    assert "its limit is" in refused.refused
    assert shed.shed == 5
    assert books(tmp_path) == {"u": (12, 0), "udp": (5, 5)}


def test_critical_sources_have_a_reserve_and_push_lower_ones_out(tmp_path: Path) -> None:
    s = spool(tmp_path, max_bytes=2_000_000, reserved=0.2)
    for _ in range(20):
        s.append([batch(200, unit="low", priority=LOW)])
    low = books(tmp_path)["low"]
    assert low[0] == 4000
    assert 0 < low[1] < 4000
    assert s.append([batch(200, unit="normal")])[0].shed == 200  # what may already be on its way is not shed
    assert s.append([batch(200, unit="critical", priority=CRITICAL)])[0].shed == 0  # the reserve


def test_lower_priorities_are_shed_first_and_counted_once(tmp_path: Path, bus: Any) -> None:
    s = spool(tmp_path, max_bytes=8_000_000, reserved=0.0)
    for _ in range(30):
        s.append([batch(200, unit="low", priority=LOW)])
    s.append([batch(3000, unit="normal")])
    received, shed = books(tmp_path)["low"]
    assert received == 6000
    assert shed > 0
    assert books(tmp_path)["normal"] == (3000, 0)
    while Forwarding(s, bus).turn():
        pass
    assert Counter(r.unit for r in bus.records()) == {"low": 6000 - shed, "normal": 3000}


def test_of_equal_priority_what_was_there_first_stays(tmp_path: Path, bus: Any) -> None:
    s = spool(tmp_path, max_bytes=8_000_000, reserved=0.0)
    s.append([batch(5000, unit="first"), batch(3000, unit="second")])
    assert books(tmp_path)["first"] == (5000, 0)
    assert books(tmp_path)["second"][1] > 0


def test_under_the_floor_of_free_disk_only_critical_sources_are_taken(tmp_path: Path) -> None:
    s = spool(tmp_path, min_free=1000, free=lambda folder: 700)
    taken = s.append([batch(1), batch(1, waits=True), batch(1, unit="c", priority=CRITICAL)])
    assert [(bool(o.refused), o.shed) for o in taken] == [(False, 1), (True, 0), (False, 0)]
    assert books(tmp_path) == {"u": (1, 1), "c": (1, 0)}
    s.close()
    s = spool(tmp_path, min_free=1000, free=lambda folder: 400)
    assert s.append([batch(1, unit="c", priority=CRITICAL)])[0].shed == 1


def test_a_request_again_within_ten_minutes_is_known_and_later_is_not(tmp_path: Path) -> None:
    moment = NOON
    s = Spool(tmp_path / "collect", now=lambda: moment)
    record = RawRecord("20261124-1", b"x", NOON)
    request = Batch("http", [record], key="body", keys=["id"])
    other = Batch("http", [record, record], key="other", keys=["id", ""])
    assert s.append([request])[0].known == set()
    moment += timedelta(minutes=9)
    assert [o.known for o in s.append([request, other])] == [{0}, {0}]
    moment += timedelta(minutes=12)
    assert s.append([request])[0].known == set()
    twice = Batch("http", [record, record], keys=["new", "new"])
    assert s.append([twice])[0].known == {1}
    assert books(tmp_path) == {"": (4, 0)}


def test_what_the_kernel_dropped_is_received_and_shed(tmp_path: Path) -> None:
    s = spool(tmp_path)
    s.lost("u", "s", NOON, 7)
    assert books(tmp_path) == {"u": (7, 7)}


def test_a_disk_that_takes_nothing_refuses_or_sheds_and_counts_when_it_does_again(tmp_path: Path) -> None:
    s = spool(tmp_path)
    s._db.execute("PRAGMA query_only = 1")  # every write fails, as on a full disk
    refused, shed = s.append([batch(1, waits=True), batch(2)])
    assert refused.refused
    assert shed.shed == 2
    assert s.used == 0
    s._db.execute("PRAGMA query_only = 0")
    s.append([batch(3)])
    assert books(tmp_path) == {"u": (5, 2)}


@settings(max_examples=25)
@given(
    batches=st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([LOW, NORMAL, CRITICAL]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
def test_received_is_forwarded_or_shed_to_the_record(
    batches: list[tuple[int, int, bool, bool]], new_bus: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("spool")
    s, bus = spool(tmp_path, max_bytes=40_000, reserved=0.3), new_bus()
    offered = 0
    for count, priority, waits, forwards in batches:
        (outcome,) = s.append([batch(count, priority=priority, waits=waits)])
        offered += 0 if outcome.refused else count
        if forwards:
            Forwarding(s, bus).turn()
    while Forwarding(s, bus).turn():
        pass
    received, shed = books(tmp_path).get("u", (0, 0))
    assert received == offered
    assert len(bus.records()) == received - shed
    assert s.used == 0
    s.close()
