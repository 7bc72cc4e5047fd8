"""A bus of lists and a clock for the collectors' tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from soc.bus.base import REJECTED, Delivery, Message
from soc.collect.wire import from_delivery, rejected_from_delivery
from soc.event import RawRecord, Rejected


@dataclass
class ListBus:
    """What was published and flushed, by topic. `before` is called with the name of each step; it may raise."""

    topics: dict[str, list[Message]] = field(default_factory=dict)
    unflushed: list[tuple[str, Message]] = field(default_factory=list)
    before: Callable[[str], None] = lambda step: None

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self.before("publish")
        self.unflushed += [(topic, m) for m in messages]

    def flush(self) -> None:
        self.before("flush")
        for topic, message in self.unflushed:
            self.topics.setdefault(topic, []).append(message)
        self.unflushed.clear()

    def close(self) -> None:
        self.flush()

    def deliveries(self, topic: str) -> list[Delivery]:
        moment = datetime(2026, 11, 24, tzinfo=UTC)
        return [
            Delivery(topic, 0, n, m.key, m.value, m.headers, moment) for n, m in enumerate(self.topics.get(topic, []))
        ]

    def records(self, topic: str = "soc.raw") -> list[RawRecord]:
        return [from_delivery(d) for d in self.deliveries(topic)]

    def rejected(self) -> list[Rejected]:
        return [rejected_from_delivery(d) for d in self.deliveries(REJECTED)]

    def data(self) -> list[bytes]:
        return [r.data for r in self.records()]


@dataclass
class Clock:
    """A clock that stands until it is moved: wall time by `now`, monotonic seconds by `seconds`."""

    moment: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def new_bus() -> type[ListBus]:
    return ListBus


@pytest.fixture(scope="session")
def new_clock() -> type[Clock]:
    return Clock


@pytest.fixture
def bus() -> ListBus:
    return ListBus()


@pytest.fixture
def clock() -> Clock:
    return Clock()
