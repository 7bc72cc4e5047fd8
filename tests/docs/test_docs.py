"""What the pages say exists: commands, options, configuration keys, links, examples."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from soc.app import config
from soc.app.cli import app
from soc.app.commands.options import EVERYWHERE
from soc.author.cases import load_cases
from soc.author.lint import CODES
from soc.author.verify import verify
from soc.detect import load_rules
from soc.event import RECORD_ERROR_CODES, ContentErrors
from soc.normalize import load_sources
from soc.parse import DECODERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page: page.read_text("utf-8") for page in PAGES}
EVERYTHING = "\n".join(TEXT.values())
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: A command stands on a line of its own in an example, or between backticks.
QUOTED = re.compile(r"(?:^(?:\$ |ExecStart=\S*/)?|`(?:\S*/)?)(soc [a-z][^`\n]*)", re.MULTILINE)
#: Roles and packages whose names are written without being typed.
NO_COMMAND = re.compile(r"^soc (?:reads|soc )")


def tree(command: Any, path: tuple[str, ...] = ("soc",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that can be typed, with its words."""
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
        return
    for name, child in inner.items():
        yield from tree(child, (*path, name))


COMMANDS = dict(tree(typer.main.get_command(app)))


def quoted(text: str) -> list[str]:
    """Command lines in a page: without comments, and the words that `…` leaves to the reader."""
    found = []
    for line in QUOTED.findall(text):
        line = re.split(r"\s#|\s{3,}| && ", line)[0].strip()
        if not NO_COMMAND.match(line):
            found.append(line)
    return found


QUOTES = sorted({(page.name, line) for page, text in TEXT.items() for line in quoted(text)})


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings, of sections of every type; collectors apart."""
    for name, field in model.model_fields.items():
        types = {"bus": config.BUSES, "store": config.STORES}.get(prefix + name, {"": field.annotation})
        for inner in types.values():
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from keys(inner, f"{prefix}{name}.")
            else:
                yield prefix + name


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_named_in_the_docs(words: tuple[str, ...]) -> None:
    line = re.compile(rf"\b{re.escape(' '.join(words))}\b")
    assert any(line.search(text) for text in TEXT.values()), f"no page names `{' '.join(words)}`"


def test_pages_quote_command_lines() -> None:
    assert len(QUOTES) > 40


@pytest.mark.parametrize(("page", "line"), QUOTES, ids=[f"{page}: {line}" for page, line in QUOTES])
def test_quoted_command_lines_can_be_typed(page: str, line: str) -> None:
    words = [word for word in shlex.split(line) if word != "…"]
    path = next((tuple(words[:n]) for n in (4, 3, 2) if tuple(words[:n]) in COMMANDS), None)
    if path is None and any(known[: len(words)] == tuple(words) for known in COMMANDS):
        return  # a group of commands, such as `soc alerts`
    assert path is not None, f"there is no command {line!r}"
    command = COMMANDS[path]
    options = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {*EVERYWHERE, "--help"}
    for word in words[len(path) :]:
        if re.fullmatch(r"--?[a-z][\w-]*", word):
            assert word in options, f"{' '.join(path)} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_relative_links_resolve(page: Path) -> None:
    for target in LINK.findall(TEXT[page]):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


def test_every_setting_is_documented() -> None:
    operators = TEXT[ROOT / "docs" / "operators.md"]
    missing = [key for key in keys(config.Config) if f"| `{key}` |" not in operators]
    assert missing == []


@pytest.mark.parametrize("kind", [config.SyslogConfig, config.HttpConfig, config.FileConfig], ids=lambda k: k.__name__)
def test_every_setting_of_a_collector_is_documented(kind: type[BaseModel]) -> None:
    operators = TEXT[ROOT / "docs" / "operators.md"]
    name = kind.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
    start = operators.index(f"**`type: {name}`**")
    section = (
        operators[operators.index("### Collectors") : operators.index("**`type:")]
        + operators[start:].partition("\n**`type:")[0]
    )
    assert [key for key in kind.model_fields if f"`{key}`" not in section and key != "type"] == []


def test_documented_defaults_are_the_defaults() -> None:
    operators = TEXT[ROOT / "docs" / "operators.md"]
    documented = dict(re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \|", operators, re.MULTILINE))
    for key in ("bus.partitions", "store.retention_days", "spool.max_mb", "spool.min_free_percent", "detect.batch"):
        value: Any = config.Config()
        for part in key.split("."):
            value = getattr(value, part)
        assert documented[key] == f"{value:g}"


def test_every_exit_code_and_record_code_is_documented() -> None:
    from soc.app import cli

    operators = TEXT[ROOT / "docs" / "operators.md"]
    codes = (cli.OK, cli.FINDINGS, cli.USAGE, cli.CONTENT, cli.UNREACHABLE, cli.BUG, cli.INTERRUPTED)
    assert [code for code in codes if f"| {code} |" not in operators] == []
    assert [code for code in RECORD_ERROR_CODES if f"`{code}`" not in operators] == []


def test_every_lint_code_is_documented() -> None:
    assert [c for c in CODES if f"| {c} | {CODES[c][0]} |" not in TEXT[ROOT / "docs" / "rule-authors.md"]] == []


def test_every_decoder_is_documented() -> None:
    sources = TEXT[ROOT / "docs" / "source-authors.md"].partition("## Decoders")[2].partition("\n## ")[0]
    assert [name for name in DECODERS if f"`{name}`" not in sources] == []


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[<>=]", one)[0] for one in wanted}
    assert {n for n in names if f"`{n}`" not in TEXT[ROOT / "docs" / "dependencies.md"]} == set()


def examples(page: str, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(TEXT[ROOT / "docs" / page]) if kind == language]


def test_the_rule_and_the_filter_of_the_guide_load(tmp_path: Path) -> None:
    for number, body in enumerate(examples("rule-authors.md", "yaml")):
        if body.startswith("title:"):
            (tmp_path / f"{number}.yml").write_text(body, "utf-8")
    loaded = load_rules([tmp_path])
    assert loaded.refused == []
    assert len(loaded.rules) == len(loaded.filters) == 1


def test_the_test_file_of_the_guide_passes(tmp_path: Path) -> None:
    body = next(body for body in examples("rule-authors.md", "yaml") if body.startswith("rule:"))
    (tmp_path / "guide.test.yaml").write_text(body, "utf-8")
    rules, sources = load_rules([ROOT / "rules"]), load_sources([ROOT / "pipelines" / "sources"])
    cases = load_cases(tmp_path / "guide.test.yaml")
    assert [(case.name, outcome.why) for case in cases if not (outcome := verify(case, rules, sources)).passed] == []


def test_the_source_of_the_guide_is_refused_for_its_last_line_alone(tmp_path: Path) -> None:
    body = examples("source-authors.md", "yaml")[0]
    folder = tmp_path / "myapp"
    folder.mkdir()
    (folder / "source.yml").write_text(body, "utf-8")
    with pytest.raises(ContentErrors) as refused:
        load_sources([folder])
    last = len(body.splitlines())
    assert {error.line for error in refused.value.errors} == {last}
    shown = f"pipelines/sources/myapp/source.yml:{last}: {refused.value.errors[0].why}"
    assert shown in TEXT[ROOT / "docs" / "source-authors.md"]
    (folder / "source.yml").write_text("".join(body.splitlines(keepends=True)[:-1]), "utf-8")
    assert load_sources([folder]).names == ["myapp"]


def test_the_picture_fetches_nothing() -> None:
    svg = (ROOT / "docs" / "demo.svg").read_text("utf-8")
    assert "url(" not in svg.replace("url(#", "")
    assert "@import" not in svg and "<image" not in svg and "<script" not in svg


def test_no_page_names_a_machine_of_ours() -> None:
    assert not re.search(r"(?<!/var)/(?:work|root|tmp)/", EVERYTHING)
