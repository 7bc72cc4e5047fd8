"""The configuration: what is right is read, what is wrong is named with its line and the nearest right word."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from soc.app.config import Config, FileConfig, HttpConfig, SyslogConfig, load_config
from soc.event import ContentErrors


def written(folder: Path, text: str) -> Path:
    path = folder / "soc.yaml"
    path.write_text(text, "utf-8")
    return path


def mistakes(folder: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ContentErrors) as caught:
        load_config(written(folder, text), {})
    return sorted((e.line, e.why) for e in caught.value.errors)


def test_the_shipped_configuration_is_right(root: Path) -> None:
    config = load_config(root / "deploy/embedded.yaml", {})
    assert [type(c) for c in config.collect] == [SyslogConfig, HttpConfig]


def test_nothing_configured_is_the_embedded_default() -> None:
    config = load_config(None, {})
    assert (config.bus.type, config.store.type, config.data_dir) == ("sqlite", "sqlite", Path("var"))


def test_the_environment_moves_the_data(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "data_dir: a\n"), {"SOC_DATA_DIR": "/b"}).data_dir == Path("/b")


def test_durations_are_written_as_people_write_them(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "detect: {lateness: 90s}\n"), {}).detect.lateness == timedelta(seconds=90)


def test_a_dumped_configuration_is_read_back_as_it_was(tmp_path: Path, root: Path) -> None:
    import yaml

    config = load_config(root / "deploy/embedded.yaml", {})
    assert load_config(written(tmp_path, yaml.safe_dump(config.model_dump(mode="json"))), {}) == config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("colect: []\n", [(1, "unknown key 'colect'; did you mean 'collect'?")]),
        ("bus:\n  type: sqlite\n  partition: 3\n", [(3, "unknown key 'partition'; did you mean 'partitions'?")]),
        (
            "collect:\n  - type: syslog\n    sorce: x\n",
            [(3, "unknown key 'sorce'; did you mean 'source'?")],
        ),
        ("collect:\n  - {type: fil, paths: [a]}\n", [(2, "collect.0: type is one of syslog, http, file")]),
        ("collect:\n  - {type: file, paths: []}\n", [(2, "collect.0.paths is empty")]),
        (
            "detect: {lateness: 5 x}\n",
            [(1, "detect.lateness '5 x' is not a duration; write a number and s, m, h, d or w, such as 8h")],
        ),
        ("data_dir: a\ndata_dir: b\n", [(2, "key 'data_dir' stands twice (first in line 1)")]),
        ("- a\n", [(0, "expected a mapping of settings")]),
        ("a: [\n", [(2, "did not find expected node content")]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, expected: list[tuple[int, str]]) -> None:
    assert mistakes(tmp_path, text) == expected


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert len(mistakes(tmp_path, "colect: []\nbus: {partition: 3}\ndetect: {batch: -1}\n")) == 3


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ContentErrors, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml", {})


def test_file_collectors_have_what_the_file_says(tmp_path: Path) -> None:
    text = 'collect:\n  - {type: file, paths: ["/var/log/a*"], source: nginx_access, unit: "vn:xa:1@2025-07-01"}\n'
    config = load_config(written(tmp_path, text), {})
    assert config.collect == [
        FileConfig(type="file", paths=["/var/log/a*"], source="nginx_access", unit="vn:xa:1@2025-07-01")
    ]
    assert isinstance(config, Config)
