"""The whole pipeline on secure servers, every role under its own user and key: set up by the commands, then used."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.access.conftest import Secure, Soc, free_ports, runner

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

PREFIX, NAMESPACE = "e2e.", "e2e"
KEYS = ("detect", "alert", "watch", "reader", "analyst", "ingest", "doctor", "admin")


@dataclass(frozen=True)
class Province:
    """Configurations and secrets, as docs/deploy.md says to make them."""

    admin: Path  # the super users
    config: Path  # {role}
    secrets: Path
    syslog: int
    http: int


@pytest.fixture(scope="module")
def province(secure: Secure, tmp_path_factory: pytest.TempPathFactory) -> Province:
    tmp_path = tmp_path_factory.mktemp("province")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "kafka-admin.password").write_text(secure.kafka_password)
    (folder / "elastic.password").write_text(secure.elastic_password)
    syslog, http = free_ports(2)
    bus = {"type": "kafka", "bootstrap": [secure.bootstrap], "protocol": "SASL_SSL", "ca": str(secure.ca)}
    bus |= {"prefix": PREFIX, "session_timeout_s": 6}
    store = {"type": "elasticsearch", "hosts": [secure.hosts], "ca": str(secure.ca), "namespace": NAMESPACE}
    store |= {"refresh": "1s"}
    admin = {
        "bus": bus | {"user": "admin", "password_file": str(folder / "kafka-admin.password")},
        "store": store | {"user": "elastic", "password_file": str(folder / "elastic.password")},
    }
    config = {
        "bus": bus | {"user": PREFIX + "soc-{role}", "password_file": f"{folder}/kafka-{PREFIX}soc-{{role}}.password"},
        "store": store | {"api_key_file": f"{folder}/elasticsearch-{{role}}.key"},
        "data_dir": str(tmp_path / "data"),
        "org": "deploy/sample/org",
        "detect": {"workers": 1},
        "collect": [
            {"type": "syslog", "listen": f"127.0.0.1:{syslog}"},
            {"type": "http", "listen": f"127.0.0.1:{http}"},
        ],
    }
    made = Province(tmp_path / "admin.yaml", tmp_path / "soc.yaml", folder, syslog, http)
    made.admin.write_text(json.dumps(admin))
    made.config.write_text(json.dumps(config))
    return made


@pytest.fixture(scope="module")
def applied(root: Path, province: Province) -> Province:
    """What an operator types, once."""
    soc = runner(root, province.config.parent / "data")

    def done(*arguments: str | Path) -> None:
        ran = soc(*arguments)
        assert ran.code == 0, ran.err

    done("topics", "users", "--secrets", province.secrets, "--config", province.admin)
    done("topics", "acls", "--config", province.admin)
    for component in KEYS:
        out = province.secrets / f"elasticsearch-{component}.key"
        done("store", "keys", "create", component, "--out", out, "--expires", "2h", "--config", province.admin)
    done("topics", "apply", "--config", province.config)  # as soc-admin, no longer as the super user
    done("store", "apply", "--config", province.config)
    return province


@contextmanager
def running(root: Path, province: Province) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "soc.app", "run", "all", "--config", str(province.config)]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=90)
        told = errors.decode()
        assert process.returncode == 0, told
        assert "Traceback" not in told, told
        assert "may not" not in told, told
        assert "privilege" not in told, told


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


def guess(number: int) -> bytes:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"<38>1 {stamp} ys-motcua sshd {number} - - Failed password for root from 203.0.113.5 port {number} ssh2"
    return line.encode()


def test_all_roles_work_under_their_own_users_and_keys(root: Path, soc: Soc, applied: Province, tmp_path: Path) -> None:
    config = ("--config", applied.config)
    with running(root, applied) as process:
        wait(lambda: listens(applied.http))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(20):
                sender.sendto(guess(number), ("127.0.0.1", applied.syslog))
        body = json.dumps({"message": "Đăng nhập thất bại", "host": {"name": "pc1"}}).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{applied.http}/", body).close()
        wait(lambda: soc("events", "search", "*", "--limit", "1", "--json", *config).json["total"] == 21)
        wait(lambda: len(soc("alerts", "list", "--json", *config).json["alerts"]) == 1)
        assert process.poll() is None
        # a person's commands: as reader, analyst, ingest, doctor
        (found,) = soc("alerts", "list", "--json", *config).json["alerts"]
        acknowledged = soc("alerts", "ack", found["event"]["id"], *config)
        assert acknowledged.code == 0, acknowledged.err
        lines = tmp_path / "access.log"
        lines.write_text('203.0.113.9 - - [02/Mar/2026:05:00:00 +0700] "GET / HTTP/1.1" 200 5 "-" "x"\n')
        sent = soc("ingest", lines, "--source", "nginx_access", "--json", *config)
        assert (sent.json["received"], sent.json["stored"], sent.json["deficit"]) == (1, 1, 0), sent.err
        wait(lambda: soc("ledger", *config).code == 0)  # counts are on their way for some seconds
        rows = soc("ledger", "--json", *config).json["rows"]
        assert (sum(row["received"] for row in rows), sum(row["stored"] for row in rows)) == (22, 22)
        doctor = soc("doctor", "--json", *config)
        states = {check["id"]: check["state"] for check in doctor.json["checks"]}
        assert {i: s for i, s in states.items() if s == "unknown" or i.endswith(".reachable")} == {}
        assert states["kafka.topics"] == states["es.template"] == states["bus.lag.soc.raw"] == "ok"
    for component in KEYS:
        checked = soc("store", "keys", "check", component, *config)
        assert checked.code == 0, checked.err


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_role_with_another_role_s_user_is_told_what_it_may_not(root: Path, applied: Province) -> None:
    """The detect worker as the collectors' user: one sentence that names user, topic and table, and no end of it."""
    wrong = applied.config.with_name("wrong.yaml")
    wrong.write_text(applied.config.read_text().replace("soc-{role}", "soc-collect"))
    command = [sys.executable, "-m", "soc.app", "run", "detect", "--config", str(wrong)]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = ""
    try:
        while f"{PREFIX}soc-collect" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
    finally:
        process.kill()
        process.communicate()
    assert "acls.yaml" in told
    assert "soc.raw" in told
