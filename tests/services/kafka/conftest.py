"""Topics of one's own on the shared Kafka, and a broker of one's own that may be stopped, killed and frozen."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soc.bus.base import RAW, REJECTED
from soc.bus.kafka import KafkaBus
from soc.bus.kafka.access import Cluster
from soc.bus.kafka.administration import admin_of

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 4
SESSION_TIMEOUT_S = 3.0


def make_topics(bootstrap: str, **config: str) -> str:
    """soc.raw and soc.rejected with a prefix of their own; the prefix."""
    prefix = f"t-{secrets.token_hex(6)}."
    configs = {"message.timestamp.type": "LogAppendTime", "compression.type": "zstd"} | config
    topic = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": configs}
    with admin_of(Cluster([bootstrap])) as admin:
        admin.create_topics({f"{prefix}{name}": topic for name in (RAW, REJECTED)}, wait_for_metadata=True)
    return prefix


def until(condition: Callable[[], bool], deadline_s: float = 30) -> bool:
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def make_bus(kafka: str) -> Iterator[Callable[..., KafkaBus]]:
    """Opens buses that share topics of their own on the shared broker; closed at the end."""
    prefix = make_topics(kafka)
    opened = []

    def make(**options: object) -> KafkaBus:
        opened.append(KafkaBus([kafka], **({"prefix": prefix, "session_timeout_s": SESSION_TIMEOUT_S} | options)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for bus in opened:
        bus.close()


def free_port() -> int:
    """Below the ports that outgoing connections get: while the broker is down, one of those might take its port."""
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class Broker:
    """A Kafka of deploy/services that is ours alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._environment = os.environ | {
            "SOC_SERVICES_RUN": str(folder),
            "SOC_KAFKA_PORT": str(self.port),
            "SOC_KAFKA_CONTROLLER_PORT": str(controller),
            "SOC_KAFKA_HEAP": "256m",
        }

    def _service(self, *words: str) -> None:
        command = [sys.executable, str(ROOT / "deploy" / "services"), *words]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @property
    def pid(self) -> int:
        return int((self.folder / "plain" / "kafka" / "pid").read_text())

    def start(self) -> None:
        self._service("start", "kafka")

    def stop(self) -> None:
        self._service("stop", "kafka")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def own_broker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Started once for the tests that hurt it; each leaves it running. `kafka`: skips where there are no services."""
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()
    shutil.rmtree(broker.folder, ignore_errors=True)
