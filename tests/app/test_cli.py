"""The command line: every command explains itself, and a mistake gets a sentence and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from soc.app.cli import app
from soc.app.commands.options import hoisted
from tests.app.conftest import Soc


def commands() -> list[tuple[str, typer.models.CommandInfo | None]]:
    """Every command of the tree with its path."""
    found = []

    def walk(group: typer.Typer, path: str) -> None:
        for command in group.registered_commands:
            assert command.callback is not None
            found.append((f"{path} {command.name or command.callback.__name__}", command))
        for inner in group.registered_groups:
            assert inner.typer_instance is not None
            walk(inner.typer_instance, f"{path} {inner.typer_instance.info.name}")

    walk(app, "soc")
    return found


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_every_command_says_what_it_does(path: str) -> None:
    command = dict(commands())[path]
    assert command is not None and command.callback is not None
    text = command.help or command.callback.__doc__ or ""
    assert len(text.split()) >= 3, f"{path} has no help"


def test_help_is_there_and_costs_no_engine(soc: Soc) -> None:
    ran = soc("--help")
    assert ran.code == 0
    for word in ("hunt", "ingest", "alerts", "events", "ledger", "rules", "sources", "demo"):
        assert word in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["alerts", "list", "--level", "huge"], 2, "level is one of"),
        (["alerts", "show", "abcdef12"], 2, "no alert abcdef12"),
        (["alerts", "close", "abcdef12"], 2, "--verdict"),
        (["alerts", "list", "--since", "yesterday"], 2, "is no time; write"),
        (["events", "search", "a:("], 2, ""),
        (["hunt", "/nowhere"], 2, "/nowhere does not exist"),
        (["hunt", "Makefile", "--rules", "/nowhere"], 3, "/nowhere: does not exist"),
        (["hunt", "Makefile", "--source", "nginx"], 2, "no source 'nginx'"),
        (["parse", "Makefile", "--received", "noon"], 2, "--received"),
        (["check", "--config", "/nowhere.yaml"], 3, "/nowhere.yaml: cannot be read"),
        (["rules", "why", "R999"], 2, "no code R999"),
    ],
)
def test_a_mistake_gets_a_sentence_and_its_code(soc: Soc, arguments: list[str], code: int, sentence: str) -> None:
    ran = soc(*arguments)
    assert (ran.code, "Traceback" in ran.err) == (code, False), ran.err
    assert sentence in " ".join(ran.err.split())
    assert ran.out == ""


def test_language_and_user_may_stand_anywhere() -> None:
    assert hoisted(["alerts", "ack", "x", "--user", "nva", "--lang=en"]) == [
        *("--user", "nva", "--lang=en"),
        *("alerts", "ack", "x"),
    ]
    assert hoisted(["events", "search", "--", "--lang"]) == ["events", "search", "--", "--lang"]


def test_nothing_but_json_is_on_stdout(soc: Soc) -> None:
    for arguments in (["alerts", "list", "--json"], ["events", "search", "*", "--json"], ["ledger", "--json"]):
        assert soc(*arguments).json["schema"] == 1
    assert soc("sources", "list", "--json").json["sources"][0].keys() == {
        "name", "title", "format", "logsources", "samples",
    }  # fmt: skip


def test_a_full_configuration_passes_the_check(soc: Soc) -> None:
    ran = soc("check", "--no-environment", "--json")
    assert (ran.code, ran.json["errors"], ran.json["findings"]) == (0, [], []), ran.err


def test_a_collector_of_an_unknown_source_or_unit_is_found_before_it_runs(soc: Soc, tmp_path: Path) -> None:
    config = tmp_path / "soc.yaml"
    config.write_text('collect:\n  - {type: file, paths: [/x], source: ngix_access, unit: "vn:xa:99999@2025-07-01"}\n')
    ran = soc("check", "--no-environment", "--config", config, "--json")
    assert ran.code == 3
    assert [e["message"].split(";")[0] for e in ran.json["errors"]] == [
        "no source 'ngix_access'",
        "no administrative unit 'vn:xa:99999@2025-07-01'",
    ]
