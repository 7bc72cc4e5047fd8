"""soc run all: real senders in, alerts out; signals, crashes and restarts lose nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Soc

pytestmark = pytest.mark.timeout(180)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Instance:
    """A running `soc run all` on free ports."""

    def __init__(self, root: Path, folder: Path, soc: Soc) -> None:
        self.syslog, self.http = free_port(), free_port()
        self.config = folder / "soc.yaml"
        self.watched = folder / "watched"
        self.watched.mkdir(exist_ok=True)
        self.config.write_text(
            json.dumps(
                {
                    "data_dir": str(folder / "data"),
                    "org": "deploy/sample/org",
                    "collect": [
                        {"type": "syslog", "listen": f"127.0.0.1:{self.syslog}"},
                        {"type": "http", "listen": f"127.0.0.1:{self.http}"},
                        {"type": "file", "paths": [f"{self.watched}/*.log"], "source": "nginx_access"},
                    ],
                }
            )
        )
        self.root, self.data, self._soc = root, folder / "data", soc

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "soc.app", "run", "all", "--config", str(self.config)],
            cwd=self.root,
            stderr=subprocess.PIPE,
        )
        try:
            self.wait(lambda: self.listens() and self._workers_beat())
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors.decode()
            assert b"Traceback" not in errors, errors.decode()

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.http)) == 0

    def _workers_beat(self) -> bool:
        return all((self.data / "run" / f"{member}.beat").exists() for member in ("detect-0", "alert-0"))

    def pid(self, member: str) -> int:
        """Process of a role; 0 while it is being started."""
        return int((self.data / "run" / f"{member}.lock").read_text() or 0)

    def wait(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.1)

    def send(self, text: str) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), ("127.0.0.1", self.syslog))

    def post(self, lines: list[dict[str, Any]]) -> None:
        body = "\n".join(json.dumps(line) for line in lines).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/", body) as answer:
            assert answer.status in (200, 201, 202)

    def events(self, query: str) -> int:
        return int(
            self._soc("events", "search", query, "--limit", "1", "--json", "--config", self.config).json["total"]
        )

    def alerts(self) -> list[dict[str, Any]]:
        return list(self._soc("alerts", "list", "--json", "--config", self.config).json["alerts"])

    def ledger(self) -> tuple[int, int]:
        rows = self._soc("ledger", "--json", "--config", self.config).json["rows"]
        return sum(r["received"] for r in rows), sum(r["deficit"] for r in rows)


@pytest.fixture
def instance(root: Path, tmp_path: Path, soc: Soc) -> Instance:
    return Instance(root, tmp_path, soc)


def guess(number: int, address: str = "203.0.113.5") -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"<38>1 {stamp} ys-motcua sshd {number} - - Failed password for root from {address} port {number} ssh2"


def test_what_senders_send_becomes_events_and_alerts_and_a_restart_goes_on(instance: Instance) -> None:
    with instance.running():
        for number in range(20):
            instance.send(guess(number))
        instance.post([{"message": "Đăng nhập thất bại", "host": {"name": "pc1"}}])
        instance.wait(lambda: instance.events("*") == 21)
        assert instance.events('"dang nhap that bai"') == 1
        instance.wait(lambda: len(instance.alerts()) == 1)
    (alert,) = instance.alerts()
    assert alert["soc"]["group"]["source.ip"] == "203.0.113.5"
    assert alert["soc"]["unit"]["name"] == "Xã Yên Sơn"
    assert alert["soc"]["evidence"]["count"] == 20
    with instance.running():
        for number in range(20, 25):
            instance.send(guess(number))
        log = instance.watched / "access.log"
        log.write_text('203.0.113.9 - - [02/Mar/2026:05:00:00 +0700] "GET / HTTP/1.1" 200 5 "-" "x"\n')
        instance.wait(lambda: instance.alerts()[0]["soc"]["evidence"]["count"] == 25)
        instance.wait(lambda: instance.events("event.dataset:nginx_access") == 1)
    assert instance.ledger() == (27, 0)


def test_a_killed_worker_is_started_again_and_nothing_is_lost(instance: Instance) -> None:
    with instance.running():
        for number in range(10):
            instance.send(guess(number))
        instance.wait(lambda: instance.events("*") == 10)
        for member in ("detect-0", "alert-0", "collect"):
            killed = instance.pid(member)
            os.kill(killed, signal.SIGKILL)
            instance.wait(lambda m=member, k=killed: instance.pid(m) not in (0, k))  # type: ignore[misc]
        instance.wait(instance.listens)
        for number in range(10, 30):
            instance.send(guess(number))
        instance.wait(lambda: instance.events("*") == 30)
        instance.wait(lambda: [a["soc"]["evidence"]["count"] for a in instance.alerts()] == [30])
    assert instance.ledger() == (30, 0)


def test_two_instances_on_one_data_directory_are_refused(instance: Instance, soc: Soc) -> None:
    with instance.running():
        ran = soc("run", "detect", "--config", instance.config)
        assert (ran.code, "is running already" in ran.err) == (2, True)


def test_a_port_that_is_taken_is_named(instance: Instance, soc: Soc) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", instance.http))
        taken.listen()
        ran = soc("run", "collect", "--config", instance.config)
        assert ran.code == 4
        assert f"127.0.0.1:{instance.http}" in ran.err and "Traceback" not in ran.err
        assert soc("check", "--config", instance.config).code == 1
