"""Members of a group on the real Kafka: expelled, torn between two topics, asked to commit while partitions move."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from kafka import KafkaProducer

from soc.bus.base import RAW, REJECTED, Delivery, Message, Subscription
from soc.bus.kafka import KafkaBus
from soc.bus.kafka.access import Cluster
from soc.bus.kafka.administration import admin_of
from soc.event import TransportError

from .conftest import PARTITIONS, until

pytestmark = pytest.mark.services

MakeBus = Callable[..., KafkaBus]


def messages(count: int, start: int = 0) -> list[Message]:
    return [Message(b"key-%d" % (n % 20), b"%d" % n) for n in range(start, start + count)]


def send(bus: KafkaBus, sent: list[Message], topic: str = RAW) -> None:
    bus.publish(topic, sent)
    bus.flush()


def drain(subscription: Subscription, count: int, deadline_s: float = 20) -> list[Delivery]:
    out: list[Delivery] = []
    until(lambda: out.extend(subscription.poll(100, 0.1)) or len(out) >= count, deadline_s)  # type: ignore[func-returns-value]
    return out


def numbers(deliveries: list[Delivery]) -> list[int]:
    return sorted(int(d.value) for d in deliveries)


def expel(bus: KafkaBus, group: str) -> None:
    """Have the group part with all its members, as it does with those whose session has expired."""
    physical = f"{bus._prefix}soc.{group}"

    def members(admin: object) -> list[object]:
        from kafka.admin import MemberToRemove

        (told,) = admin.describe_groups([physical]).values()  # type: ignore[attr-defined]
        return [MemberToRemove(member_id=m["member_id"]) for m in told["members"]]

    bus._administration.ask("expelling", lambda admin: admin.remove_group_members(physical, members(admin)))


def test_an_expelled_member_is_told_at_commit_and_reads_again_what_it_had_not_committed(make_bus: MakeBus) -> None:
    bus, told = make_bus(), []
    send(bus, messages(200))
    subscription = bus.subscribe(
        RAW, "g", on_assigned=lambda p: told.append(("+", p)), on_revoked=lambda p: told.append(("-", p))
    )
    drain(subscription, 200)
    subscription.commit()
    send(bus, messages(100, start=200))
    assert numbers(drain(subscription, 100)) == list(range(200, 300))
    expel(bus, "g")
    with pytest.raises(TransportError, match="given up on this member"):
        subscription.commit()
    subscription.commit()  # nothing is held any more, so there is nothing to commit
    # one long poll: it loses its partitions, has them back and fetches in a single round
    again = subscription.poll(1_000, 20)
    again += drain(subscription, 100 - len(again))
    assert numbers(again) == list(range(200, 300))
    everything = frozenset(range(PARTITIONS))
    assert told == [("+", everything), ("-", everything), ("+", everything)]
    subscription.commit()
    assert bus.lag(RAW, "g") == 0


def test_a_commit_for_partitions_that_others_hold_by_now_changes_nothing(make_bus: MakeBus) -> None:
    bus, other = make_bus(), make_bus()
    send(bus, messages(200))
    late = bus.subscribe(RAW, "g")
    drain(late, 200)
    expel(bus, "g")
    successor = other.subscribe(RAW, "g")
    assert len(successor.poll(50, 20)) <= 50
    successor.commit()
    before = bus.committed(RAW, "g")
    with pytest.raises(TransportError):
        late.commit()
    late.commit()
    assert bus.committed(RAW, "g") == before


def test_a_callback_that_fails_is_called_again_and_no_record_is_passed_over(make_bus: MakeBus) -> None:
    bus, calls = make_bus(), []

    def assigned(partitions: frozenset[int]) -> None:
        calls.append(partitions)
        if len(calls) < 3:
            raise TransportError("the store does not answer")

    send(bus, messages(100))
    subscription = bus.subscribe(RAW, "g", on_assigned=assigned)
    for _ in range(2):
        with pytest.raises(TransportError, match="the store"):
            until(lambda: subscription.poll(10, 1.0) == ["never"])
    assert numbers(drain(subscription, 100)) == list(range(100))
    assert calls == [frozenset(range(PARTITIONS))] * 3


def test_what_was_read_before_a_rebalance_is_committed_while_it_lasts(make_bus: MakeBus) -> None:
    bus, other = make_bus(), make_bus()
    send(bus, messages(100))
    one = bus.subscribe(RAW, "g", member="one")
    drain(one, 100)
    two = other.subscribe(RAW, "g", member="two")
    joining = threading.Event()

    def join() -> None:
        while not joining.is_set():
            two.poll(10, 0.1)

    thread = threading.Thread(target=join)
    thread.start()
    try:
        state = "<rebalancing>"
        assert until(lambda: one.poll(10, 0.0) == [] and one._member._consumer.group_metadata().state == state)
        one.commit()
        assert bus.lag(RAW, "g") == 0
    finally:
        joining.set()
        thread.join()


def test_partitions_that_a_rebalance_cut_short_has_left_to_nobody_are_shared_out(
    make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder gives half of them up, and loses its connection before it can start the round that hands them on."""
    monkeypatch.setattr("soc.bus.kafka.shares.LOOK_S", 1.0)
    bus, other = make_bus(), make_bus()
    send(bus, messages(100))
    one = bus.subscribe(RAW, "g", member="one")
    drain(one, 100)
    one.commit()
    two = other.subscribe(RAW, "g", member="two")
    assert until(lambda: two.poll(10, 0.1) == [] and one.poll(10, 0.1) == [] and len(one.assigned()) < PARTITIONS)
    one._member.drop()
    one.poll(10, 0.0)
    send(bus, messages(100, start=100))
    read: list[Delivery] = []

    def everything() -> bool:
        for subscription in (one, two):
            read.extend(subscription.poll(100, 0.1))
            subscription.commit()
        return len({d.value for d in read}) == 100

    assert until(everything, 30)
    assert one.assigned() | two.assigned() == frozenset(range(PARTITIONS))
    assert two.assigned()


def test_two_topics_in_one_thread_are_both_read_by_workers_that_come_and_go(make_bus: MakeBus) -> None:
    """As the detect worker does: the second topic is polled without waiting."""
    bus = make_bus()
    read: dict[str, list[Delivery]] = {RAW: [], REJECTED: []}
    stops = [threading.Event() for _ in range(2)]

    def work(name: str, stop: threading.Event) -> None:
        mine = make_bus()
        raw = mine.subscribe(RAW, "detect", member=name)
        rejected = mine.subscribe(REJECTED, "aside", member=name)
        while not stop.is_set():
            for subscription, topic, wait_s in ((raw, RAW, 0.5), (rejected, REJECTED, 0.0)):
                if found := subscription.poll(200, wait_s):
                    read[topic] += found
                    subscription.commit()
        raw.close()
        rejected.close()

    def everything(count: int) -> bool:
        return all(len({d.value for d in read[topic]}) == count for topic in read)

    threads = [threading.Thread(target=work, args=(f"w{n}", stop)) for n, stop in enumerate(stops)]
    for topic in read:
        send(bus, messages(300), topic)
    threads[0].start()
    assert until(lambda: everything(300), 15)
    threads[1].start()
    for step in range(1, 4):
        for topic in read:
            send(bus, messages(100, start=200 + step * 100), topic)
        assert until(lambda step=step: everything(300 + step * 100), 15)  # type: ignore[misc]
    stops[0].set()
    threads[0].join()
    for topic in read:
        send(bus, messages(100, start=600), topic)
    assert until(lambda: everything(700), 15)
    stops[1].set()
    threads[1].join()
    assert bus.lag(RAW, "detect") == bus.lag(REJECTED, "aside") == 0


def test_new_partitions_are_read_from_their_beginning(make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soc.bus.kafka.access._METADATA_MS", 500)
    bus = make_bus()
    send(bus, messages(10))
    subscription = bus.subscribe(RAW, "g", member="one")
    drain(subscription, 10)
    with admin_of(bus._administration.cluster) as admin:
        admin.create_partitions({f"{bus._prefix}{RAW}": PARTITIONS * 2})
    late = make_bus()
    send(late, [Message(b"key-%d" % n, b"%d" % n) for n in range(10, 110)])
    read = drain(subscription, 100)
    assert numbers(read) == list(range(10, 110))
    assert max(d.partition for d in read) >= PARTITIONS


def test_whatever_a_foreign_shipper_writes_is_read(make_bus: MakeBus) -> None:
    class Odd(str):
        """A header's name that is not UTF-8: kafka-python's producer encodes names by their own method."""

        def encode(self, *_: object) -> bytes:  # type: ignore[override]
            return b"\xff\xfe!"

    bus = make_bus()
    address = list(bus._administration.cluster.bootstrap)
    producer = KafkaProducer(bootstrap_servers=address, linger_ms=50, compression_type="zstd")
    topic = f"{bus._prefix}{RAW}"
    producer.send(topic, b"no key", None, [("empty", b""), ("twice", b"1"), ("twice", b"2")], 0)
    producer.send(topic, None, b"no value", [], 0)
    producer.send(topic, b"odd name", b"k", [(Odd("x"), b"v"), ("id", b"1")], 0)
    producer.send(topic, b"after" * 500, b"k", [], 0)  # worth compressing: the broker keeps such a batch as it is
    producer.close()
    producer = KafkaProducer(bootstrap_servers=address, compression_type="gzip")  # the topic makes zstd of it
    producer.send(topic, b"gzip" * 500, b"k", [], 0)
    producer.close()
    subscription = bus.subscribe(RAW, "g")
    read = drain(subscription, 5)
    assert [(d.key, d.value, dict(d.headers)) for d in read] == [
        (b"", b"no key", {"empty": b"", "twice": b"2"}),
        (b"no value", b"", {}),
        (b"k", b"odd name", {"??!": b"v", "id": b"1"}),
        (b"k", b"after" * 500, {}),
        (b"k", b"gzip" * 500, {}),
    ]
    subscription.commit()
    assert bus.lag(RAW, "g") == 0


def test_a_subscription_to_a_topic_that_does_not_exist_says_what_to_do(make_bus: MakeBus) -> None:
    subscription = make_bus().subscribe("soc.nowhere", "g")
    with pytest.raises(TransportError, match=r"topic .*soc\.nowhere does not exist.*soc topics apply"):
        subscription.poll(1, 0)


def test_a_broker_that_is_not_there_is_named_within_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soc.bus.kafka.access.BOOTSTRAP_S", 0.5)
    bus = KafkaBus(["127.0.0.1:9"])
    begin = time.monotonic()
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:9.*refused"):
        bus.subscribe(RAW, "g").poll(1, 0)
    assert time.monotonic() - begin < 5
    bus.close()


def test_trying_in_vain_leaves_no_threads_behind(make_bus: MakeBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soc.bus.kafka.access.BOOTSTRAP_S", 0.2)
    reachable, bus = make_bus(), KafkaBus(["127.0.0.1:9"], wait_s=0.2)
    bus._administration.partitions = reachable._administration.partitions  # type: ignore[method-assign]
    bus._outbox._limits.limit = lambda _topic, _wanted=0: 1_000_000  # type: ignore[method-assign]
    before = threading.active_count()
    subscription = bus.subscribe(f"{reachable._prefix}{RAW}", "g")
    for call in (lambda: subscription.poll(1, 0), lambda: bus.publish(RAW, messages(1)), lambda: bus.lag(RAW, "g")):
        for _ in range(2):
            with pytest.raises(TransportError):
                call()
    reachable._administration.close()
    assert threading.active_count() <= before


def test_member_names_of_any_characters_are_told_apart(make_bus: MakeBus) -> None:
    bus = make_bus()
    names = ["trạm 1", "trạm 2", "a_b", "a b", "a/b"]
    subscriptions = [bus.subscribe(RAW, "g", member=name) for name in names]

    def settled() -> bool:
        for subscription in subscriptions:
            subscription.poll(1, 0.02)
        return sum(len(s.assigned()) for s in subscriptions) == PARTITIONS

    assert until(settled)


def test_the_cluster_is_said_in_full(kafka: str) -> None:
    assert str(Cluster(["a.example:9092", "b.example:9092"])) == "a.example:9092, b.example:9092"
