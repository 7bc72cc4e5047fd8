"""The Kafka of deploy/compose, started by its own script with its own settings and secrets, outside a container."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from soc.bus.kafka.access import Cluster, KafkaAccess
from soc.bus.kafka.acls import apply, load_acls, plan
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.users import apply as apply_users
from soc.bus.kafka.users import plan as plan_users
from soc.event import TransportError
from tests.services.access.conftest import free_ports

pytestmark = [pytest.mark.services, pytest.mark.timeout(180)]

TOOLS = {"kafka-storage.sh": "kafka.tools.StorageTool", "kafka-server-start.sh": "kafka.Kafka"}


@pytest.fixture(scope="module")
def home(root: Path, kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KAFKA_HOME with the two scripts that the start script calls, over the jars of deploy/services."""
    sys.path.insert(0, str(root / "deploy" / "services.d"))
    from broker import Broker
    from place import Place, java

    jars, run = Broker(Place.of("plain")).jars / "libs", java(17, "Kafka") / "bin" / "java"
    folder = tmp_path_factory.mktemp("kafka-home")
    (folder / "bin").mkdir()
    for name, main in TOOLS.items():
        script = folder / "bin" / name
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        script.write_text(f'#!/bin/sh\nexec {run} -Xmx256m {quiet} -cp "{jars}/*" {main} "$@"\n')
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def started(root: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(address of the listener for this machine, folder of secrets); ports and folders are all that is changed."""
    compose = root / "deploy" / "compose"
    folder = tmp_path_factory.mktemp("compose-kafka")
    secrets = folder / "secrets"
    owner = {"SOC_SECRETS_OWNER": f"{os.getuid()}:{os.getgid()}"}
    subprocess.run([str(compose / "prepare"), str(secrets)], env=os.environ | owner, check=True, capture_output=True)
    network, controller, host = free_ports(3)
    text = (compose / "kafka" / "server.properties").read_text("utf-8")
    for pattern, put in (
        (r"kafka:9092", f"127.0.0.1:{network}"),
        (r":9092\b", f":{network}"),
        (r":9093\b", f":{controller}"),
        (r":9094\b", f":{host}"),
        (r"/run/secrets", str(secrets)),
        (r"/var/lib/kafka/data", str(folder / "data")),
    ):
        text, count = re.subn(pattern, put, text)
        assert count, pattern
    (folder / "server.properties").write_text(text)
    environment = {"KAFKA_HOME": str(home), "KAFKA_CONFIG": str(folder), "CREDENTIALS_DIRECTORY": str(secrets)}
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        ["/bin/bash", str(compose / "kafka" / "start")], env=os.environ | environment, stdout=log, stderr=log
    )
    try:
        yield f"127.0.0.1:{host}", secrets
    finally:
        process.terminate()
        process.wait(60)
        log.close()
        told = (folder / "log").read_text()
        assert "password" not in told
        assert "storedKey" not in told


@contextmanager
def cluster(started: tuple[str, Path], user: str) -> Iterator[Administration]:
    address, secrets = started
    password = (secrets / f"kafka-{user}.password").read_text().strip()
    access = KafkaAccess("SASL_SSL", user=user, password=password, ca=secrets / "ca.pem")
    with closing(Administration(Cluster([address], access))) as made:
        yield made


def test_the_super_user_sets_up_and_the_others_have_their_rights(root: Path, started: tuple[str, Path]) -> None:
    components = load_acls(root / "deploy" / "kafka" / "acls.yaml")
    users = [user for component in components for user in component.users]
    topic = {"num_partitions": 1, "replication_factor": 1}
    with cluster(started, "admin") as admin:
        wait_for(admin)
        changes = plan_users(admin, users, started[1], "SCRAM-SHA-512")
        assert {change.what for change in changes} == {"create"}  # ./prepare made their passwords
        apply_users(admin, changes, "SCRAM-SHA-512")
        apply(admin, plan(admin, components))
    with cluster(started, "soc-admin") as admin:
        admin.ask("creating topics", lambda client: client.create_topics({"soc.raw": topic}))
    with cluster(started, "soc-collect") as collect:
        assert collect.partitions("soc.raw") == [0]
    with cluster(started, "soc-shipper") as shipper, pytest.raises(TransportError, match="soc-shipper"):
        shipper.ask("creating topics", lambda client: client.create_topics({"soc.x": topic}))


def wait_for(administration: Administration) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            administration.ask("listing topics", lambda client: client.list_topics())
            return
        except TransportError:
            assert time.monotonic() < deadline


def test_the_controller_is_not_reached_without_its_password(started: tuple[str, Path]) -> None:
    """Nobody is ANONYMOUS: the one listener without TLS is on the container's own loopback and asks for a password."""
    text = (Path(__file__).resolve().parents[3] / "deploy/compose/kafka/server.properties").read_text("utf-8")
    assert "ANONYMOUS" not in text
    (mapped,) = re.findall(r"^listener.security.protocol.map=(.*)$", text, re.MULTILINE)
    protocols = dict(one.split(":") for one in mapped.split(","))
    assert all(protocol.startswith("SASL_") for protocol in protocols.values())
    (listeners,) = re.findall(r"^listeners=(.*)$", text, re.MULTILINE)
    plain = [one for one in listeners.split(",") if protocols[one.partition(":")[0]] != "SASL_SSL"]
    assert [one.partition("://")[2] for one in plain] == ["127.0.0.1:9093"]
