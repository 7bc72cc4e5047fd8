"""Where the servers of one profile live: folders, ports, and the processes that were started there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

READY_S = 120  # a server that does not answer by then has failed
STOP_S = 60  # then it is killed


class ServiceError(Exception):
    """A server cannot be fetched, started or stopped; the sentence says why and what to do."""


@dataclass(frozen=True)
class Place:
    """`home` holds the downloads and unpacked servers, `run` what one profile's servers write."""

    profile: str
    home: Path
    run: Path
    kafka_port: int
    kafka_controller_port: int
    es_port: int
    es_transport_port: int
    kafka_second_port: int = 0  # 0 = there is one broker

    @property
    def secure(self) -> bool:
        return self.profile == "secure"

    @classmethod
    def of(cls, profile: str) -> Place:
        """From the environment. The secure profile's ports stand beside those of the plain one."""
        uid = os.getuid()
        home = Path(os.environ.get("SOC_SERVICES_HOME") or ("/var/cache" if uid == 0 else Path.home() / ".cache"))
        run = Path(os.environ.get("SOC_SERVICES_RUN") or f"/var/tmp/soc-services.{uid}")
        first = {"plain": (9092, 9093, 9200, 9300), "secure": (9094, 9095, 9243, 9343)}[profile]
        names = ("SOC_KAFKA_PORT", "SOC_KAFKA_CONTROLLER_PORT", "SOC_ES_PORT", "SOC_ES_TRANSPORT_PORT")
        ports = [int(os.environ.get(name) or port) for name, port in zip(names, first, strict=True)]
        second = int(os.environ.get("SOC_KAFKA_SECOND_PORT") or 0)
        return cls(profile, home / "soc-services", run.absolute() / profile, *ports, second)


class Server:
    """One server of a place: what broker and search have in common."""

    name = ""
    version = ""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder = place.run / self.name

    @property
    def address(self) -> str:
        raise NotImplementedError

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def log_file(self) -> Path:
        return self.folder / "log.txt"

    def ports(self) -> list[int]:
        raise NotImplementedError

    def fetch(self) -> None:
        raise NotImplementedError

    def launch(self) -> None:
        """Start the process and see to it that its id gets into `pid_file`."""
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def pid(self) -> int:
        """Process id of the running server, 0 if it does not run."""
        try:
            pid = int(self.pid_file.read_text())
            os.kill(pid, 0)
        except (OSError, ValueError):
            return 0
        return pid if _state(pid) not in {"Z", ""} else 0

    def start(self) -> bool:
        """False if it runs already."""
        if self.pid():
            return False
        self.fetch()
        for port in self.ports():
            if _taken(port):
                raise ServiceError(f"port {port} of {self.name} is taken by another program; set another port")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pid_file.unlink(missing_ok=True)
        self.launch()
        return True

    def wait(self) -> None:
        deadline = time.monotonic() + READY_S
        seen = False
        while not self.answers():
            seen = seen or bool(self.pid())
            if time.monotonic() > deadline or (seen and not self.pid()):
                raise ServiceError(f"{self.name} does not answer; the end of {self.log_file} says:\n{self._tail()}")
            time.sleep(0.2)

    def stop(self) -> None:
        pid = self.pid()
        if not pid:
            return
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # one that was frozen could not hear it
        deadline = time.monotonic() + STOP_S
        while self.pid():
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink(missing_ok=True)

    def _tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])
        except OSError:
            return "(nothing)"


def java(oldest: int, why: str) -> Path:
    """Home of the oldest JDK that is new enough. Raises ServiceError."""
    found = []
    homes = [Path(os.environ[name]) for name in ("JAVA_HOME", "SOC_JAVA_HOME") if os.environ.get(name)]
    for home in [*homes, *Path("/usr/lib/jvm").glob("*")]:
        release = home / "release"
        if not (home / "bin" / "jlink").exists() or not release.is_file():
            continue  # a JRE lacks the modules that Elasticsearch's launcher asks for
        for line in release.read_text().splitlines():
            if line.startswith("JAVA_VERSION="):
                major = int(line.split('"')[1].split(".")[0].split("-")[0])
                if major >= oldest:
                    found.append((major, str(home)))
    if not found:
        raise ServiceError(f"{why} needs a JDK {oldest} or later below /usr/lib/jvm or at SOC_JAVA_HOME; there is none")
    return Path(min(found)[1])


def maven(*arguments: str, cwd: Path | None = None) -> None:
    """Run Maven's dependency plugin, which is how artefacts come from Maven Central. Raises ServiceError."""
    goal, *rest = arguments
    command = ["mvn", "-B", "-q", "-C", f"org.apache.maven.plugins:maven-dependency-plugin:3.8.1:{goal}", *rest]
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError:
        raise ServiceError("Maven is not installed; apt-get install maven") from None
    if done.returncode:
        raise ServiceError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-500:]}")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
