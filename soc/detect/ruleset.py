"""Rule sets: paths of rules and pipelines → everything that loads, and why the rest did not; events → detections.

load_rules(paths, pipelines) ── files ── documents ── filters, rules, correlations ── compile ──▶ RuleSet
RuleSet.match(events, logsources) ──▶ per event its detections, ordered by rule id
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from soc.detect.collection import Sigma, sigma_documents
from soc.detect.compile import Compiled, Compiler
from soc.detect.condition import And
from soc.detect.correlation import Correlation, chained, parse_correlation, resolve
from soc.detect.detail import details, root
from soc.detect.detection import Ask, DraftError, leaves
from soc.detect.explain import Explained, explained
from soc.detect.files import rule_files
from soc.detect.filters import Filter, narrowing, parse_filter
from soc.detect.match import Program
from soc.detect.pipeline import Pipeline, load_pipelines, placeholder_values
from soc.detect.pivot import BATCH
from soc.detect.rule import Rule, names_of, parse_rule
from soc.detect.yamlload import Map, documents
from soc.event import ContentError, Detection, LogSource

Documents = tuple[list[Sigma], list[Sigma], list[Sigma]]


def load_rules(
    paths: Iterable[Path | str],
    pipelines: Iterable[Path | str] = (),
    placeholders: Mapping[str, Iterable[str | int | float]] | None = None,
) -> RuleSet:
    """Rules, correlations and filters of files, folders and archives (zip, tar), their fields mapped by the pipelines.

    `placeholders` gives values for `%name%` under `expand`, beside those of the pipelines. Raises nothing for bad
    content: what cannot be loaded is in `RuleSet.refused` (ContentError: path, line, why), and what works but should
    be looked at in `RuleSet.warnings`.
    """
    return _Loading(pipelines, placeholders or {}).loaded(paths)


class RuleSet:
    """Rules ready to match. Immutable but for memos; not thread-safe.

    `rules`: id → Rule, in the order of ids. `correlations` are resolved, each after those that feed it. `feeds`: id of
    a rule or correlation → ids of the correlations it feeds. `silent`: ids used by correlations none of which says
    `generate`, so that they make no alert of their own. `filters` are those that loaded.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        correlations: Sequence[Correlation],
        filters: Sequence[Filter],
        pipelines: Sequence[Pipeline],
        refused: Sequence[ContentError],
        warnings: Sequence[ContentError],
    ) -> None:
        self.rules: dict[str, Rule] = {rule.id: rule for rule in sorted(rules, key=lambda rule: rule.id)}
        self.correlations = list(correlations)
        self._correlations = {correlation.id: correlation for correlation in self.correlations}
        self.filters = list(filters)
        self.refused = list(refused)
        self.warnings = list(warnings)
        self.feeds: dict[str, tuple[str, ...]] = {}
        for correlation in self.correlations:
            for fed in correlation.rules:
                self.feeds[fed] = (*self.feeds.get(fed, ()), correlation.id)
        loud = {fed for correlation in self.correlations if correlation.generate for fed in correlation.rules}
        self.silent = frozenset(self.feeds) - loud
        self._pipelines = list(pipelines)
        self._ordered = list(self.rules.values())
        self._compiler = Compiler()
        self._program = _compiled(self._compiler, self._ordered)
        self._details: dict[int, Any] = {}
        self.names = lru_cache(maxsize=4096)(self._names)

    def named(self, identity: str) -> Rule | Correlation | None:
        """The rule or correlation of that id; None if none is loaded."""
        return self.rules.get(identity) or self._correlations.get(identity)

    def match(
        self, events: Sequence[Mapping[str, Any]], logsources: Sequence[Collection[LogSource]] | None = None
    ) -> list[list[Detection]]:
        """The detections of each event, ordered by rule id.

        `events` are flat or nested documents in the names of the rules or of the pipelines. `logsources` are those of
        each event; a rule is tried where one of them contains its own. None: do not route, try every rule.
        """
        out: list[list[Detection]] = []
        for start in range(0, len(events), BATCH):
            end = start + BATCH
            out += self._batch(events[start:end], None if logsources is None else logsources[start:end])
        return out

    def _batch(
        self, events: Sequence[Mapping[str, Any]], logsources: Sequence[Collection[LogSource]] | None
    ) -> list[list[Detection]]:
        found: list[list[Detection]] = [[] for _ in events]
        for number, mask, batch in sorted(self._program.matches(events, logsources), key=itemgetter(0)):
            rule = self._ordered[number]
            if number not in self._details:
                self._details[number] = root(rule.tree, self._compiler)
            for row, matched in details(self._details[number], batch, mask).items():
                found[row].append(Detection(rule.id, rule.title, rule.level, matched, rule.version))
        return found

    def explain(self, rule_id: str, fields: Mapping[str, Any]) -> Explained:
        """The rule's condition as a tree, each node true or false for the event. Raises KeyError for an unknown id."""
        return explained(self.rules[rule_id].tree, fields)

    def _names(self, rule_id: str, field: str) -> tuple[str, ...]:
        """The names under which events hold a field of a rule, best first, its own last; () for an unknown rule."""
        rule = self.rules.get(rule_id)
        if rule is None:
            return ()
        document = next(d.value for d in documents(rule.raw.encode(), rule.path) if isinstance(d.value, Map))
        return names_of(rule, document, field, self._pipelines)


def _compiled(compiler: Compiler, rules: Sequence[Rule]) -> Program:
    made: list[Compiled] = []
    touched: list[frozenset[int]] = []
    for rule in rules:
        compiler.touched = set()
        made.append(compiler.tree(rule.tree))
        touched.append(frozenset(compiler.touched))
    reads = [frozenset(_columns(compiler, rule)) for rule in rules]
    compiler.finish([one.witness for one in made if one.witness is not None])
    return Program(
        compiler,
        [one.expression for one in made],
        [one.witness for one in made],
        [rule.logsource for rule in rules],
        reads,
        touched,
    )


def _columns(compiler: Compiler, rule: Rule) -> Iterable[int]:
    for ask in leaves(rule.tree):
        assert isinstance(ask, Ask)
        yield compiler.column(ask.targets, ask.field)


class _Loading:
    """One load: what was refused and warned of, and which ids are taken."""

    def __init__(
        self, pipelines: Iterable[Path | str], placeholders: Mapping[str, Iterable[str | int | float]]
    ) -> None:
        self.warnings: list[ContentError] = []
        self.pipelines, self.refused = load_pipelines(pipelines)
        self.placeholders = placeholder_values(placeholders)
        self.ids: dict[str, Sigma] = {}

    def loaded(self, paths: Iterable[Path | str]) -> RuleSet:
        single: list[Sigma] = []
        correlating: list[Sigma] = []
        filtering: list[Sigma] = []
        for given in map(Path, paths):
            for path, data in rule_files(given, self.refused):
                for found in sigma_documents(path, data, str(given), self.refused, self.warnings):
                    kind = found.document
                    (correlating if "correlation" in kind else filtering if "filter" in kind else single).append(found)
        filters = [f for f in map(self.filter, filtering) if f is not None]
        rules = [r for r in map(self.rule, single) if r is not None]
        rules = [r for r in (self.narrowed(rule, filters) for rule in rules) if r is not None]
        self.unused(filters, rules)
        correlations = [c for c in map(self.correlation, correlating) if c is not None]
        return RuleSet(rules, self.resolved(correlations, rules), filters, self.pipelines, self.refused, self.warnings)

    def filter(self, found: Sigma) -> Filter | None:
        try:
            made = parse_filter(found.document, found.origin, self.warnings)
        except ContentError as error:
            self.refused.append(error)
            return None
        return made if self.take(made.id, found) else None

    def rule(self, found: Sigma) -> Rule | None:
        try:
            made = parse_rule(found.document, found.origin, self.pipelines, self.placeholders, self.warnings)
        except ContentError as error:
            self.refused.append(error)
            return None
        if found.borrowed_id and made.id in self.ids:
            made.id = self.next_free(made.id)
            self.warn(found, f"several rules share one id by `action`: this one is known as {made.id}")
        return made if self.take(made.id, found) else None

    def correlation(self, found: Sigma) -> Correlation | None:
        origin = found.origin
        try:
            made = parse_correlation(found.document, origin.path, origin.line, origin.raw)
        except ContentError as error:
            self.refused.append(error)
            return None
        for warning in made.warnings:
            self.warn(found, warning)
        return made if self.take(made.id, found) else None

    def take(self, identity: str, found: Sigma) -> bool:
        """Is the id still free? Ids in capitals are the same ids."""
        first = self.ids.setdefault(identity.lower(), found)
        if first is not found:
            where = f"{first.origin.path}:{first.origin.line}"
            line = found.document.line_of("id")
            self.refused.append(ContentError(found.origin.path, line, f"the id {identity} is taken by {where}"))
        return first is found

    def next_free(self, identity: str) -> str:
        ordinal = 2
        while f"{identity}-{ordinal}".lower() in self.ids:
            ordinal += 1
        return f"{identity}-{ordinal}"

    def warn(self, found: Sigma, why: str) -> None:
        self.warnings.append(ContentError(found.origin.path, found.origin.line, why))

    def narrowed(self, rule: Rule, filters: Sequence[Filter]) -> Rule | None:
        """The rule with all filters that concern it; None if one of them cannot be joined to it."""
        for found in filters:
            if not found.concerns(rule, rule.asked):
                continue
            try:
                rule.tree = And((rule.tree, narrowing(found, rule.asked, self.pipelines)))
            except DraftError as error:
                why = f"the filter {found.id} cannot be joined to the rule {rule.id}: {error.why}"
                self.refused.append(ContentError(found.origin.path, error.line, why))
                return None
            rule.filters = (*rule.filters, found.id)
        return rule

    def unused(self, filters: Sequence[Filter], rules: Sequence[Rule]) -> None:
        """Tell of filters that concern no rule, and of the rules they name that are not there."""
        known = {name for rule in rules for name in (rule.id, rule.name) if name}
        used = {name for rule in rules for name in rule.filters}
        for found in filters:
            missing = [name for name in found.rules or () if name not in known]
            if missing:
                self.warnings.append(
                    ContentError(found.origin.path, found.document.line, f"no rule is named {', '.join(missing)}")
                )
            if found.id not in used:
                self.warnings.append(
                    ContentError(found.origin.path, found.document.line, "the filter concerns no rule")
                )

    def resolved(self, correlations: Sequence[Correlation], rules: Sequence[Rule]) -> list[Correlation]:
        """References as ids, over the whole rule base. A correlation of something refused is refused as well."""
        remaining = list(correlations)
        while True:
            names = _by_name(rules, remaining, self.warnings)
            kept: list[tuple[Correlation, Correlation]] = []
            for one in remaining:
                try:
                    kept.append((one, resolve(one, names.get)))
                except ContentError as error:
                    self.refused.append(error)
            if len(kept) < len(remaining):
                remaining = [one for one, _ in kept]
                continue
            try:
                return chained([whole for _, whole in kept])
            except ContentError as error:
                self.refused.append(error)
                remaining = [one for one, _ in kept if (str(one.path), one.line) != (error.path, error.line)]


def _by_name(
    rules: Sequence[Rule], correlations: Sequence[Correlation], warnings: list[ContentError]
) -> dict[str, str]:
    """Id or name → id. Ids win over names, the first of a name over later ones."""
    out: dict[str, str] = {}
    both: list[Rule | Correlation] = [*rules, *correlations]
    for one in both:
        if one.name and out.setdefault(one.name, one.id) != one.id:
            warnings.append(ContentError(one.path, one.line, f"the name {one.name!r} is taken by {out[one.name]}"))
    return out | {one.id: one.id for one in both}


__all__: Final = ["RuleSet", "load_rules"]
