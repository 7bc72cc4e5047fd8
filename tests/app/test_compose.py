"""deploy/compose: no container engine is needed to see that what it names exists, is pinned, closed and healthy."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from soc.app.cli import app
from soc.app.config import Config, load_config
from soc.app.config_kibana import KibanaConfig
from soc.app.credentials import as_role
from soc.bus.kafka.acls import load_acls
from soc.store.elasticsearch.keys import load_keys

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("soc:")}
JOBS = {name: service for name, service in SERVICES.items() if service.get("restart") == "no"}
WORKERS = {name: service for name, service in OURS.items() if name not in JOBS}

#: The keys of a service that we use, and what each holds: a small part of the Compose specification,
#: https://github.com/compose-spec/compose-spec/blob/main/05-services.md
KEYS = {
    "build": dict,
    "cap_drop": list,
    "command": list,
    "configs": list,
    "depends_on": dict,
    "deploy": dict,
    "entrypoint": list,
    "environment": dict,
    "healthcheck": dict,
    "hostname": str,
    "image": str,
    "logging": dict,
    "networks": list,
    "ports": list,
    "profiles": list,
    "pull_policy": str,
    "read_only": bool,
    "restart": str,
    "secrets": list,
    "security_opt": list,
    "stop_grace_period": str,
    "tmpfs": list,
    "ulimits": dict,
    "volumes": list,
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
CONDITIONS = {"service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"\d+(?:s|m|h)")


def sources(service: dict[str, Any], key: str) -> list[str]:
    """Names of the secrets or configs that a service is given."""
    return [entry if isinstance(entry, str) else entry["source"] for entry in service.get(key, [])]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_known_keys_of_the_right_kind(name: str) -> None:
    service = SERVICES[name]
    assert {key: value for key, value in service.items() if not isinstance(value, KEYS.get(key, ()))} == {}
    assert all(isinstance(value, str) for value in service.get("environment", {}).values())
    words = [word for key, kind in KEYS.items() if kind is list for word in service.get(key, ())]
    assert [word for word in words if not isinstance(word, str) and set(word) != {"source", "target"}] == []
    assert service["restart"] in ("no", "unless-stopped")
    assert DURATION.fullmatch(service["stop_grace_period"])


def test_the_file_has_known_sections() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} == {
        "name",
        "services",
        "networks",
        "volumes",
        "configs",
        "secrets",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert {service["image"] for service in OURS.values()} == {f"soc:{project['project']['version']}"}
    search, kibana = (SERVICES[name]["image"].rpartition(":")[2] for name in ("elasticsearch", "kibana"))
    assert search == kibana, "Kibana works with its own version alone"
    assert kibana.startswith(f"{KibanaConfig().version}."), "the content is made for another version"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback(name: str) -> None:
    assert [p for p in SERVICES[name].get("ports", []) if not p.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_whoever_stays_has_a_health_check(name: str) -> None:
    if name in JOBS:
        assert "healthcheck" not in SERVICES[name]
        return
    check = SERVICES[name]["healthcheck"]
    assert set(check) == HEALTH_KEYS
    assert check["test"][0] == "CMD-SHELL"
    assert all(DURATION.fullmatch(check[key]) for key in ("interval", "timeout", "start_period"))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_write_to_their_volumes_alone(name: str) -> None:
    assert OURS[name]["read_only"] is True
    assert "/tmp" in OURS[name]["tmpfs"]


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_that_hangs_ends_itself(name: str) -> None:
    assert float(WORKERS[name]["environment"]["SOC_WATCHDOG_S"]) > 0


def test_host_names_of_workers_are_fixed_and_differ() -> None:
    """They are part of the names of Kafka's static members: a container that is made anew must be the same member."""
    names = [service["hostname"] for service in WORKERS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_declared(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(sources(service, "secrets")) <= set(COMPOSE["secrets"])
    assert set(sources(service, "configs")) <= set(COMPOSE["configs"])
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or source == "./secrets"
    for other, how in service.get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in CONDITIONS
        assert (other in JOBS) is (how["condition"] == "service_completed_successfully")


def test_what_is_declared_is_used() -> None:
    for kind in ("secrets", "configs"):
        assert {one for service in SERVICES.values() for one in sources(service, kind)} == set(COMPOSE[kind])
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert set(COMPOSE["volumes"]) == used - {"./secrets"}


def test_configuration_files_exist() -> None:
    assert [one for one in COMPOSE["configs"].values() if not (HERE / one["file"]).is_file()] == []


# ---------------------------------------------------------------- commands and rights


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not (inner := getattr(node, "commands", None)):
        yield path
    for name, child in (inner or {}).items():
        yield from commands(child, (*path, name))


TYPED = set(commands(typer.main.get_command(app)))


def words_of(line: list[str]) -> tuple[str, ...]:
    return tuple(line[: next((n for n, word in enumerate(line) if word.startswith("-")), len(line))])


@pytest.mark.parametrize("name", [name for name, service in OURS.items() if "command" in service])
def test_commands_of_our_containers_exist(name: str) -> None:
    assert words_of(OURS[name]["command"]) in TYPED


def test_commands_of_the_accounts_script_exist() -> None:
    lines = re.findall(
        r"^\s*(?:key\(\) \{ )?run ((?!\(\))[a-z].*?)(?:;|$)", (HERE / "accounts").read_text(), re.MULTILINE
    )
    found = [tuple(word for word in line.split() if re.fullmatch(r"[a-z-]+", word)) for line in lines]
    assert len(found) == 3
    assert [words for words in found if not any(words[: len(known)] == known for known in TYPED)] == []


def settings(file: str = "soc.yaml") -> Config:
    return load_config(HERE / file, {})


ROLES = {"collect": "collect", "detect-0": "detect", "detect-1": "detect", "alert": "alert", "watch": "watch"} | {
    "topics": "admin",
    "store": "admin",
}


@pytest.mark.parametrize("name", ROLES)
def test_each_container_has_the_secrets_of_its_own_role_and_no_others(name: str) -> None:
    config = as_role(settings(), ROLES[name], {})  # type: ignore[arg-type]
    bus, store = str(config.bus.password_file), str(config.store.api_key_file)  # type: ignore[union-attr]
    wanted = {"ca.pem", bus, store} - ({store} if name in ("collect", "topics") else set())
    wanted -= {bus} if name == "store" else set()
    assert set(sources(OURS[name], "secrets")) == wanted


def test_super_users_are_for_the_setup_alone() -> None:
    for secret in ("kafka-admin.password", "elastic.password"):
        holders = {name for name, service in SERVICES.items() if secret in sources(service, "secrets")}
        assert holders & set(OURS) == {"setup"}
    admin = settings("admin.yaml")
    assert (admin.bus.user, admin.store.user) == ("admin", "elastic")  # type: ignore[union-attr]


def test_the_configurations_name_the_servers_that_are_there() -> None:
    for file in ("soc.yaml", "admin.yaml"):
        config = settings(file)
        assert [host.partition(":")[0] for host in config.bus.bootstrap] == ["kafka"]  # type: ignore[union-attr]
        assert config.store.hosts == ["https://elasticsearch:9200"]  # type: ignore[union-attr]


# ---------------------------------------------------------------- secrets


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ./prepare makes, really run."""
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    environment = os.environ | {"SOC_SECRETS_OWNER": f"{os.getuid()}:{os.getgid()}"}
    subprocess.run([str(HERE / "prepare"), str(folder)], env=environment, check=True, capture_output=True)
    return folder


def by_accounts() -> set[str]:
    """Files that ./accounts makes."""
    text = (HERE / "accounts").read_text("utf-8")
    (components,) = re.findall(r"for component in ([^;]+);", text)
    return {f"elasticsearch-{component}.key" for component in components.split()} | {"kibana.yml"}


def test_every_secret_is_made_by_a_script_and_listed_in_the_readme(prepared: Path) -> None:
    listed = set(re.findall(r"^\| `([\w.-]+)` \|", (HERE / "README.md").read_text("utf-8"), re.MULTILINE))
    for name, where in COMPOSE["secrets"].items():
        assert where == {"file": f"secrets/{name}"}
        assert (prepared / name).is_file() or name in by_accounts(), f"nobody makes {name}"
        assert name in listed, f"README.md does not say what {name} is"


def test_secrets_are_nobody_elses_to_read_and_stay(prepared: Path) -> None:
    before = {path.name: path.read_bytes() for path in prepared.iterdir()}
    assert {path.stat().st_mode & 0o777 for path in prepared.iterdir()} == {0o400}
    environment = os.environ | {"SOC_SECRETS_OWNER": f"{os.getuid()}:{os.getgid()}"}
    subprocess.run([str(HERE / "prepare"), str(prepared)], env=environment, check=True, capture_output=True)
    assert {path.name: path.read_bytes() for path in prepared.iterdir()} == before
    passwords = [text for name, text in before.items() if name.endswith(".password")]
    assert len(set(passwords)) == len(passwords)
    assert min(map(len, passwords)) >= 32


@pytest.mark.parametrize("name", ["kafka", "elasticsearch", "kibana"])
def test_certificates_are_signed_for_their_hosts(prepared: Path, name: str) -> None:
    check = ["openssl", "verify", "-CAfile", str(prepared / "ca.pem"), "-verify_hostname", name]
    assert subprocess.run([*check, str(prepared / f"{name}.crt")], capture_output=True).returncode == 0


def test_every_kafka_user_gets_a_password_and_every_key_has_its_rights(prepared: Path) -> None:
    users = {user for component in load_acls(ROOT / "deploy/kafka/acls.yaml") for user in component.users}
    assert {user for user in users if not (prepared / f"kafka-{user}.password").is_file()} == set()
    keys = {name.removeprefix("elasticsearch-").removesuffix(".key") for name in by_accounts() - {"kibana.yml"}}
    assert keys <= set(load_keys(ROOT / "deploy/elasticsearch/keys.yaml"))


def test_secrets_are_kept_out_of_the_repository_and_of_the_image() -> None:
    ignored = (HERE / ".gitignore").read_text("utf-8").splitlines()
    assert "secrets/" in ignored
    sent = (HERE / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert "*" in sent
    assert [line for line in sent if line.startswith("!deploy/compose")] == []


# ---------------------------------------------------------------- the image and the scripts


def test_the_image_is_built_from_the_lock_file_and_runs_without_root() -> None:
    text = (HERE / "Dockerfile").read_text("utf-8")
    assert len(re.findall(r"^FROM python:\d+\.\d+\.\d+-slim-bookworm(?: AS \w+)?$", text, re.MULTILINE)) == 2
    assert "--require-hashes requirements.lock" in text
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1000:1000"]


def test_what_the_image_copies_exists_and_is_sent_to_the_engine() -> None:
    text = (HERE / "Dockerfile").read_text("utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    sent = {line[1:] for line in (HERE / "Dockerfile.dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    assert len(copied) > 5
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert set(copied) == sent


@pytest.mark.parametrize("script", ["prepare", "accounts", "kafka/start"])
def test_scripts_are_syntactically_right(script: str) -> None:
    shell = (HERE / script).read_text().splitlines()[0].removeprefix("#!")
    assert subprocess.run([shell, "-n", str(HERE / script)], capture_output=True).returncode == 0
