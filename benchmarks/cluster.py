"""A Kafka and an Elasticsearch of one's own, and the whole program running on them: what faults and scale are tried on.

Everything is in one folder and on free ports, so that several may live beside each other, and ends with the process.
"""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_S = 180.0


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Returns once the condition holds. Raises TimeoutError that says what was waited for."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline_s:.0f} s for {what}")
        time.sleep(0.1)


@dataclass
class Servers:
    """The servers of `deploy/services` in a folder of their own."""

    folder: Path
    heap: str = "512m"
    brokers: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kafka, controller, search, transport, second = free_ports(5)
        self.kafka = f"127.0.0.1:{kafka}"
        self.search = f"http://127.0.0.1:{search}"
        self.environment = os.environ | {
            "SOC_SERVICES_RUN": str(self.folder),
            "SOC_KAFKA_PORT": str(kafka),
            "SOC_KAFKA_CONTROLLER_PORT": str(controller),
            "SOC_ES_PORT": str(search),
            "SOC_ES_TRANSPORT_PORT": str(transport),
            "SOC_KAFKA_HEAP": self.heap,
            "SOC_ES_HEAP": self.heap,
        }
        if self.brokers > 1:
            self.environment["SOC_KAFKA_SECOND_PORT"] = str(second)

    def call(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, ROOT / "deploy" / "services", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode and arguments[0] != "status":
            raise RuntimeError(f"deploy/services {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def start(self, name: str = "") -> None:
        self.call("start", *([name] if name else []))

    def stop(self, name: str = "") -> None:
        self.call("stop", *([name] if name else ["--clean"]))

    def pid(self, name: str) -> int:
        servers = json.loads(self.call("status", "--json"))["servers"]
        return next(int(s["pid"]) for s in servers if s["name"] == name)

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.pid(name), number)


@contextmanager
def servers(folder: Path, heap: str = "512m", brokers: int = 1) -> Iterator[Servers]:
    """Started, and stopped with their data deleted."""
    folder.mkdir(parents=True, exist_ok=True)
    for above in (folder, folder.parent):  # where we are root, Elasticsearch is another user's, who must get there
        above.chmod(0o755)
    made = Servers(folder, heap, brokers)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@dataclass
class Installation:
    """`soc run all` on a configuration of its own, and what an operator would ask it."""

    folder: Path
    kafka: str
    search: str
    namespace: str
    workers: int = 2
    rules: tuple[str, ...] = ("rules",)
    settings: dict[str, Any] = field(default_factory=dict)
    data_dir: Path = Path()
    #: Wraps the command of the supervisor, such as ("faketime", …).
    around: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.data_dir == Path():
            self.data_dir = self.folder / "data"
        self.http = f"127.0.0.1:{free_ports(1)[0]}"
        self.config = self.folder / "soc.yaml"
        content = {
            "data_dir": str(self.data_dir),
            "bus": {
                "type": "kafka",
                "bootstrap": [self.kafka],
                "prefix": f"{self.namespace}.",
                "session_timeout_s": 6,
                "topics": str(ROOT / "deploy/kafka/topics.yaml"),
            },
            "store": {
                "type": "elasticsearch",
                "hosts": [self.search],
                "namespace": self.namespace,
                "refresh": "1s",
            },
            "org": str(ROOT / "deploy/sample/org"),
            "rules": [str(ROOT / r) for r in self.rules],
            "sources": [str(ROOT / "pipelines/sources")],
            "sigma_pipelines": [str(ROOT / "pipelines/sigma")],
            "collect": [{"type": "http", "listen": self.http}],
            "detect": {"workers": self.workers},
        }
        self.config.write_text(yaml.safe_dump(content | self.settings), "utf-8")

    def soc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of ours on this configuration."""
        done = subprocess.run(
            [sys.executable, "-m", "soc.app", *arguments, "--config", str(self.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if check and done.returncode not in (0, 1):
            raise RuntimeError(f"soc {' '.join(arguments)}: {done.stderr}")
        return done

    def document(self, *arguments: str) -> dict[str, Any]:
        """What a command prints with --json."""
        done = self.soc(*arguments, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def replicate(self, copies: int) -> None:
        """Have topics on several brokers: a table of its own, written like ours."""
        table = yaml.safe_load((ROOT / "deploy/kafka/topics.yaml").read_text("utf-8"))
        table["replication"] = {"factor": copies, "min.insync.replicas": 1}
        (self.folder / "topics.yaml").write_text(yaml.safe_dump(table, sort_keys=False), "utf-8")
        content = yaml.safe_load(self.config.read_text("utf-8"))
        content["bus"]["topics"] = str(self.folder / "topics.yaml")
        self.config.write_text(yaml.safe_dump(content), "utf-8")

    def apply(self) -> None:
        """Topics and templates, as before the first start."""
        for group in ("topics", "store"):
            done = self.soc(group, "apply")
            if done.returncode:
                raise RuntimeError(f"soc {group} apply: {done.stderr}")

    def start(self) -> None:
        log = (self.folder / "log.txt").open("ab")
        self.process = subprocess.Popen(
            [*self.around, sys.executable, "-m", "soc.app", "run", "all", "--config", str(self.config)],
            cwd=ROOT,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        until(self.listens, "the HTTP collector")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def listens(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"soc run all ended:\n{(self.folder / 'log.txt').read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://{self.http}/livez", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def pids(self) -> dict[str, int]:
        """Role → process that holds it now."""
        found = {}
        for lock in (self.data_dir / "run").glob("*.lock"):
            text = lock.read_text().strip()
            if text and Path(f"/proc/{text}").exists():
                found[lock.stem] = int(text)
        return found


def resident_mb(pid: int) -> float:
    """Most memory that a process has had, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def documents(search: str, pattern: str, fields: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Every document of some indices, asked of the server itself and not of our store: _id, _index and some fields."""

    def ask(path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        sent = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(
            f"{search}/{path}", sent, {"Content-Type": "application/json"} if sent else {}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    ask(f"{pattern}/_refresh", None)
    body = {"size": 5000, "_source": list(fields), "sort": ["_doc"]}
    page = ask(f"{pattern}/_search?scroll=1m", body)
    while hits := page["hits"]["hits"]:
        yield from hits
        page = ask("_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
