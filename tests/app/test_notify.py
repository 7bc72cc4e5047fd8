"""What a service manager hears from `soc run`: a real socket, real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soc.app.notify import ALIVE, READY, STOPPING, notify, watchdog_s

pytestmark = pytest.mark.timeout(120)


class Manager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0", 1))
        self.heard: list[str] = []

    def wait(self, assignment: str, seconds: float = 60) -> float:
        """Until it is heard (again); the seconds that this took."""
        began = time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                lines = self.socket.recv(4096).decode().splitlines()
            except TimeoutError:
                break
            self.heard += lines
            if assignment in lines:
                return time.monotonic() - began
        raise AssertionError(f"{assignment} was not heard in {seconds} s, but {self.heard}")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


@contextmanager
def running(
    root: Path, folder: Path, manager: Manager, *role: str, watchdog_us: int = 2_000_000
) -> Iterator[subprocess.Popen[bytes]]:
    """`soc run …` as systemd starts it: no shell between, its id in WATCHDOG_PID."""
    config = folder / "soc.yaml"
    config.write_text(json.dumps({"data_dir": str(folder / "data"), "rules": [], "detect": {"workers": 1}}))
    command = [sys.executable, "-m", "soc.app", "run", *role, "--config", str(config)]
    script = 'export WATCHDOG_PID=$$; exec "$@"'
    environment = os.environ | {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(watchdog_us)}
    process = subprocess.Popen(["sh", "-c", script, "sh", *command], cwd=root, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("role", [("detect",), ("alert",), ("watch",), ("all",)], ids=" ".join)
def test_a_role_tells_that_it_is_ready_that_it_lives_and_that_it_stops(
    root: Path, tmp_path: Path, manager: Manager, role: tuple[str, ...]
) -> None:
    with running(root, tmp_path, manager, *role) as process:
        manager.wait(READY)
        for _ in range(3):
            assert manager.wait(ALIVE) < 2.0, "later than the watchdog allows"
        assert manager.heard.count(READY) == 1
        process.send_signal(signal.SIGTERM)
        manager.wait(STOPPING)
        assert process.wait(60) == 0


def test_a_worker_that_does_not_move_is_silent(root: Path, tmp_path: Path, manager: Manager) -> None:
    with running(root, tmp_path, manager, "detect") as process:
        manager.wait(ALIVE)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(AssertionError, match="was not heard"):
            for _ in range(3):  # what was on its way before the signal
                manager.wait(ALIVE, 3)
        process.send_signal(signal.SIGCONT)
        manager.wait(ALIVE)


def test_only_the_process_that_the_manager_started_speaks_to_it(root: Path, tmp_path: Path, manager: Manager) -> None:
    """systemd's NotifyAccess=main drops what others say, and a role must not feed the watchdog of its supervisor."""
    with running(root, tmp_path, manager, "all"):
        manager.wait(READY)
        roles = [pid for pid in children() if b"\0run\0detect\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        mine = [pid for pid in roles if str(tmp_path).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert mine
        for pid in mine:
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()


def children() -> list[str]:
    return [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and (p / "cmdline").exists()]


def test_the_supervisor_is_ready_when_every_role_has_turned(root: Path, tmp_path: Path, manager: Manager) -> None:
    with running(root, tmp_path, manager, "all"):
        manager.wait(READY)
        beats = {path.stem for path in (tmp_path / "data" / "run").glob("*.beat")}
        assert beats == {"collect", "detect-0", "alert-0", "watch"}


def test_an_abstract_address_is_understood() -> None:
    manager = Manager(f"@soc-test-{os.getpid()}")
    try:
        assert notify(READY, environment={"NOTIFY_SOCKET": manager.address})
        manager.wait(READY)
    finally:
        manager.socket.close()


@pytest.mark.parametrize("beats", [True, False])
def test_a_loop_that_hangs_ends_the_process_and_says_where(tmp_path: Path, beats: bool) -> None:
    script = (
        "import sys, threading, time\n"
        "from pathlib import Path\n"
        "from soc.app.supervisor import Beat\n"
        "def hang(): threading.Event().wait()\n"
        "stop = threading.Event()\n"
        f"beat = Beat(Path({str(tmp_path)!r}), 'x', stop)\n"
        "beat()\n"
        "end = time.monotonic() + 4\n"
        f"while {beats} and time.monotonic() < end:\n"
        "    beat(); stop.wait(0.05)\n"
        f"{beats} or hang()\n"
        "sys.exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"SOC_WATCHDOG_S": "2"}, capture_output=True, timeout=60
    )
    assert (done.returncode == 0) is beats
    assert (b"in hang" in done.stderr) is not beats


@pytest.mark.parametrize("address", ["", "@", "/", "relative", "vsock:2:1234", "/nowhere/notify"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    assert not notify(READY, environment={"NOTIFY_SOCKET": address})


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_asked_for_by_the_environment(environment: dict[str, str], seconds: float) -> None:
    assert watchdog_s(environment) == seconds
