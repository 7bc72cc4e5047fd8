"""deploy/systemd: units that name what exists, are watched, and confined; checked without systemd."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from soc.app.cli import CONTENT, USAGE, app
from soc.app.config import load_config
from soc.app.credentials import as_role
from soc.app.supervisor import _STOP_S, _STUCK_S

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(path.name for path in FOLDER.glob("*.service"))
ROLES = {"soc-collect.service": "collect", "soc-detect@.service": "detect", "soc-alert@.service": "alert"} | {
    "soc-watch.service": "watch"
}

Section = dict[str, list[str]]


def parsed(name: str) -> dict[str, Section]:
    """Sections of a unit as systemd.syntax(7) has them: keys may stand several times; lines of # and ; are comments."""
    unit: dict[str, Section] = {}
    section: Section = {}
    for number, line in enumerate((FOLDER / name).read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            assert line.endswith("]"), f"{name}:{number}"
            section = unit.setdefault(line[1:-1], {})
            continue
        key, equals, value = line.partition("=")
        assert equals and key.isalnum() and value == value.strip(), f"{name}:{number}: {line}"
        section.setdefault(key, []).append(value)
    return unit


def service(name: str) -> Section:
    return parsed(name)["Service"]


#: Directives by systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5); a word that is not here is
#: misspelt, which systemd only warns of.
KNOWN = {
    "Unit": "Description Documentation Wants After PartOf Conflicts StartLimitIntervalSec",
    "Install": "WantedBy",
    "Service": """
        Type NotifyAccess ExecStart User Group WorkingDirectory Environment StateDirectory StateDirectoryMode
        LoadCredential Restart RestartSec RestartPreventExitStatus TimeoutStartSec WatchdogSec KillMode TimeoutStopSec
        NoNewPrivileges CapabilityBoundingSet AmbientCapabilities ProtectSystem ProtectHome ProtectClock
        ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc
        PrivateDevices PrivateMounts PrivateTmp RemoveIPC RestrictAddressFamilies RestrictNamespaces RestrictRealtime
        RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute KeyringMode SystemCallArchitectures SystemCallFilter
        SystemCallErrorNumber UMask LimitCORE LimitNOFILE""",
}


@pytest.mark.parametrize("name", [*UNITS, "soc.target"])
def test_units_have_known_directives(name: str) -> None:
    for section, keys in parsed(name).items():
        assert set(keys) <= set(KNOWN[section].split()), section


def commands(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    inner = getattr(node, "commands", None)
    if not inner:
        yield path, {option for parameter in node.params for option in parameter.opts}
    for name, child in (inner or {}).items():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize("name", UNITS)
def test_the_command_exists_with_its_options(name: str) -> None:
    (line,) = service(name)["ExecStart"]
    program, *words = shlex.split(line)
    assert program == "/opt/soc/.venv/bin/soc"
    known = dict(commands(typer.main.get_command(app)))
    options = known[tuple(words[:2])]
    assert {word for word in words if word.startswith("--")} <= options
    assert words[-2:] == ["--config", "/etc/soc/soc.yaml"]


@pytest.mark.parametrize("name", UNITS)
def test_a_stuck_process_is_started_again_and_a_wrong_one_is_not(name: str) -> None:
    unit = service(name)
    assert unit["Type"] == ["notify"]
    assert float(unit["WatchdogSec"][0]) >= _STUCK_S
    assert float(unit["TimeoutStopSec"][0]) > _STOP_S
    assert unit["Restart"] == ["always"]
    assert {int(code) for code in unit["RestartPreventExitStatus"][0].split()} == {USAGE, CONTENT}
    assert parsed(name)["Unit"]["StartLimitIntervalSec"] == ["0"]


CONFINED = {
    "NoNewPrivileges": ["yes"],
    "CapabilityBoundingSet": [""],
    "AmbientCapabilities": [""],
    "ProtectSystem": ["strict"],
    "ProtectHome": ["yes"],
    "PrivateDevices": ["yes"],
    "PrivateTmp": ["yes"],
    "MemoryDenyWriteExecute": ["yes"],
    "RestrictAddressFamilies": ["AF_UNIX AF_INET AF_INET6"],
    "RestrictNamespaces": ["yes"],
    "SystemCallFilter": ["@system-service", "~@privileged @resources"],
    "SystemCallArchitectures": ["native"],
    "UMask": ["0077"],
    "User": ["soc"],
    "StateDirectory": ["soc"],
}


@pytest.mark.parametrize("name", UNITS)
def test_every_unit_is_confined_alike(name: str) -> None:
    unit = service(name)
    assert {key: unit.get(key) for key in CONFINED} == CONFINED
    assert "SOC_DATA_DIR=/var/lib/soc" in unit["Environment"]


@pytest.mark.parametrize("name", ROLES)
def test_each_role_is_given_the_secrets_that_its_configuration_looks_up_and_no_others(
    name: str, tmp_path: Path
) -> None:
    """With the configuration of docs/deploy.md, in which secrets are relative and named by {role}."""
    given = dict(one.split(":") for one in service(name)["LoadCredential"])
    assert set(given.values()) == {f"/etc/soc/secrets/{target}" for target in given}
    for target in given:
        (tmp_path / target).write_text("secret")
    config = load_config(ROOT / "deploy" / "compose" / "soc.yaml", {})  # the same names are used there
    seen = as_role(config, ROLES[name], {"CREDENTIALS_DIRECTORY": str(tmp_path)})  # type: ignore[arg-type]
    looked_up = {seen.bus.password_file, seen.store.api_key_file}  # type: ignore[union-attr]
    found = {path.name for path in looked_up if path is not None and path.parent == tmp_path}
    assert found == set(given)
    assert f"kafka-soc-{ROLES[name]}.password" in found
    assert (f"elasticsearch-{ROLES[name]}.key" in found) is (name != "soc-collect.service")


def test_the_roles_belong_to_the_target_and_exclude_the_unit_that_runs_all() -> None:
    assert set(ROLES) | {"soc.service"} == set(UNITS)
    for name in ROLES:
        unit = parsed(name)
        assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == ["soc.target"]
    assert parsed("soc.target")["Unit"]["Conflicts"] == ["soc.service"]
    assert parsed("soc.service")["Unit"]["Conflicts"] == ["soc.target"]


def test_templates_pass_their_number_on() -> None:
    for name in UNITS:
        (line,) = service(name)["ExecStart"]
        assert ("--number %i" in line) is ("@" in name)
