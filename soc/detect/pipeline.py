"""Pipelines: files in pySigma's processing-pipeline format → changes to every rule, above all the names of fields.

The same files convert rules to Elasticsearch queries with pySigma; here they are interpreted, and what we do not
support is an error that names it. Lower `priority` comes first, then the order given.
Source: sigmahq-pysigma.readthedocs.io, "Processing Pipelines".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from soc.detect.detection import Draft, RawItem, similar
from soc.detect.pattern import Parts, parse
from soc.detect.pipeline_conditions import Question, question
from soc.detect.transformations import Change, change
from soc.detect.yamlload import Map, documents
from soc.event import ContentError

_KEYS: Final = ("name", "priority", "vars", "transformations", "allowed_backends")
_CONDITIONS: Final = {
    f"{prefix}_{suffix}"
    for prefix in ("rule", "field_name", "detection_item")
    for suffix in ("conditions", "cond_op", "cond_not", "cond_expr")
}


@dataclass(frozen=True, slots=True)
class _Step:
    identity: str
    rule: Question
    name: Question
    item: Question
    change: Change


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One file, ready to apply."""

    path: Path
    name: str
    priority: int
    steps: tuple[_Step, ...]


def load_pipelines(paths: Iterable[Path | str]) -> tuple[list[Pipeline], list[ContentError]]:
    """Files, or all `*.yml` and `*.yaml` below folders, in order of application; and what is wrong with them."""
    found: list[Pipeline] = []
    errors: list[ContentError] = []
    for given in map(Path, paths):
        if not given.exists():
            errors.append(ContentError(given, 0, "there is no such pipeline file or folder"))
        files = sorted(p for p in given.rglob("*") if p.suffix in (".yml", ".yaml")) if given.is_dir() else [given]
        for path in files if given.exists() else []:
            try:
                found += [_pipeline(document.value, path) for document in documents(path.read_bytes(), path)]
            except ContentError as error:
                errors.append(error)
            except OSError as error:
                errors.append(ContentError(path, 0, f"cannot be read: {error.strerror}"))
    return sorted(found, key=lambda pipeline: pipeline.priority), errors


def apply_pipelines(pipelines: Iterable[Pipeline], draft: Draft) -> None:
    """Change the draft. Raises DraftError where a pipeline says so (rule_failure)."""
    nobody = RawItem(None, (), [], 0)
    for pipeline in pipelines:
        for step in pipeline.steps:
            if not step.rule(draft, nobody, None):
                continue

            def concerned(item: RawItem, name: str | None, step: _Step = step) -> bool:
                return step.name(draft, item, name) and step.item(draft, item, name)

            step.change(draft, concerned, step.identity)
            draft.applied.add(step.identity)


def placeholder_values(given: Mapping[str, Iterable[str | int | float]]) -> dict[str, list[Parts]]:
    """A value map (name → values) in the form that drafts hold."""
    return {name: [parse(str(value)) for value in values] for name, values in given.items()}


def _pipeline(document: Any, path: Path) -> Pipeline:
    if not isinstance(document, Map):
        raise ContentError(path, 1, "a pipeline is a mapping with `transformations`")
    for key in document:
        if key not in _KEYS:
            raise ContentError(path, document.line_of(key), f"{key!r} is not supported here{similar(key, _KEYS)}")
    priority = document.get("priority", 0)
    variables = document.get("vars") or Map(document.line)
    steps = document.get("transformations") or []
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise ContentError(path, document.line_of("priority"), "`priority` is a whole number")
    if not isinstance(variables, Map):
        raise ContentError(path, document.line_of("vars"), "`vars` is a mapping of names to values")
    if not isinstance(steps, list):
        raise ContentError(path, document.line_of("transformations"), "`transformations` is a list")
    made = tuple(_step(step, i, variables, path, document.line_of("transformations")) for i, step in enumerate(steps))
    return Pipeline(path, str(document.get("name", path.stem)), priority, made)


def _step(step: Any, ordinal: int, variables: Map, path: Path, line: int) -> _Step:
    if not isinstance(step, Map):
        raise ContentError(path, line, "a transformation is a mapping with a `type`")
    kind = step.get("type")
    if not isinstance(kind, str):
        raise ContentError(path, step.line, "a transformation needs a `type`")
    params = {key: value for key, value in step.items() if key not in _CONDITIONS and key not in ("type", "id")}
    try:
        return _Step(
            str(step.get("id", f"{path}#{ordinal}")),
            question("rule", step, "rule"),
            question("field name", step, "field_name"),
            question("detection item", step, "detection_item"),
            change(kind, params, dict(variables)),
        )
    except ValueError as error:
        raise ContentError(path, step.line, str(error)) from None
