"""Apache Kafka, one node that is broker and controller (KRaft): fetched, formatted, started, asked."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import tls
from place import Server, ServiceError, java, maven

JARS_SHA256 = "98b52a7fc606912291aaa0d2a2b8563c1bb4f6a732ad5a4ba94bffc300884b95"  # of `sha256sum *.jar`, sorted

PROPERTIES = """\
process.roles={roles}
node.id={node}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners={protocol}://127.0.0.1:{port}{controller_listener}
advertised.listeners={protocol}://127.0.0.1:{port}{controller_listener}
controller.listener.names=CONTROLLER
inter.broker.listener.name={protocol}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs={data}
num.partitions=4
offsets.topic.replication.factor={copies}
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
"""

SECURITY = """\
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
# ANONYMOUS is the controller's plain listener on loopback: for tests, never in production
super.users=User:admin;User:ANONYMOUS
"""


class Broker(Server):
    name = "kafka"
    version = "4.4.0"
    node = 1
    roles = "broker,controller"

    @property
    def port(self) -> int:
        return self.place.kafka_port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def jars(self) -> Path:
        return self.place.home / f"kafka-{self.version}"

    def ports(self) -> list[int]:
        return [self.place.kafka_port, self.place.kafka_controller_port]

    def fetch(self) -> None:
        if self.jars.is_dir():
            return
        fresh = self.jars.with_name(f"{self.jars.name}.{os.getpid()}")
        fresh.mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("pom.xml"), fresh)
        maven("copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh}/libs", cwd=fresh)
        listing = "".join(
            f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n"
            for jar in sorted((fresh / "libs").glob("*.jar"), key=lambda jar: jar.name.encode())
        )
        if (found := hashlib.sha256(listing.encode()).hexdigest()) != JARS_SHA256:
            raise ServiceError(f"the jars of Kafka {self.version} have sum {found}, not {JARS_SHA256}: not used")
        _settle(fresh, self.jars)

    def launch(self) -> None:
        run = java(17, "Kafka") / "bin" / "java"
        classpath = f"{self.jars}/libs/*"
        config = self.folder / "server.properties"
        protocol = "SASL_SSL" if self.place.secure else "PLAINTEXT"
        text = PROPERTIES.format(
            roles=self.roles,
            node=self.node,
            protocol=protocol,
            port=self.port,
            controller=self.place.kafka_controller_port,
            controller_listener=self.controller_listener(),
            copies=2 if self.place.kafka_second_port else 1,
            data=self.folder / "data",
        )
        users: list[str] = []
        if self.place.secure:
            tls.make(self.place.run / "tls")
            password = tls.password(self.place.run / "tls" / "kafka-admin.password")
            text += SECURITY.format(
                password=password,
                keystore=self.place.run / "tls" / "server-keystore.pem",
                ca=self.place.run / "tls" / "ca.pem",
            )
            users = ["--add-scram", f"SCRAM-SHA-512=[name=admin,password={password}]"]
        config.write_text(text)
        config.chmod(0o600)
        if not (self.folder / "data" / "meta.properties").exists():
            tool = [run, "-cp", classpath, "kafka.tools.StorageTool"]
            format_ = [*tool, "format", "-t", self.cluster(tool), "-c", config, *self.quorum, *users]
            done = subprocess.run(format_, capture_output=True, text=True)
            if done.returncode:
                raise ServiceError(f"Kafka's folder cannot be formatted:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        heap = os.environ.get("SOC_KAFKA_HEAP", "512m")
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [
                    run,
                    f"-Xms{heap}",
                    f"-Xmx{heap}",
                    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                    "-cp",
                    classpath,
                    "kafka.Kafka",
                    config,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self.pid_file.write_text(str(process.pid))

    quorum = ("--standalone",)

    def controller_listener(self) -> str:
        return f",CONTROLLER://127.0.0.1:{self.place.kafka_controller_port}"

    def cluster(self, tool: list[str | Path]) -> str:
        """Id of the cluster: a new one."""
        return subprocess.run([*tool, "random-uuid"], capture_output=True, text=True).stdout.split()[-1]

    def answers(self) -> bool:
        """Whether it answers an ApiVersions request (version 0), which a broker takes before anyone logs in."""
        request = struct.pack(">hhih", 18, 0, 1, -1)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as plain:
                connection = plain
                if self.place.secure:
                    trusted = ssl.create_default_context(cafile=str(self.place.run / "tls" / "ca.pem"))
                    connection = trusted.wrap_socket(plain, server_hostname="127.0.0.1")
                connection.settimeout(2)
                connection.sendall(struct.pack(">i", len(request)) + request)
                return len(connection.recv(8)) > 0
        except (OSError, ValueError):
            return False


class SecondBroker(Broker):
    """A broker beside the first, which leads partitions of its own: for trials of a leader that is gone."""

    name = "kafka-2"
    node = 2
    roles = "broker"
    quorum = ("--no-initial-controllers",)

    @property
    def port(self) -> int:
        return self.place.kafka_second_port

    def ports(self) -> list[int]:
        return [self.port]

    def controller_listener(self) -> str:
        return ""

    def cluster(self, tool: list[str | Path]) -> str:
        """That of the first one, which must have been started."""
        for line in (self.place.run / Broker.name / "data" / "meta.properties").read_text().splitlines():
            if line.startswith("cluster.id="):
                return line.partition("=")[2]
        raise ServiceError("the first broker has not been started yet")


def _settle(fresh: Path, final: Path) -> None:
    """Whoever comes second uses what the first has unpacked."""
    try:
        fresh.rename(final)
    except OSError:
        shutil.rmtree(fresh)
        if not final.is_dir():
            raise
