"""One configuration for all roles: `{role}` in users and secret files, and where secrets lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from soc.app.config import Config, load_config
from soc.app.credentials import Role, as_role

FILE: dict[str, Any] = {
    "bus": {
        "type": "kafka",
        "bootstrap": ["kafka.example:9092"],
        "user": "soc-{role}",
        "password_file": "kafka-soc-{role}.password",
    },
    "store": {"type": "elasticsearch", "hosts": ["https://search.example"], "api_key_file": "/etc/soc/{role}.key"},
    "kibana": {"url": "https://kibana.example", "api_key_file": "kibana.key"},
}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "soc.yaml"
    file.write_text(yaml.safe_dump(FILE))
    return load_config(file, {})


@pytest.mark.parametrize("role", get_args(Role))
def test_each_role_has_its_own_user_and_secrets(config: Config, role: Role) -> None:
    seen: Any = as_role(config, role, {})
    assert seen.bus.user == f"soc-{role}"
    assert seen.bus.password_file == Path(f"kafka-soc-{role}.password")
    assert seen.store.api_key_file == Path(f"/etc/soc/{role}.key")


def test_a_relative_secret_is_taken_from_the_credentials_folder_if_it_lies_there(
    config: Config, tmp_path: Path
) -> None:
    (tmp_path / "kafka-soc-detect.password").write_text("x")
    seen: Any = as_role(config, "detect", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert seen.bus.password_file == tmp_path / "kafka-soc-detect.password"
    assert seen.kibana.api_key_file == Path("kibana.key"), "it does not lie there"
    assert seen.store.api_key_file == Path("/etc/soc/detect.key"), "an absolute path is what it says"


def test_a_credentials_folder_that_may_not_be_read_is_no_bug(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    inside = tmp_path / "file" / "deeper"
    seen: Any = as_role(config, "detect", {"CREDENTIALS_DIRECTORY": str(inside)})
    assert seen.bus.password_file in (Path("kafka-soc-detect.password"), inside / "kafka-soc-detect.password")


def test_the_configuration_itself_stays_as_it_is(config: Config) -> None:
    before = config.model_dump_json()
    as_role(config, "detect", {})
    assert config.model_dump_json() == before


def test_files_of_this_machine_have_no_secrets() -> None:
    config = Config()
    assert as_role(config, "detect", {"CREDENTIALS_DIRECTORY": "/run/credentials"}) is config
