"""What `soc rules convert` prints and writes: queries, their indices, what they find more or less."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from soc.app.commands import output
from soc.app.config import Config
from soc.app.paths import pipeline_files
from soc.author.convert import Converted, convert
from soc.author.differences import GENERAL
from soc.author.indices import indices
from soc.author.kinds import kind
from soc.detect import RuleSet


def converted(rules: RuleSet, config: Config, ids: Collection[str], paths: Sequence[Path]) -> list[Converted]:
    """The rules of these ids and below these (resolved) paths."""
    every = convert(rules, pipeline_files(config.sigma_pipelines), config.placeholders, kind, indices)
    return [c for c in every if c.id in ids or any(c.path.resolve().is_relative_to(path) for path in paths)]


def show(found: Sequence[Converted], rules: RuleSet, out: Path | None, as_json: bool) -> None:
    """One JSON document, or files, or text; what cannot be converted is listed, too."""
    refused = rules.refused
    said = [c for c in found if c.query]
    if out is not None:
        _write(said, out)
    if as_json:
        output.document(
            format="lucene",
            converted=len(said),
            general=GENERAL,
            queries=[
                {
                    "rule": c.id,
                    "title": c.title,
                    "file": str(c.path),
                    "line": c.line,
                    "query": c.query,
                    "indices": list(c.indices),
                    "differences": [{"code": d.code, "text": d.text} for d in c.differences],
                }
                for c in said
            ],
            not_converted=[
                *(_reason(c.id, c.title, str(c.path), c.line, c.why) for c in found if c.why),
                *(_reason("", "", e.path, e.line, e.why) for e in refused),
            ],
        )
        return
    if out is None:
        for c in said:
            sys.stdout.write(_text(c))
    for c in found:
        if c.why:
            sys.stdout.write(f"{c.path}:{c.line}: not converted: {c.title}: {c.why}\n")
    for e in refused:
        sys.stdout.write(f"{e.path}:{e.line}: not converted: {e.why}\n")
    output.say(f"{len(said)} of {len(found) + len(refused)} rules converted" + (f" into {out}" if out else ""))


def _reason(rule: str, title: str, file: str, line: int, why: str) -> dict[str, str | int]:
    return {"rule": rule, "title": title, "file": file, "line": line, "why": why}


def _text(c: Converted) -> str:
    differs = "".join(f"    {d.code}: {d.text}\n" for d in c.differences)
    return f"{c.path}:{c.line}: {c.title} ({c.id})\n    {', '.join(c.indices)}\n{differs}{c.query}\n\n"


def _write(said: Sequence[Converted], folder: Path) -> None:
    """`<stem>.lucene` holds the query alone, `<stem>.md` what a person must know beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    often = Counter(c.path.stem for c in said)
    for c in said:
        stem = c.path.stem if often[c.path.stem] == 1 else f"{c.path.stem}-{c.id}"
        (folder / f"{stem}.lucene").write_text(f"{c.query}\n", "utf-8")
        (folder / f"{stem}.md").write_text(_page(c), "utf-8")


def _page(c: Converted) -> str:
    lines = [f"# {c.title}", "", f"Rule {c.id}, {c.path.name}", "", f"Indices: `{', '.join(c.indices)}`", ""]
    lines += ["What this query finds more or less than the rule in the stream:", ""]
    lines += [f"- {d.text}" for d in c.differences] + [f"- {text}" for text in GENERAL.values()]
    return "\n".join(lines) + "\n"
