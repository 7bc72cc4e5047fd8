"""A broker that stops, dies or stands still under load: nothing is lost, keys keep their order, nobody restarts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soc.bus.base import RAW, Message
from soc.bus.kafka import KafkaBus
from soc.event import TransportError

from .conftest import SESSION_TIMEOUT_S, Broker, make_topics, until

pytestmark = pytest.mark.services

KEYS = 40


class Load:
    """A publisher and a reader, each with a bus and a thread of its own, until told to end."""

    def __init__(self, bootstrap: str) -> None:
        prefix = make_topics(bootstrap)
        self.buses = [
            KafkaBus([bootstrap], prefix=prefix, session_timeout_s=SESSION_TIMEOUT_S, wait_s=3.0) for _ in range(2)
        ]
        self.sent = 0  # flushed
        self.read: list[tuple[bytes, int]] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._publish, self._consume)]

    def _patiently(self, call: Callable[[], object]) -> None:
        while True:
            try:
                call()
                return
            except TransportError as broken:
                self.failures.append(str(broken))
                self._stop.wait(0.1)

    def _publish(self) -> None:
        bus = self.buses[0]
        while not self._stop.wait(0.02):
            numbers = range(self.sent, self.sent + 100)
            batch = [Message(b"key-%d" % (n % KEYS), b"%d" % n + b" " * 400) for n in numbers]
            self._patiently(lambda batch=batch: bus.publish(RAW, batch))  # type: ignore[misc]
            self._patiently(bus.flush)
            self.sent += len(batch)

    def _consume(self) -> None:
        subscription = self.buses[1].subscribe(RAW, "load", member="reader")
        while self._threads[0].is_alive() or len({n for _, n in self.read}) < self.sent:
            found = []
            self._patiently(lambda: found.extend(subscription.poll(1_000, 0.2)))  # noqa: B023
            self.read += [(d.key, int(d.value)) for d in found]
            if found:
                self._patiently(subscription.commit)

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(40)
            for bus in self.buses:
                bus.close()
        assert not any(thread.is_alive() for thread in self._threads)


def stopped(broker: Broker) -> None:
    broker.stop()
    broker.start()


def killed(broker: Broker) -> None:
    broker.kill()
    broker.start()


def frozen(broker: Broker) -> None:
    """For longer than the session lasts."""
    broker.freeze()
    time.sleep(SESSION_TIMEOUT_S + 2)  # the fault itself
    broker.thaw()


@pytest.mark.parametrize("fault", [stopped, killed, frozen])
def test_nothing_is_lost_and_keys_keep_their_order_through(fault: Callable[[Broker], None], own_broker: Broker) -> None:
    load = Load(own_broker.bootstrap)
    with load.running():
        assert until(lambda: len(load.read) > 500)
        fault(own_broker)
        before = load.sent, len(load.read)
        assert until(lambda: load.sent > before[0] + 500 and len(load.read) > before[1] + 500)
    first_seen = dict.fromkeys(load.read)
    assert sorted(n for _, n in first_seen) == list(range(load.sent))
    for k in range(KEYS):
        mine = [n for key, n in first_seen if key == b"key-%d" % k]
        assert mine == sorted(mine)
    assert not [failure for failure in load.failures if "None" in failure or len(failure) < 40]  # sentences


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_stays_flat_while_the_broker_is_away_and_all_that_was_taken_arrives(own_broker: Broker) -> None:
    bus = KafkaBus([own_broker.bootstrap], prefix=make_topics(own_broker.bootstrap), wait_s=0.1)

    def batch() -> list[Message]:
        return [Message(b"%d" % n, os.urandom(800), {"id": b"x" * 33}) for n in range(500)]

    bus.publish(RAW, batch())
    bus.flush()
    taken, refused, at_bound = 500, 0, 0.0
    own_broker.freeze()
    try:
        while refused < 40:
            try:
                bus.publish(RAW, batch())
                taken += 500
            except TransportError as full:
                assert "no room" in str(full)
                refused += 1
                at_bound = at_bound or resident_mb()
        assert 18_000 < taken <= 20_500
        assert resident_mb() < at_bound + 5
    finally:
        own_broker.thaw()
    assert until(lambda: flushed(bus))
    assert sum(bus.end_offsets(RAW).values()) == taken
    bus.close()


def flushed(bus: KafkaBus) -> bool:
    try:
        bus.flush()
    except TransportError:
        return False
    return True
