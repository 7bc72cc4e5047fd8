"""What Kibana should hold, and what it holds → what is to be done about each object. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from soc.event import TransportError
from soc.kibana.client import Kibana
from soc.kibana.item import KINDS, TAG, Item, Kind, contained, differences, mark_of
from soc.kibana.setup import Setup, attack_of

Action = Literal["create", "update", "remove", "same", "edited", "skipped"]

#: Actions that change something.
DOING: Final[frozenset[Action]] = frozenset({"create", "update", "remove"})
#: Of a rule, what analysts decide in Kibana; it stays as they left it.
THEIRS: Final = ("enabled", "exceptions_list", "actions")
_PAGE: Final = 100
_MOST_SHOWN: Final = 8
_SESSIONS: Final = "/api/discover_sessions"
_PATHS: Final[Mapping[Kind, str]] = {
    "space": "/api/spaces/space/{}",
    "role": "/api/security/role/{}",
    "data_view": "/api/data_views/data_view/{}",
    "search": _SESSIONS + "/{}",
    "dashboard": "/api/dashboards/{}",
}


@dataclass(frozen=True, slots=True)
class Change:
    """`found`: the object as Kibana holds it. `why`: places that differ, or a sentence.

    same: it is ours as it should be. edited: it is ours of this version, and somebody changed it in Kibana (or this
    Kibana writes it differently): left alone unless asked. skipped: this Kibana has no place for it.
    """

    item: Item
    action: Action
    why: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)


def plan(
    kibana: Kibana, items: Sequence[Item], setup: Setup, *, overwrite: bool = False, renew: bool = False
) -> list[Change]:
    """One change for each object, in the order of applying. `overwrite`: what was edited is to be updated.

    `renew`: every rule is to be imported again, for a rule runs with the API key of its last import.
    Raises TransportError, also for a Kibana whose ATT&CK is not the one that the content is made for.
    """
    at = kibana.version()
    if attack_of(at) != setup.attack:
        told, made = (".".join(map(str, version)) for version in (at, setup.version))
        raise TransportError(
            f"Kibana at {kibana.url} is {told}, which brings ATT&CK v{attack_of(at)}; the content is made for {made}"
            f" (v{setup.attack}): set kibana.version to {told}"
        )
    return _Planning(kibana, overwrite, renew).changes(items, [space.id for space in setup.spaces])


class _Planning:
    def __init__(self, kibana: Kibana, overwrite: bool, renew: bool) -> None:
        self._kibana = kibana
        self._overwrite, self._renew = overwrite, renew
        self._new: set[str] = set()  # Spaces that are not there yet: nothing is in them
        self._sessions: bool | None = None

    def changes(self, items: Sequence[Item], spaces: Iterable[str]) -> list[Change]:
        made = [self._change(item) for kind in KINDS if kind != "rule" for item in items if item.kind == kind]
        rules = [item for item in items if item.kind == "rule"]
        for space in spaces:
            made += self._rules(space, [item for item in rules if item.space == space])
        return made

    def _change(self, item: Item) -> Change:
        if item.space in self._new:
            found = None
        elif item.kind == "search" and not self._has_sessions():
            return Change(
                item, "skipped", ("this Kibana has no Discover sessions API; its dashboards show the search",)
            )
        else:
            found = _content(
                item.kind,
                self._kibana.call("GET", _PATHS[item.kind].format(item.id), space=item.space, absent=True),
            )
        if item.kind == "search" and found is None and not self._has_sessions():
            return Change(
                item, "skipped", ("this Kibana has no Discover sessions API; its dashboards show the search",)
            )
        if item.kind == "space" and found is None:
            self._new.add(item.id)
        return self._compared(item, found)

    def _compared(self, item: Item, found: Mapping[str, Any] | None) -> Change:
        if found is None:
            return Change(item, "create")
        wanted, has = _comparable(item.kind, item.body), _comparable(item.kind, found)
        if contained(wanted, has):
            if item.kind == "rule" and self._renew:
                return Change(item, "update", ("runs with this API key from now on",), found)
            return Change(item, "same", found=found)
        why = tuple(differences(wanted, has)[:_MOST_SHOWN])
        ours = mark_of(item.kind, item.body)
        stale = not ours or mark_of(item.kind, found) != ours or item.kind in ("space", "role")
        return Change(item, "update" if stale or self._overwrite else "edited", why, found)

    def _has_sessions(self) -> bool:
        """Kibana 9.6 brings that API, switched off at first."""
        if self._sessions is None:
            told = self._kibana.call("GET", _SESSIONS, params={"per_page": "1"}, absent=True)
            self._sessions = told is not None
        return self._sessions

    def _rules(self, space: str, wanted: Sequence[Item]) -> list[Change]:
        """Those that are no longer wanted come first: an alert that two rules take is in Kibana twice."""
        found = {} if space in self._new else self._found_rules(space, needed=bool(wanted))
        ids = {item.id for item in wanted}
        gone = [
            Change(Item("rule", space, rule_id, str(rule.get("name", "")), rule), "remove", ("not wanted any more",))
            for rule_id, rule in sorted(found.items())
            if rule_id not in ids
        ]
        return gone + [self._compared(item, found.get(item.id)) for item in wanted]

    def _found_rules(self, space: str, *, needed: bool) -> dict[str, Mapping[str, Any]]:
        """Rules that bear our tag, by their id. A Space without Elastic Security has none, unless `needed`."""
        found: dict[str, Mapping[str, Any]] = {}
        page = 1
        while True:
            told = self._kibana.call(
                "GET",
                "/api/detection_engine/rules/_find",
                space=space,
                params={
                    "filter": f'alert.attributes.tags:"{TAG}"',
                    "per_page": str(_PAGE),
                    "page": str(page),
                    "sort_field": "created_at",
                    "sort_order": "asc",
                },
                absent=not needed,
            )
            rows = told["data"] if told else []
            found |= {str(rule["rule_id"]): rule for rule in rows}
            if len(rows) < _PAGE:
                return found
            page += 1


def _content(kind: Kind, answer: Any) -> Mapping[str, Any] | None:
    """The object within an answer: some of the APIs wrap it."""
    if not isinstance(answer, Mapping):
        return None
    inner = answer.get({"data_view": "data_view", "search": "data", "dashboard": "data"}.get(kind, ""))
    return inner if isinstance(inner, Mapping) else answer


def _comparable(kind: Kind, body: Mapping[str, Any]) -> Any:
    """Without what is not ours to say, and with lists of names in one order where the order means nothing."""
    if kind == "rule":
        return {name: value for name, value in body.items() if name not in THEIRS}
    return _sorted(body) if kind == "role" else body


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _sorted(member) for name, member in value.items()}
    if isinstance(value, list):
        members = [_sorted(member) for member in value]
        return sorted(members) if all(isinstance(member, str) for member in members) else members
    return value
