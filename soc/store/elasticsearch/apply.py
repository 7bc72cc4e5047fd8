"""The templates that should be there and those that are → what differs, and the requests that make them alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from soc.store.elasticsearch.access import Server
from soc.store.elasticsearch.templates import Template

#: What a body of ours says; the server adds dates and defaults.
_OURS: Final = ("template", "index_patterns", "priority", "composed_of", "ignore_missing_component_templates", "_meta")


@dataclass(frozen=True, slots=True)
class Change:
    """What applying does to one template; `differences` are lines `path: installed → wanted`."""

    template: Template
    action: Literal["create", "update", "same"]
    differences: tuple[str, ...] = ()


def changes(server: Server, wanted: Sequence[Template]) -> list[Change]:
    """For each template, whether it is missing, differs or is the same. Raises TransportError."""
    return [_change(template, _installed(server, template)) for template in wanted]


def drift(server: Server, wanted: Sequence[Template]) -> list[Change]:
    """The templates that are not as they should be. Raises TransportError."""
    return [change for change in changes(server, wanted) if change.action != "same"]


def apply(server: Server, found: Sequence[Change]) -> None:
    """Write those that are missing or differ, in order; indices that exist stay as they are. Raises TransportError."""
    for change in found:
        if change.action != "same":
            server.call("PUT", change.template.path, change.template.body)


def _installed(server: Server, template: Template) -> Mapping[str, Any] | None:
    answer = server.call("GET", template.path, absent=True)
    if answer is None:
        return None
    listed, inner = (
        ("component_templates", "component_template")
        if template.kind == "component"
        else ("index_templates", "index_template")
    )
    body: Mapping[str, Any] = answer[listed][0][inner]
    return body


def _change(template: Template, installed: Mapping[str, Any] | None) -> Change:
    if installed is None:
        return Change(template, "create")
    now = dict(_leaves({key: installed[key] for key in _OURS if key in installed}))
    wanted = dict(_leaves(template.body))
    lines = [
        f"{path}: {now.get(path, 'absent')} → {wanted.get(path, 'absent')}"
        for path in sorted({*now, *wanted})
        if now.get(path) != wanted.get(path)
    ]
    return Change(template, "update" if lines else "same", tuple(lines))


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    else:
        yield path, str(value)
