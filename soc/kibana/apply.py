"""A plan in, a Kibana as it should be out: Spaces, roles, data views, searches, dashboards, rules, in this order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from soc.kibana.client import AnswerError, Kibana
from soc.kibana.item import KINDS, Kind, text
from soc.kibana.plan import DOING, THEIRS, Change

_RULES: Final = "/api/detection_engine/rules"
_MOST_SHOWN: Final = 5


def apply(kibana: Kibana, changes: Sequence[Change], told: Callable[[Change], None] = lambda change: None) -> int:
    """Carries out what is to be done, and says how much that was; `told` hears of each when it is done.

    Raises TransportError at the first failure; what was done by then stays, and the next run goes on from there.
    """
    doing = [change for change in changes if change.action in DOING]
    for kind in KINDS:
        some = [change for change in doing if change.item.kind == kind]
        if kind == "rule":
            _rules(kibana, some, told)
            continue
        for change in some:
            _write[kind](kibana, change)
            told(change)
    return len(doing)


def _space(kibana: Kibana, change: Change) -> None:
    if change.action == "create":
        kibana.call("POST", "/api/spaces/space", change.item.body)
    else:
        kibana.call("PUT", f"/api/spaces/space/{change.item.id}", change.item.body)


def _role(kibana: Kibana, change: Change) -> None:
    kibana.call("PUT", f"/api/security/role/{change.item.id}", change.item.body)


def _data_view(kibana: Kibana, change: Change) -> None:
    """`override` replaces one of the same title, or id; what refers to it goes by its id, which stays."""
    body = {"data_view": change.item.body, "override": True}
    kibana.call("POST", "/api/data_views/data_view", body, space=change.item.space)


def _search(kibana: Kibana, change: Change) -> None:
    kibana.call("PUT", f"/api/discover_sessions/{change.item.id}", change.item.body, space=change.item.space)


def _dashboard(kibana: Kibana, change: Change) -> None:
    kibana.call("PUT", f"/api/dashboards/{change.item.id}", change.item.body, space=change.item.space)


_write: Final[Mapping[Kind, Callable[[Kibana, Change], None]]] = {
    "space": _space,
    "role": _role,
    "data_view": _data_view,
    "search": _search,
    "dashboard": _dashboard,
}


def _rules(kibana: Kibana, changes: Sequence[Change], told: Callable[[Change], None]) -> None:
    """1. remove what is no longer wanted 2. import the rest, a file for each Space. The rules look back three minutes,
    so that nothing is missed between the two."""
    for change in changes:
        if change.action == "remove":
            params = {"rule_id": change.item.id}
            kibana.call("DELETE", _RULES, space=change.item.space, params=params, absent=True)
            told(change)
    for space in dict.fromkeys(change.item.space for change in changes):
        some = [c for c in changes if c.item.space == space and c.action != "remove"]
        if some:
            lines = b"".join(text(_kept(change)) + b"\n" for change in some)
            answer = kibana.upload(f"{_RULES}/_import", lines, space=space, params={"overwrite": "true"})
            _checked(answer, len(some), kibana.url)
            for change in some:
                told(change)


def _kept(change: Change) -> Mapping[str, Any]:
    """The rule, with what analysts decided about the one that it replaces: an import takes the whole rule."""
    return {**change.item.body, **{name: change.found[name] for name in THEIRS if name in change.found}}


def _checked(answer: Any, sent: int, url: str) -> None:
    if isinstance(answer, Mapping) and answer.get("success") is True and not answer.get("errors"):
        return
    errors = answer.get("errors") if isinstance(answer, Mapping) else None
    said = [
        f"{one.get('rule_id', '?')}: {one.get('error', {}).get('message', one)}"
        for one in errors or ()
        if isinstance(one, Mapping)
    ]
    more = f" and {len(said) - _MOST_SHOWN} more" if len(said) > _MOST_SHOWN else ""
    raise AnswerError(
        f"Kibana at {url} refused {len(said) or 'some'} of {sent} rules: {'; '.join(said[:_MOST_SHOWN])}{more}", 400
    )
