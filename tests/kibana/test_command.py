"""The command as an operator types it: what it prints, writes and returns."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soc.app.cli import main
from soc.app.config import load_config
from soc.app.kibana_content import drift
from tests.app.conftest import Ran
from tests.kibana.double import KEY, Double, served

Soc = Callable[..., Ran]


@pytest.fixture
def double() -> Double:
    return Double()


@pytest.fixture
def config(double: Double, tmp_path: Path) -> Iterator[Path]:
    """A configuration with one access group, over a local double of Kibana."""
    (tmp_path / "kibana.key").write_text(f"{KEY}\n", "utf-8")
    with served(double) as url:
        path = tmp_path / "soc.yaml"
        path.write_text(
            f"""
data_dir: {tmp_path}
console_url: https://soc.tinh.example
rules: [rules/web]
store:
  type: elasticsearch
  hosts: ["http://127.0.0.1:9"]
  namespaces:
    - {{name: yen_son, units: ["vn:xa:02473@2025-07-01"]}}
kibana: {{url: "{url}", api_key_file: {tmp_path}/kibana.key}}
""",
            "utf-8",
        )
        yield path


@pytest.fixture
def soc(root: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Soc:
    """Runs `soc kibana …` in the checkout and in this process, as its entry point does."""

    def run(*words: str, path: Path = config) -> Ran:
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", ["soc", "kibana", *words, "--config", str(path)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def test_apply_shows_a_diff_applies_it_once_and_then_has_nothing_to_do(soc: Soc, double: Double) -> None:
    dry = soc("apply", "--dry-run")
    assert dry.code == 1
    assert "+ create  space     soc  SOC" in dry.out
    assert "+ create  dashboard soc-yen-son/soc-yen-son-unit  SOC 2. Một đơn vị" in dry.out
    assert double.writes() == []
    assert soc("apply").code == 0
    assert double.spaces["soc-yen-son"]["name"] == "Xã Yên Sơn"
    again = soc("apply", "--dry-run", "--json")
    assert (again.code, again.json["schema"], again.json["applied"]) == (0, 1, False)
    assert {change["action"] for change in again.json["changes"]} == {"same"}
    double.objects[("dashboard", "soc", "soc-unit")]["description"] = "đã sửa"
    changed = soc("apply", "--json")
    (one,) = [change for change in changed.json["changes"] if change["action"] != "same"]
    assert (changed.code, one) == (
        0,
        {
            "action": "update",
            "kind": "dashboard",
            "space": "soc",
            "id": "soc-unit",
            "title": "SOC 2. Một đơn vị",
            "why": ["description"],
        },
    )


def test_export_writes_the_same_bytes_twice_and_names_what_is_left_over(soc: Soc, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = soc("export", "--out", str(out), "--mode", "single", "--json")
    written = {path: (out / path).read_bytes() for path in first.json["files"]}
    names = {"soc/space.json", "soc/role.json", "soc/rules.ndjson", "soc-yen-son/dashboards/soc-yen-son-host.json"}
    assert names < set(written)
    assert json.loads(written["soc/rules.ndjson"])["rule_id"] == "soc-promotion-tinh"
    (out / "soc" / "dashboards" / "soc-old.json").write_text("{}")
    again = soc("export", "--out", str(out), "--mode", "single")
    assert "soc-old.json: of an earlier export" in again.err
    assert {path: (out / path).read_bytes() for path in written} == written
    soc("export", "--out", str(out), "--mode", "per-rule")
    assert len((out / "soc" / "rules.ndjson").read_text("utf-8").splitlines()) > 3


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("kibana: {url", "kibana: {ur1", "did you mean 'url'"),
        ("api_key_file: ", "api_key_file: /nowhere", "the secret cannot be read"),
        ("kibana: {", 'kibana: {version: "9.3", ', "has no Dashboards API"),
        ("kibana: {", "kibana: {spaces: [{namespace: yenson}], ", "did you mean 'yen_son'"),
        ("kibana: {", "kibana: {content: nowhere, ", "words.yml: cannot be read"),
    ],
    ids=["unknown key", "no key file", "old version", "unknown group", "no content"],
)
def test_a_wrong_configuration_is_a_sentence(soc: Soc, config: Path, old: str, new: str, why: str) -> None:
    config.write_text(config.read_text("utf-8").replace(old, new, 1), "utf-8")
    ended = soc("apply", "--dry-run")
    assert (ended.code, why in ended.err) == (3, True), ended.err


def test_the_key_may_lie_where_a_service_manager_puts_it(
    soc: Soc, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd and the containers: $CREDENTIALS_DIRECTORY."""
    config.write_text(config.read_text("utf-8").replace(f"{tmp_path}/kibana.key", "kibana.key"), "utf-8")
    assert soc("apply", "--dry-run").code == 3
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert soc("apply", "--dry-run").code == 1


def test_kibana_is_for_elasticsearch_and_has_an_address(soc: Soc, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text('kibana: {url: "http://127.0.0.1:9"}\n', "utf-8")
    ended = soc("export", "--out", str(tmp_path / "out"), path=path)
    assert (ended.code, "store.type is sqlite" in ended.err) == (3, True)
    path.write_text('store: {type: elasticsearch, hosts: ["http://127.0.0.1:9"]}\n', "utf-8")
    ended = soc("apply", path=path)
    assert (ended.code, "kibana.url is not set" in ended.err) == (3, True)


def test_nobody_at_the_address_is_exit_4(soc: Soc, config: Path) -> None:
    text = config.read_text("utf-8")
    url = text.partition('url: "')[2].partition('"')[0]
    config.write_text(text.replace(url, "http://127.0.0.1:9"), "utf-8")
    ended = soc("apply")
    assert (ended.code, "does not answer" in ended.err) == (4, True), ended.err


def test_drift_is_what_apply_would_do_and_what_was_edited(
    soc: Soc, config: Path, root: Path, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    settled = load_config(config)
    assert {change.action for change in drift(settled)} == {"create"}
    assert soc("apply").code == 0
    assert drift(settled) == []
    double.objects[("dashboard", "soc", "soc-unit")]["title"] = "Của tôi"
    assert [(change.action, change.item.id) for change in drift(settled)] == [("edited", "soc-unit")]
