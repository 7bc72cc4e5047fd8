"""Publishing to the real Kafka: topics that are missing, limits that change, producers that hang, several threads."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest
from kafka.admin import ConfigResource

from soc.bus.base import RAW, REJECTED, Delivery, Message, Subscription, TooLargeError
from soc.bus.kafka import KafkaBus
from soc.bus.kafka.limits import Limits, size
from soc.collect.wire import rejected_from_delivery
from soc.event import TransportError

from .conftest import until

pytestmark = pytest.mark.services

MakeBus = Callable[..., KafkaBus]


def drain(subscription: Subscription, count: int) -> list[Delivery]:
    out: list[Delivery] = []
    until(lambda: out.extend(subscription.poll(1_000, 0.1)) or len(out) >= count)  # type: ignore[func-returns-value]
    return out


def set_limit(bus: KafkaBus, topic: str, limit: int) -> None:
    resource = ConfigResource("TOPIC", f"{bus._prefix}{topic}", {"max.message.bytes": str(limit)})
    bus._administration.ask("setting a limit", lambda admin: admin.alter_configs([resource]))
    limits = Limits(bus._administration)
    assert until(lambda: abs(limits._ask(f"{bus._prefix}{topic}") - limit) < 1_000)  # the broker knows


def test_a_topic_that_does_not_exist_is_named_with_what_to_do_and_nothing_is_taken(make_bus: MakeBus) -> None:
    bus = make_bus()
    for _ in range(2):
        with pytest.raises(TransportError, match=r"topic .*soc\.nowhere does not exist.*soc topics apply"):
            bus.publish("soc.nowhere", [Message(b"k", b"v")])
    bus.flush()


def test_headers_count_in_what_a_topic_takes(make_bus: MakeBus) -> None:
    bus = make_bus()
    set_limit(bus, RAW, 20_000)
    headers = {f"header-{n}": b"x" * 190 for n in range(100)}
    with pytest.raises(TooLargeError):
        bus.publish(RAW, [Message(b"k", b"", headers)])
    with pytest.raises(TooLargeError) as refused:
        bus.publish(RAW, [Message(b"k", b"x" * 20_000)])
    bus.publish(RAW, [Message(b"", b"x" * refused.value.limit)])
    bus.flush()


def test_a_raised_limit_is_noticed(make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soc.bus.kafka.limits._LOOK_S", 0.0)
    bus = make_bus()
    set_limit(bus, RAW, 20_000)
    large = Message(b"k", b"x" * 50_000)
    with pytest.raises(TooLargeError):
        bus.publish(RAW, [large])
    set_limit(bus, RAW, 100_000)
    bus.publish(RAW, [large])
    bus.flush()


@pytest.mark.parametrize("room", [1_000_000, 20_000])
def test_a_record_that_its_topic_no_longer_takes_is_set_aside_with_its_reason_and_others_pass(
    make_bus: MakeBus, room: int
) -> None:
    bus = make_bus()
    bus.publish(RAW, [Message(b"k", b"first", {"id": b"0"})])  # the limit is known from here on
    bus.flush()
    set_limit(bus, RAW, 20_000)
    set_limit(bus, REJECTED, room)
    large = Message(b"k", random.Random(7).randbytes(50_000), {"id": b"1", "source": b"s"})  # cannot be compressed
    bus.publish(RAW, [Message(b"k", b"second"), large, Message(b"k", b"third")])
    until(lambda: flushed(bus))
    assert [d.value for d in drain(bus.subscribe(RAW, "g"), 3)] == [b"first", b"second", b"third"]
    (aside,) = drain(bus.subscribe(REJECTED, "aside"), 1)
    rejected = rejected_from_delivery(aside)
    assert (rejected.code, aside.key, aside.headers["id"]) == ("too_large", b"k", b"1")
    assert "soc.raw takes" in rejected.detail
    assert aside.value == (large.value if room > size(large) else large.value[:4_096])
    assert ("digest" in rejected.detail) == (room < size(large))


def flushed(bus: KafkaBus) -> bool:
    try:
        bus.flush()
    except TransportError:
        return False
    return True


def test_a_producer_that_hangs_is_replaced_and_nothing_is_lost(
    make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soc.bus.kafka.outbox._HANGS_S", 0.2)
    monkeypatch.setattr("soc.bus.kafka.outbox._STOP_S", 0.2)
    bus, released = make_bus(wait_s=0.5), threading.Event()
    bus.publish(RAW, [Message(b"k", b"0")])
    bus.flush()
    bus._outbox._producer._sender.run_once = lambda: released.wait(20)
    bus.publish(RAW, [Message(b"k", b"%d" % n) for n in range(1, 50)])
    assert until(lambda: flushed(bus))
    assert [d.value for d in drain(bus.subscribe(RAW, "g"), 50)] == [b"%d" % n for n in range(50)]
    released.set()


def test_a_producer_that_has_ended_is_replaced_and_nothing_is_lost(make_bus: MakeBus) -> None:
    bus = make_bus()
    bus.publish(RAW, [Message(b"k", b"0")])
    bus._outbox._producer._sender.force_close()
    bus.publish(RAW, [Message(b"k", b"%d" % n) for n in range(1, 50)])
    assert until(lambda: flushed(bus))
    values = [d.value for d in drain(bus.subscribe(RAW, "g"), 50)]
    assert list(dict.fromkeys(values)) == [b"%d" % n for n in range(50)]


def test_threads_publish_and_flush_side_by_side(make_bus: MakeBus) -> None:
    bus = make_bus(max_unflushed_records=500)

    def work(name: int) -> None:
        for n in range(20):
            bus.publish(RAW, [Message(b"%d" % name, b"%d" % (n * 50 + i)) for i in range(50)])
            if n % 5 == 0:
                bus.flush()
        bus.flush()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = drain(bus.subscribe(RAW, "g"), 4_000)
    for name in range(4):
        assert [int(d.value) for d in read if d.key == b"%d" % name] == list(range(1_000))


def test_a_call_larger_than_the_bound_is_taken_alone(make_bus: MakeBus) -> None:
    bus = make_bus(max_unflushed_records=10)
    bus.publish(RAW, [Message(b"k", b"%d" % n) for n in range(100)])
    bus.publish(RAW, [Message(b"k", b"%d" % n) for n in range(100, 200)])
    bus.flush()
    assert sum(bus.end_offsets(RAW).values()) == 200
