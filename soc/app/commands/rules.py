"""`soc rules`: lint, test and convert detections, with the production parser and matcher."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from soc.app.commands import output
from soc.app.commands.options import ConfigOption, JsonOption, settings
from soc.app.paths import existing, pipeline_files

commands = typer.Typer(
    name="rules",
    no_args_is_help=True,
    help="Luật phát hiện: kiểm tra, thử, thành truy vấn. · Rules: lint, test, convert.",
)


class Format(StrEnum):
    lucene = "lucene"


PathsArgument = Annotated[
    list[Path] | None, typer.Argument(help="Rule folders or files. (default: the configured packs)")
]


def register(app: typer.Typer) -> None:
    app.add_typer(commands, rich_help_panel="Rules and sources")


def _load(paths: list[Path] | None, config: Path | None) -> tuple[Any, Any, list[Path]]:
    from soc.detect import load_rules

    settled = settings(config)
    asked = existing(paths or settled.rules, "rules")
    # a file of a configured pack is seen with its pack, for correlations refer to rules of other files
    packs = [pack for pack in settled.rules if any(path.resolve().is_relative_to(pack.resolve()) for path in asked)]
    others = [path for path in asked if not any(path.resolve().is_relative_to(pack.resolve()) for pack in packs)]
    rules = load_rules([*packs, *others], pipeline_files(settled.sigma_pipelines), settled.placeholders)
    return rules, settled, asked


def _below(file: str, asked: list[Path]) -> bool:
    """Whether a finding's file is one that was asked about; a test file belongs to its rule's."""
    path = Path(file).resolve()
    beside = path.with_name(path.name.replace(".test.yaml", ".yml"))
    return any(p.is_relative_to(a.resolve()) for p in (path, beside) for a in asked)


@commands.command("lint")
def lint(
    paths: PathsArgument = None,
    config: ConfigOption = None,
    strict: Annotated[bool, typer.Option(help="Warnings count as findings, too (exit 1).")] = False,
    json_: JsonOption = False,
) -> None:
    """Every mistake in every rule and test file, as path:line. Exit 1 if there is an error."""
    from soc.author.lint import lint as findings_of

    rules, _, folders = _load(paths, config)
    findings, cases = findings_of(rules, folders)
    findings = [f for f in findings if _below(f.path, folders)]
    counts = Counter(f.severity for f in findings)
    loaded = len(rules.rules) + len(rules.correlations)
    if json_:
        output.document(
            rules=loaded,
            tests=len(cases),
            errors=counts["error"],
            warnings=counts["warning"],
            findings=[
                {"file": f.path, "line": f.line, "code": f.code, "severity": f.severity, "message": f.message}
                for f in findings
            ],
        )
    else:
        for f in findings:
            sys.stdout.write(f"{f.path}{f':{f.line}' if f.line else ''}: {f.severity} {f.code} {f.message}\n")
        output.say(f"{loaded} rules, {len(cases)} tests: {counts['error']} errors, {counts['warning']} warnings")
    if counts["error"] or (strict and findings):
        raise typer.Exit(1)


@commands.command("why")
def why(code: Annotated[str, typer.Argument(help="A code of the linter, such as R020.")]) -> None:
    """What a code of the linter means."""
    from soc.author.lint import CODES

    if code.upper() not in CODES:
        raise typer.BadParameter(f"no code {code}; there are {', '.join(CODES)}")
    severity, text = CODES[code.upper()]
    sys.stdout.write(f"{code.upper()} ({severity}): {text}\n")


@commands.command("test")
def test(
    paths: PathsArgument = None,
    config: ConfigOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List the tests that passed, too.")] = False,
    json_: JsonOption = False,
) -> None:
    """Run the `.test.yaml` files: raw lines through the real parser, matcher and correlator. Exit 1 on a failure."""
    from soc.author.lint import lint as findings_of
    from soc.author.verify import verify
    from soc.normalize import load_sources

    rules, settled, folders = _load(paths, config)
    findings, cases = findings_of(rules, folders)
    wrong = [f for f in findings if f.severity == "error" and _below(f.path, folders)]
    sources = load_sources(existing(settled.sources, "sources"))
    outcomes = [verify(case, rules, sources) for case in cases]
    failed = [o for o in outcomes if not o.passed]
    if json_:
        output.document(
            tests=len(outcomes),
            failed=len(failed),
            errors=[{"file": f.path, "line": f.line, "message": f.message} for f in wrong],
            outcomes=[
                {"rule": o.case.rule_id, "test": o.case.name, "file": str(o.case.path), "line": o.case.line}
                | {"passed": o.passed, "alerts": o.alerts, "why": o.why, "explanation": o.explanation}
                for o in outcomes
            ],
        )
    else:
        for o in outcomes:
            if verbose or not o.passed:
                sys.stdout.write(f"{o.case.path}:{o.case.line}: {'ok' if o.passed else 'FAILED'} {o.case.name}\n")
            if not o.passed:
                sys.stdout.write(f"    {o.why}\n" + "".join(f"    {x}\n" for x in o.explanation.splitlines()))
        for f in wrong:
            sys.stdout.write(f"{f.path}:{f.line}: {f.message}\n")
        output.say(f"{len(outcomes)} tests of {len({o.case.rule_id for o in outcomes})} rules, {len(failed)} failed")
    if failed or wrong:
        raise typer.Exit(1)


@commands.command("convert")
def convert(
    rules: Annotated[
        list[str] | None, typer.Argument(help="Rule ids, folders or files. (default: the configured packs)")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Language of the queries.")] = Format.lucene,
    out: Annotated[Path | None, typer.Option("--out", help="Folder: a .lucene and a .md file for each rule.")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Each rule as a query for Elasticsearch and Kibana, with its indices and what it finds more or less."""
    from soc.app.commands import queries

    paths = [Path(text) for text in rules or () if Path(text).exists()]
    ids = {text for text in rules or () if not Path(text).exists()}
    loaded, settled, folders = _load(paths if not ids else [*settings(config).rules, *paths], config)
    known = {*loaded.rules, *(c.id for c in loaded.correlations)}
    if unknown := sorted(ids - known):
        raise typer.BadParameter(f"{unknown[0]} is neither a rule file or folder nor the id of a loaded rule")
    asked = [path.resolve() for path in (paths if ids else folders)]
    queries.show(queries.converted(loaded, settled, ids, asked), loaded, out, json_)


@commands.command("explain")
def explain(
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    event: Annotated[Path, typer.Option("--event", help="File with one event (JSON, ECS or the rule's own names).")],
    config: ConfigOption = None,
) -> None:
    """The rule's condition as a tree, each node true or false on the event, with the value that decided it."""
    import orjson

    from soc.author.tree import tree
    from soc.event import flat

    rules, _, _ = _load(None, config)
    if (correlation := next((c for c in rules.correlations if c.id == rule), None)) is not None:
        raise typer.BadParameter(
            f"{rule} is a correlation; explain a rule that feeds it: {', '.join(correlation.rules)}"
        )
    if rule not in rules.rules:
        raise typer.BadParameter(f"no rule {rule} is loaded")
    try:
        fields = orjson.loads(event.read_bytes())
    except (OSError, ValueError) as wrong:
        raise typer.BadParameter(f"--event {event}: {wrong}") from None
    sys.stdout.write(f"{tree(rules.explain(rule, flat(fields)))}\n")
