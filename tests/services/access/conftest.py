"""The second profile of the services: TLS, users, ACLs, API keys; of these tests alone, on free ports."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.bus.kafka.access import Cluster, KafkaAccess
from soc.bus.kafka.acls import apply as apply_acls
from soc.bus.kafka.acls import load_acls, plan
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.users import apply as apply_users
from soc.bus.kafka.users import password_file
from soc.bus.kafka.users import plan as plan_users
from soc.normalize.ecs import ecs
from soc.store.elasticsearch import ElasticAccess, Server
from soc.store.elasticsearch.apply import apply as apply_templates
from soc.store.elasticsearch.apply import changes
from soc.store.elasticsearch.keys import Component, create, load_keys
from soc.store.elasticsearch.templates import templates

PREFIX = "hn."
HOUR = timedelta(hours=1)
PARTITIONS = 2


@dataclass(frozen=True)
class Secure:
    """Addresses of the secure servers, the CA that signed their certificates, and who may do everything there."""

    bootstrap: str
    hosts: str
    ca: Path
    kafka_password: str
    elastic_password: str

    def cluster(self, user: str = "admin", password: str | None = None, ca: Path | None = None) -> Cluster:
        access = KafkaAccess("SASL_SSL", user=user, password=password or self.kafka_password, ca=ca or self.ca)
        return Cluster([self.bootstrap], access)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture(scope="session")
def secure(root: Path, kafka: str, elasticsearch: str) -> Iterator[Secure]:
    """Where the plain servers run, everything is there that the secure ones need."""
    folder = Path(tempfile.mkdtemp(prefix="soc-access-", dir="/var/tmp"))
    folder.chmod(0o755)  # Elasticsearch runs as another user
    kafka_port, controller_port, es_port, transport_port = free_ports(4)
    environment = os.environ | {
        "SOC_SERVICES_RUN": str(folder),
        "SOC_KAFKA_PORT": str(kafka_port),
        "SOC_KAFKA_CONTROLLER_PORT": str(controller_port),
        "SOC_ES_PORT": str(es_port),
        "SOC_ES_TRANSPORT_PORT": str(transport_port),
        "SOC_KAFKA_HEAP": "256m",
        "SOC_ES_HEAP": "512m",
    }
    command = [sys.executable, str(root / "deploy" / "services")]
    try:
        subprocess.run([*command, "start", "--profile", "secure"], env=environment, check=True, timeout=180)
        tls = folder / "secure" / "tls"
        yield Secure(
            f"127.0.0.1:{kafka_port}",
            f"https://127.0.0.1:{es_port}",
            tls / "ca.pem",
            (tls / "kafka-admin.password").read_text(),
            (tls / "elastic.password").read_text(),
        )
    finally:
        subprocess.run([*command, "stop", "--clean", "--profile", "secure"], env=environment, timeout=180)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def strangers_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority that has signed nothing here."""
    folder = tmp_path_factory.mktemp("stranger")
    made = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem"), "-subj", "/CN=stranger", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made], check=True, capture_output=True)
    return folder / "ca.pem"


@dataclass(frozen=True)
class Users:
    """Kafka's users as the table names them, with their passwords' folder."""

    secure: Secure
    folder: Path

    def access(self, component: str) -> KafkaAccess:
        user = f"{PREFIX}soc-{component}"
        password = password_file(self.folder, user).read_text().strip()
        return KafkaAccess("SASL_SSL", user=user, password=password, ca=self.secure.ca)


@pytest.fixture(scope="session")
def administration(secure: Secure) -> Iterator[Administration]:
    made = Administration(secure.cluster())
    yield made
    made.close()


@pytest.fixture(scope="session")
def users(
    root: Path, secure: Secure, administration: Administration, tmp_path_factory: pytest.TempPathFactory
) -> Users:
    """Topics, users and rights as an operator makes them."""
    from soc.bus.base import TOPICS

    wanted = {f"{PREFIX}{topic}": {"num_partitions": PARTITIONS, "replication_factor": 1} for topic in TOPICS}
    administration.ask("creating topics", lambda admin: admin.create_topics(wanted))
    components = load_acls(root / "deploy" / "kafka" / "acls.yaml")
    folder = tmp_path_factory.mktemp("secrets")
    names = [f"{PREFIX}{user}" for component in components for user in component.users]
    changes = plan_users(administration, names, folder, "SCRAM-SHA-512")
    apply_users(administration, changes, "SCRAM-SHA-512")
    apply_acls(administration, plan(administration, components, PREFIX))
    return Users(secure, folder)


@dataclass(frozen=True)
class Keys:
    """API keys by the table, as `soc store keys create` makes them."""

    secure: Secure
    server: Server  # as the super user
    components: dict[str, Component]

    def access(self, component: str, default: str, *namespaces: str, lifetime: timedelta = HOUR) -> ElasticAccess:
        spaces = namespaces or (default,)
        _, secret = create(self.server, self.components[component], spaces, default, lifetime)
        return ElasticAccess(api_key=secret, ca=self.secure.ca)

    def server_of(self, component: str, default: str, *namespaces: str) -> Server:
        return Server([self.secure.hosts], self.access(component, default, *namespaces))


@pytest.fixture(scope="session")
def keys(root: Path, secure: Secure) -> Iterator[Keys]:
    """The templates are there; `soc store apply` has put them, under the key of `admin`."""
    elastic = Server([secure.hosts], ElasticAccess(user="elastic", password=secure.elastic_password, ca=secure.ca))
    made = Keys(secure, elastic, load_keys(root / "deploy" / "elasticsearch" / "keys.yaml"))
    admin = made.server_of("admin", "tinh")
    kinds = {name: field.kind for name, field in ecs().fields.items()}
    apply_templates(admin, changes(admin, templates(kinds)))
    admin.close()
    yield made
    elastic.close()


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Soc = Callable[..., Ran]


def runner(root: Path, data: Path) -> Soc:
    """Runs `soc …` in the checkout, with its data in a folder of the test."""

    def run(*arguments: str | Path, timeout_s: float = 110) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "soc.app", *map(str, arguments)],
            cwd=root,
            env=os.environ | {"SOC_DATA_DIR": str(data), "SOC_QUIET": "1", "COLUMNS": "160"},
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def soc(root: Path, tmp_path: Path) -> Soc:
    return runner(root, tmp_path / "data")
