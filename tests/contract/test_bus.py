"""What every bus must do. A new implementation adds a Backend to BACKENDS; nothing else here knows which one runs.

Also a program: `python test_bus.py ROLE SPEC…` is the other process that the tests kill.
"""

from __future__ import annotations

import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from soc.bus.base import REJECTED, Bus, Delivery, Message, Subscription, TooLargeError
from soc.bus.sqlite import SqliteBus
from soc.event import TransportError

TOPIC = "soc.contract"
PARTITIONS = 4
#: By backend; a server's is longer than what a busy machine takes for its answers.
SESSION_TIMEOUT_S = {"sqlite": 1.0, "kafka": 3.0}
MAX_UNFLUSHED_BYTES = 100_000
MAX_MESSAGE_BYTES = 50_000


def open_sqlite(spec: dict[str, Any]) -> Bus:
    return SqliteBus(
        Path(spec["folder"]),
        PARTITIONS,
        MAX_UNFLUSHED_BYTES,
        session_timeout_s=SESSION_TIMEOUT_S["sqlite"],
        max_backlog_bytes={},
        max_message_bytes=MAX_MESSAGE_BYTES,
    )


def open_kafka(spec: dict[str, Any]) -> Bus:
    from soc.bus.kafka import KafkaBus

    return KafkaBus(
        [spec["bootstrap"]],
        prefix=spec["prefix"],
        max_unflushed_bytes=MAX_UNFLUSHED_BYTES,
        session_timeout_s=SESSION_TIMEOUT_S["kafka"],
    )


#: name → opens a bus from a JSON-able spec.
BACKENDS: dict[str, Callable[[dict[str, Any]], Bus]] = {"sqlite": open_sqlite, "kafka": open_kafka}
#: Backends that are servers, of which every test has its own topics.
SERVICES = {"kafka"}


class Backend:
    """One bus under test, opened as often as needed, by this process and by others."""

    def __init__(self, name: str, **spec: str) -> None:
        self.spec = {"backend": name, **spec}
        self.opened: list[Bus] = []

    def open(self) -> Bus:
        self.opened.append(BACKENDS[self.spec["backend"]](self.spec))
        return self.opened[-1]

    @contextmanager
    def process(self, role: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, __file__, role, json.dumps(self.spec), *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            try:
                yield child
            finally:
                child.kill()


PARAMETERS = [pytest.param(n, marks=[pytest.mark.services] if n in SERVICES else []) for n in sorted(BACKENDS)]


@pytest.fixture(params=PARAMETERS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "kafka":
        made = Backend("kafka", **kafka_topics(request.getfixturevalue("kafka")))
    else:
        made = Backend(request.param, folder=str(tmp_path))
    yield made
    for bus in made.opened:
        bus.close()


def kafka_topics(bootstrap: str) -> dict[str, str]:
    """Topics of our own: the one that is tested, and the one for what is refused."""
    from soc.bus.kafka.access import Cluster
    from soc.bus.kafka.administration import admin_of

    prefix = f"contract-{secrets.token_hex(6)}."
    config = {
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "zstd",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
    }
    topic = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": config}
    with admin_of(Cluster([bootstrap])) as admin:
        admin.create_topics({f"{prefix}{name}": topic for name in (TOPIC, REJECTED)}, wait_for_metadata=True)
    return {"bootstrap": bootstrap, "prefix": prefix}


@pytest.fixture
def bus(backend: Backend) -> Bus:
    return backend.open()


# ---------------------------------------------------------------- helpers


def messages(count: int, keys: int = 8, start: int = 0) -> list[Message]:
    return [Message(b"key-%d" % (i % keys), b"%d" % i) for i in range(start, start + count)]


def send(bus: Bus, sent: list[Message]) -> None:
    bus.publish(TOPIC, sent)
    bus.flush()


def drain(subscription: Subscription, count: int, deadline_s: float = 20) -> list[Delivery]:
    """Polls until `count` deliveries are there."""
    out: list[Delivery] = []
    end = time.monotonic() + deadline_s
    while len(out) < count and time.monotonic() < end:
        out += subscription.poll(100, 0.05)
    return out


def values(deliveries: list[Delivery]) -> list[int]:
    return sorted(int(d.value) for d in deliveries)


def until(condition: Callable[[], bool], deadline_s: float = 20) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
    return True


# ---------------------------------------------------------------- records


def test_records_come_back_exactly_as_published(bus: Bus) -> None:
    before = datetime.now(UTC)
    message = Message(
        bytes(range(256)), b"\x00\xff\r\n" * 3, {"id": b"\xff\x00", "nguồn": "Hà Nội".encode(), "leer": b""}
    )
    send(bus, [message, Message(b"", b"")])
    full, empty = sorted(drain(bus.subscribe(TOPIC, "g"), 2), key=lambda d: -len(d.value))
    assert (full.key, full.value, dict(full.headers)) == (message.key, message.value, dict(message.headers))
    assert (empty.key, empty.value, dict(empty.headers)) == (b"", b"", {})
    assert full.topic == TOPIC
    assert before.replace(microsecond=0) <= full.published <= datetime.now(UTC)


def test_records_of_a_key_keep_their_order(bus: Bus) -> None:
    for start in range(0, 600, 50):
        send(bus, messages(50, keys=7, start=start))
    read = drain(bus.subscribe(TOPIC, "g"), 600)
    for k in range(7):
        mine = [int(d.value) for d in read if d.key == b"key-%d" % k]
        assert mine == [i for i in range(600) if i % 7 == k]


def test_a_key_has_one_partition_whichever_process_publishes(backend: Backend) -> None:
    with backend.process("publish_once") as child:
        assert child.wait(30) == 0
    bus = backend.open()
    send(bus, messages(40, keys=20))
    seen: dict[bytes, set[int]] = {}
    for d in drain(bus.subscribe(TOPIC, "g"), 80):
        seen.setdefault(d.key, set()).add(d.partition)
    assert len(seen) == 20
    assert all(len(partitions) == 1 for partitions in seen.values())


def test_keys_spread_over_all_partitions(bus: Bus) -> None:
    send(bus, messages(400, keys=400))
    assert {d.partition for d in drain(bus.subscribe(TOPIC, "g"), 400)} == set(range(PARTITIONS))


def test_offsets_of_a_partition_have_no_gap_and_end_where_end_offsets_say(bus: Bus) -> None:
    send(bus, messages(100))
    send(bus, messages(100))
    offsets: dict[int, list[int]] = {p: [] for p in range(PARTITIONS)}
    for d in drain(bus.subscribe(TOPIC, "g"), 200):
        offsets[d.partition].append(d.offset)
    assert offsets == {p: list(range(end)) for p, end in bus.end_offsets(TOPIC).items()}


def test_poll_returns_no_more_than_asked(bus: Bus) -> None:
    send(bus, messages(50))
    subscription = bus.subscribe(TOPIC, "g")
    assert 1 <= len(subscription.poll(7, 5)) <= 7


def test_poll_without_records_returns_empty_after_its_timeout(bus: Bus) -> None:
    subscription = bus.subscribe(TOPIC, "g")
    subscription.poll(1, 0)
    begin = time.monotonic()
    assert subscription.poll(10, 0.2) == []
    assert 0.15 <= time.monotonic() - begin < 5


def test_a_waiting_poll_returns_as_soon_as_records_are_there(backend: Backend) -> None:
    bus, other = backend.open(), backend.open()
    subscription = bus.subscribe(TOPIC, "g")
    subscription.poll(1, 0.05)
    threading.Timer(0.2, lambda: send(other, messages(1))).start()
    begin = time.monotonic()
    assert values(subscription.poll(10, 30)) == [0]
    assert time.monotonic() - begin < 10


def test_flushed_records_outlive_a_killed_publisher(backend: Backend) -> None:
    with backend.process("publish_forever") as child:
        assert child.stdout is not None
        acknowledged = 0
        while acknowledged < 300:
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        acknowledged = int((child.stdout.read().split() or [str(acknowledged)])[-1])
    bus = backend.open()
    stored = sum(bus.end_offsets(TOPIC).values())
    assert stored >= acknowledged
    assert values(drain(bus.subscribe(TOPIC, "g"), stored)) == list(range(stored))


def test_publishing_beyond_the_bound_does_not_pile_up_in_memory(bus: Bus) -> None:
    for i in range(50):
        bus.publish(TOPIC, [Message(b"%d" % i, b"x" * 10_000)])
    taken = sum(bus.end_offsets(TOPIC).values())
    assert taken * 10_000 >= 50 * 10_000 - MAX_UNFLUSHED_BYTES
    bus.flush()
    assert sum(bus.end_offsets(TOPIC).values()) == 50


def test_a_message_that_is_too_large_stops_its_call_and_nothing_else(bus: Bus) -> None:
    small, large = messages(3), Message(b"key", b"x" * (MAX_MESSAGE_BYTES + 1))
    send(bus, messages(1, start=10))
    with pytest.raises(TooLargeError) as refused:
        bus.publish(TOPIC, [small[0], large, small[1], large, small[2]])
    assert refused.value.at == [1, 3]
    assert refused.value.limit <= MAX_MESSAGE_BYTES
    bus.flush()
    assert sum(bus.end_offsets(TOPIC).values()) == 1
    send(bus, small)
    assert values(drain(bus.subscribe(TOPIC, "g"), 4)) == [0, 1, 2, 10]


def test_the_largest_message_that_is_taken_comes_back(bus: Bus) -> None:
    with pytest.raises(TooLargeError) as refused:
        bus.publish(TOPIC, [Message(b"", b"x" * (MAX_MESSAGE_BYTES + 1))])
    size = refused.value.limit - 1_000  # room for key and headers, however they are counted
    message = Message(b"key", secrets.token_bytes(size), {"id": b"1"})  # cannot be compressed
    send(bus, [message])
    (read,) = drain(bus.subscribe(TOPIC, "g"), 1)
    assert read.value == message.value


# ---------------------------------------------------------------- groups


def test_a_new_group_starts_at_the_oldest_record(bus: Bus) -> None:
    send(bus, messages(10))
    assert values(drain(bus.subscribe(TOPIC, "late"), 10)) == list(range(10))


def test_groups_read_independently(bus: Bus) -> None:
    send(bus, messages(10))
    one, two = bus.subscribe(TOPIC, "one"), bus.subscribe(TOPIC, "two")
    assert values(drain(one, 10)) == list(range(10))
    one.commit()
    assert values(drain(two, 10)) == list(range(10))


def test_a_group_reads_several_topics_and_a_member_name_is_of_one_of_them(bus: Bus) -> None:
    send(bus, messages(10))
    bus.publish(REJECTED, messages(5, start=100))
    bus.flush()
    one, two = bus.subscribe(TOPIC, "g", member="same"), bus.subscribe(REJECTED, "g", member="same")
    read: list[Delivery] = []

    def settled() -> bool:
        for subscription in (one, two):
            if found := subscription.poll(100, 0.05):
                read.extend(found)
                subscription.commit()
        return len(read) >= 15

    assert until(settled)
    assert values(read) == [*range(10), *range(100, 105)]
    assert {d.topic for d in read if int(d.value) >= 100} == {REJECTED}
    assert (bus.lag(TOPIC, "g"), bus.lag(REJECTED, "g")) == (0, 0)


def test_polling_without_waiting_gets_there(bus: Bus) -> None:
    send(bus, messages(10))
    subscription = bus.subscribe(TOPIC, "g")
    read: list[Delivery] = []
    assert until(lambda: read.extend(subscription.poll(100, 0)) or len(read) == 10)  # type: ignore[func-returns-value]


def test_committed_records_are_not_read_again(bus: Bus) -> None:
    send(bus, messages(20))
    first = bus.subscribe(TOPIC, "g")
    drain(first, 20)
    first.commit()
    first.close()
    send(bus, messages(5, start=20))
    assert values(drain(bus.subscribe(TOPIC, "g"), 5)) == list(range(20, 25))


def test_uncommitted_records_are_read_again(bus: Bus) -> None:
    send(bus, messages(20))
    first = bus.subscribe(TOPIC, "g")
    assert len(drain(first, 20)) == 20
    first.close()
    assert values(drain(bus.subscribe(TOPIC, "g"), 20)) == list(range(20))


def test_what_a_killed_member_did_not_commit_is_read_by_another(backend: Backend) -> None:
    bus = backend.open()
    send(bus, messages(100))
    with backend.process("read_commit_read") as child:
        assert child.stdout is not None
        done = set(map(int, child.stdout.readline().split()))  # what it has committed
        child.stdout.readline()  # it has read more
        child.send_signal(signal.SIGKILL)
    survivor = bus.subscribe(TOPIC, "g")
    left = drain(survivor, 100 - len(done))
    assert 0 < len(done) < 100
    assert values(left) == sorted(set(range(100)) - done)
    survivor.commit()
    assert bus.lag(TOPIC, "g") == 0


def test_members_share_the_partitions_and_read_each_record_once(bus: Bus) -> None:
    one, two = bus.subscribe(TOPIC, "g", member="one"), bus.subscribe(TOPIC, "g", member="two")
    read: dict[str, list[Delivery]] = {"one": [], "two": []}

    def settled() -> bool:
        read["one"] += one.poll(100, 0.01)
        read["two"] += two.poll(100, 0.01)
        return len(one.assigned()) == len(two.assigned()) == PARTITIONS // 2

    assert until(settled)
    assert one.assigned() | two.assigned() == frozenset(range(PARTITIONS))
    send(bus, messages(200, keys=100))
    assert until(lambda: settled() and len(read["one"]) + len(read["two"]) >= 200)
    assert values(read["one"] + read["two"]) == list(range(200))
    assert {d.partition for d in read["one"]} == one.assigned()


def test_a_leaver_hands_over_at_once(bus: Bus) -> None:
    one, two = bus.subscribe(TOPIC, "g"), bus.subscribe(TOPIC, "g")
    one.poll(1, 0.01)
    one.close()
    assert until(lambda: two.poll(1, 0.01) == [] and len(two.assigned()) == PARTITIONS)


def test_a_member_with_a_name_hands_over_at_once_when_it_leaves(backend: Backend) -> None:
    one = backend.open().subscribe(TOPIC, "g", member="one")
    assert until(lambda: one.poll(1, 0.05) == [] and len(one.assigned()) == PARTITIONS)
    one.close()
    begin = time.monotonic()
    two = backend.open().subscribe(TOPIC, "g", member="two")
    assert until(lambda: two.poll(1, 0.05) == [] and len(two.assigned()) == PARTITIONS)
    assert time.monotonic() - begin < SESSION_TIMEOUT_S[backend.spec["backend"]] * 0.9


def test_changes_are_told_within_poll_losses_before_gains_and_a_commit_still_counts(backend: Backend) -> None:
    bus, other = backend.open(), backend.open()
    told: list[tuple[str, frozenset[int]]] = []

    def revoked(partitions: frozenset[int]) -> None:
        told.append(("revoked", partitions))
        assert partitions <= one.assigned()
        one.commit()

    one = bus.subscribe(
        TOPIC, "g", member="one", on_assigned=lambda p: told.append(("assigned", p)), on_revoked=revoked
    )
    assert told == []
    assert until(lambda: one.poll(1, 0.01) == [] and len(one.assigned()) == PARTITIONS)
    send(bus, messages(100))
    assert len(drain(one, 100)) == 100
    two = other.subscribe(TOPIC, "g", member="two")
    got: list[Delivery] = []

    def settled() -> bool:
        got.extend(one.poll(100, 0.01))
        got.extend(two.poll(100, 0.01))
        return len(one.assigned()) == len(two.assigned()) == PARTITIONS // 2

    assert until(settled)
    kinds = [kind for kind, _ in told]
    assert kinds.index("assigned") < kinds.index("revoked")
    assert frozenset().union(*(p for kind, p in told if kind == "revoked")) >= two.assigned()
    assert got == []  # committed when it was revoked, so not read again


def test_a_static_member_has_its_partitions_back_at_once(backend: Backend) -> None:
    bus = backend.open()
    send(bus, messages(100))
    with backend.process("read_commit_read", "worker-1") as child:
        assert child.stdout is not None
        done = set(map(int, child.stdout.readline().split()))
        child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        begin = time.monotonic()
        again = bus.subscribe(TOPIC, "g", member="worker-1")
        left = drain(again, 100 - len(done))
    assert values(left) == sorted(set(range(100)) - done)
    assert time.monotonic() - begin < SESSION_TIMEOUT_S[backend.spec["backend"]] * 0.9


def test_the_elder_of_two_members_of_one_name_is_told_so(backend: Backend) -> None:
    elder = backend.open().subscribe(TOPIC, "g", member="same")
    assert until(lambda: elder.poll(1, 0.01) == [] and len(elder.assigned()) == PARTITIONS)
    younger = backend.open().subscribe(TOPIC, "g", member="same")
    with pytest.raises(TransportError, match="same"):
        until(lambda: younger.poll(1, 0.01) + elder.poll(1, 0.01) == ["never"])
    assert until(lambda: younger.poll(1, 0.01) == [] and younger.assigned() == frozenset(range(PARTITIONS)))


# ---------------------------------------------------------------- positions


def test_seek_reads_on_from_there(bus: Bus) -> None:
    send(bus, messages(50, keys=1))
    subscription = bus.subscribe(TOPIC, "g")
    partition = drain(subscription, 50)[0].partition
    assert subscription.position(partition) == 50
    subscription.seek(partition, 47)
    assert subscription.position(partition) == 47
    assert values(drain(subscription, 3)) == [47, 48, 49]


def test_seek_within_on_assigned_counts(bus: Bus) -> None:
    send(bus, messages(40, keys=40))
    ends = bus.end_offsets(TOPIC)

    def assigned(partitions: frozenset[int]) -> None:
        for p in partitions:
            subscription.seek(p, ends[p] - 1)

    subscription = bus.subscribe(TOPIC, "g", on_assigned=assigned)
    assert len(drain(subscription, PARTITIONS)) == PARTITIONS
    assert subscription.poll(10, 0.05) == []


def test_seek_time_finds_the_first_record_published_at_or_after_the_moment(bus: Bus) -> None:
    send(bus, messages(20))
    marker = datetime.now(UTC)
    assert until(lambda: datetime.now(UTC).timestamp() > marker.timestamp() + 0.02)
    send(bus, messages(20, start=20))
    subscription = bus.subscribe(TOPIC, "g")
    first = drain(subscription, 40)
    later = min(d.published for d in first if int(d.value) >= 20)
    subscription.seek_time(later)
    assert values(drain(subscription, 20)) == list(range(20, 40))
    subscription.seek_time(datetime(2000, 1, 1, tzinfo=UTC))
    assert values(drain(subscription, 40)) == list(range(40))
    subscription.seek_time(datetime(2100, 1, 1, tzinfo=UTC))
    assert subscription.poll(10, 0.05) == []


def test_lag_counts_what_is_published_and_not_committed(bus: Bus) -> None:
    assert bus.lag(TOPIC, "g") == 0
    send(bus, messages(30))
    assert bus.lag(TOPIC, "g") == 30
    subscription = bus.subscribe(TOPIC, "g")
    drain(subscription, 30)
    assert bus.lag(TOPIC, "g") == 30
    subscription.commit()
    assert bus.lag(TOPIC, "g") == 0
    send(bus, messages(3))
    assert (bus.lag(TOPIC, "g"), bus.lag(TOPIC, "never joined")) == (3, 33)


def test_expire_removes_only_what_every_group_has_committed(bus: Bus) -> None:
    send(bus, messages(40))
    one, two = bus.subscribe(TOPIC, "one"), bus.subscribe(TOPIC, "two")
    drain(one, 40)
    one.commit()
    drain(two, 40)
    late = datetime(2100, 1, 1, tzinfo=UTC)
    assert bus.expire(TOPIC, late) == 0
    two.commit()
    assert bus.expire(TOPIC, datetime(2000, 1, 1, tzinfo=UTC)) == 0
    assert bus.expire(TOPIC, late) == 40
    send(bus, messages(5, start=40))
    assert values(drain(bus.subscribe(TOPIC, "new"), 5)) == list(range(40, 45))
    one.seek(next(iter(one.assigned())), 0)
    assert values(drain(one, 5)) == list(range(40, 45))
    assert (bus.lag(TOPIC, "one"), bus.lag(TOPIC, "unknown")) == (5, 5)


def test_a_closed_subscription_says_so(bus: Bus) -> None:
    subscription = bus.subscribe(TOPIC, "g")
    subscription.close()
    subscription.close()
    with pytest.raises(TransportError, match="closed"):
        subscription.poll(1, 0)


# ---------------------------------------------------------------- the other process


def publish_once(bus: Bus) -> None:
    send(bus, messages(40, keys=20))


def publish_forever(bus: Bus) -> None:
    at = 0
    while True:
        send(bus, messages(10, start=at))
        at += 10
        print(at, flush=True)


def read_commit_read(bus: Bus, member: str = "") -> None:
    subscription = bus.subscribe(TOPIC, "g", member=member)
    first = subscription.poll(30, 10)
    subscription.commit()
    print(*values(first), flush=True)
    subscription.poll(30, 10)
    print("read more", flush=True)
    while True:
        subscription.poll(1, 0.05)


if __name__ == "__main__":
    role, spec, *rest = sys.argv[1:]
    given = json.loads(spec)
    ROLES: dict[str, Callable[..., None]] = {f.__name__: f for f in (publish_once, publish_forever, read_commit_read)}
    opened = BACKENDS[given["backend"]](given)
    ROLES[role](opened, *rest)
    opened.close()
