"""Documents: the YAML files of rule packs → single documents with `action: global|reset|repeat` carried out.

The actions are Sigma's old way to write several rules in one file; specification 2.1 no longer has them, but rules in
use do.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soc.detect.rule import Origin
from soc.detect.yamlload import Map, documents
from soc.event import ContentError


@dataclass(frozen=True, slots=True)
class Sigma:
    """One Sigma document and where it came from. `borrowed_id`: its id came from an `action` document."""

    document: Map
    origin: Origin
    borrowed_id: bool = False


def sigma_documents(
    path: Path, data: bytes, pack: str, refused: list[ContentError], warnings: list[ContentError]
) -> Iterator[Sigma]:
    """The documents of one file. What is no Sigma document at all is told in `warnings`, what is broken `refused`."""
    shared: Map | None = None
    before: Map | None = None
    try:
        for found in documents(data, path):
            document = found.value
            origin = Origin(path, pack, found.line, found.raw)
            if not isinstance(document, Map):
                refused.append(ContentError(path, found.line, "a rule is a mapping (title, logsource, detection, …)"))
                continue
            action = document.pop("action", None)
            if action == "global":
                shared, before = (document if shared is None else merged(shared, document)), None
            elif action == "reset":
                shared, before = None, None
            elif action == "repeat":
                if before is None:
                    refused.append(ContentError(path, found.line, "`action: repeat` has no rule before it to repeat"))
                    continue
                before = merged(before, document)
                yield Sigma(copy.deepcopy(before), origin, "id" not in document)
            elif action is not None:
                refused.append(
                    ContentError(path, found.line, f"unknown action {action!r} (there are: global, reset, repeat)")
                )
            elif shared is None and not _sigma(document):
                warnings.append(ContentError(path, found.line, "passed over: this is no Sigma document"))
            else:
                before = document if shared is None else merged(shared, document)
                yield Sigma(before, origin, shared is not None and "id" in shared and "id" not in document)
    except ContentError as error:
        refused.append(error)


def _sigma(document: Map) -> bool:
    return any(key in document for key in ("title", "logsource", "detection", "correlation", "filter"))


def merged(base: Map, over: Map) -> Map:
    """Mappings key by key, the second one's values before the first one's; everything else is replaced."""
    out = Map(over.line)
    for source in (base, over):
        for key, value in source.items():
            known: Any = out.get(key)
            out[key] = merged(known, value) if isinstance(known, Map) and isinstance(value, Map) else value
            out.lines[key] = source.line_of(key)
    return out
