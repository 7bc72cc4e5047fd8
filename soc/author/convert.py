"""Rules as queries: a loaded rule set and its pipelines in; per rule a Lucene query, its indices, and how it differs.

The query is pySigma's, through the same pipeline files as the engine. A rule that has no such query is there, too, with
the reason. What a query finds more or less than the engine is told beside it (`soc.author.differences`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.processing.pipeline import ProcessingPipeline
from sigma.processing.resolver import ProcessingPipelineResolver
from sigma.rule import SigmaRule

from soc.author.differences import Difference, clauses, differences
from soc.author.lucene import Kind, Lucene
from soc.detect import Rule, RuleSet
from soc.detect.filters import Filter
from soc.detect.pipeline import load_pipelines
from soc.detect.value import text
from soc.detect.yamlload import Map, documents
from soc.event import ContentError, ContentErrors, LogSource

#: Log source of a rule → the index patterns that hold its events.
Indices = Callable[[LogSource], Sequence[str]]

#: Lucene's own limit, before a server's heap allows more.
_MANY_CLAUSES: Final = 1024
#: What pySigma raises of a rule: on purpose, and where it did not expect what the rule holds.
_FAILURES: Final = (SigmaError, NotImplementedError, AttributeError, IndexError, KeyError, TypeError, ValueError)
#: Modifiers that ask for a text; a number there is its text.
_TEXTS: Final = frozenset(
    ("contains", "startswith", "endswith", "re", "windash", "base64", "base64offset", "wide", "utf16le", "utf16be")
)
_CORRELATION: Final = "a correlation: Lucene has none; the rules that feed it are converted"


@dataclass(frozen=True, slots=True)
class Converted:
    """One rule or correlation. Either `query` says it, or `why` says why not."""

    id: str
    title: str
    path: Path
    line: int
    query: str = ""
    why: str = ""
    indices: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()


def convert(
    rules: RuleSet,
    pipelines: Sequence[Path],
    placeholders: Mapping[str, Iterable[str | int | float]],
    kind: Kind,
    indices: Indices,
) -> list[Converted]:
    """Every rule and correlation, in the order of their files.

    Raises ContentErrors for a pipeline file that cannot be used; nothing for rules that the engine loads.
    """
    given = {"vars": {name: list(values) for name, values in placeholders.items()}}
    values = {**given, "transformations": [{"type": "value_placeholders"}]}
    _, wrong = load_pipelines(pipelines)
    if wrong:
        raise ContentErrors(wrong)
    try:
        files = ProcessingPipelineResolver().resolve([str(path) for path in pipelines])
    except SigmaError as error:
        raise ContentErrors([ContentError(", ".join(map(str, pipelines)), 0, f"pySigma: {error}")]) from error
    backend = Lucene(files + ProcessingPipeline.from_dict(values), kind)
    filters = {found.id: found for found in rules.filters}
    out = [Converted(c.id, c.title, c.path, c.line, why=_CORRELATION) for c in rules.correlations]
    for rule in rules.rules.values():
        made = Converted(rule.id, rule.title, rule.path, rule.line)
        try:
            query = _query(backend, rule, [filters[name] for name in rule.filters])
        except _FAILURES as error:
            out.append(replace(made, why=_sentence(error)))
            continue
        size = clauses(query)
        told = differences(rule, kind, rules.feeds.get(rule.id, ()), size if size > _MANY_CLAUSES else 0)
        out.append(replace(made, query=query, indices=tuple(indices(rule.logsource)), differences=told))
    return sorted(out, key=lambda one: (str(one.path), one.line))


def _query(backend: Lucene, rule: Rule, filters: Sequence[Filter]) -> str:
    """Raises SigmaError, and NotImplementedError for what pySigma's backend does not know."""
    document = next(d.value for d in documents(rule.raw.encode(), rule.path) if isinstance(d.value, Map))
    if "detection" not in document or "logsource" not in document:
        raise NotImplementedError("a part of it stands in an `action` document of its file")
    for body in (document["detection"], *(found.document["filter"] for found in filters)):
        for key, values in _items(body):
            _check(set(key.split("|")[1:]), values)
    plain = {key: _plain(value) for key, value in document.items() if key not in ("id", "action")}
    parsed: Any = SigmaRule.from_dict(plain)
    for found in filters:  # parsed anew for each rule: pySigma's pipelines change a filter's items in place
        body = {**_plain(found.document["filter"]), "rules": "any"}
        parsed = SigmaFilter.from_dict({**found.document, "filter": body}).apply_on_rule(parsed)
    queries = [str(query) for query in backend.convert_rule(parsed)]
    if not queries:
        raise NotImplementedError("nothing is left of it after the pipelines")
    return queries[0] if len(queries) == 1 else " OR ".join(f"({query})" for query in queries)


def _plain(node: Any, key: str = "") -> Any:
    """The document with texts where modifiers ask for texts."""
    if isinstance(node, Map):
        return {name: _plain(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_plain(one, key) for one in node]
    asked = isinstance(node, int | float) and not _TEXTS.isdisjoint(key.split("|")[1:])
    return text(node) if asked else node


def _items(node: Any) -> Iterator[tuple[str, list[Any]]]:
    """Each `field|modifiers` of a detection with its values."""
    for member in node if isinstance(node, list) else [node]:
        for key, value in member.items() if isinstance(member, Map) else ():
            yield key, value if isinstance(value, list) else [value]
            yield from _items(value)


def _check(modifiers: set[str], values: Iterable[Any]) -> None:
    """Raises NotImplementedError for what pySigma 1.5 reads as something else than the specification says."""
    if "re" in modifiers and modifiers & {"startswith", "endswith"}:
        raise NotImplementedError("`re` with `startswith` or `endswith`: pySigma leaves it without an anchor")
    if {"re", "expand"} <= modifiers:
        raise NotImplementedError("`re` with `expand`: pySigma puts the values in as expressions")
    if "utf16" in modifiers:
        raise NotImplementedError("`utf16`: pySigma writes a wrong byte order mark")
    if "base64offset" in modifiers and not all(str(value).isascii() for value in values):
        raise NotImplementedError("`base64offset` of other than ASCII: pySigma counts characters for bytes")


def _sentence(wrong: Exception) -> str:
    """pySigma's message without its remarks on where it happened."""
    said = str(wrong).partition(" (while ")[0].strip()
    return (
        said
        if isinstance(wrong, SigmaError | NotImplementedError) and said
        else f"pySigma fails on it: {said or type(wrong).__name__}"
    )
