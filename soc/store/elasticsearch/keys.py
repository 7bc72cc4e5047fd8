"""API keys with least privilege: deploy/elasticsearch/keys.yaml in, keys made, listed and revoked out.

A key may do what its component's entry says, on the indices of the namespaces that it is for, until it expires.
https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-security-create-api-key
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors
from soc.store.elasticsearch.access import Server

#: What an entry may ask for: none of the words that stand for everything. manage_security is for `soc kibana apply`
#: alone, which writes roles: guard that key like a password of a super user.
CLUSTER: Final = ("monitor", "manage_index_templates", "manage_security")
INDEX: Final = (
    "auto_configure",
    "create",
    "create_doc",
    "create_index",
    "delete",
    "delete_index",
    "index",
    "maintenance",
    "manage",
    "monitor",
    "read",
    "view_index_metadata",
    "write",
)
_MARK: Final = "soc"  # the metadata of our keys
_KIBANA: Final = "kibana-.kibana"  # what Kibana's privileges are kept under


@dataclass(frozen=True, slots=True)
class Rights:
    """On some indices. Names hold `{namespace}` (each one of the key) or `{default}` (the store's own namespace)."""

    names: tuple[str, ...]
    privileges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One entry of the table: cluster privileges, rights on indices, and whether it sets Kibana up (every Space)."""

    name: str
    cluster: tuple[str, ...] = ()
    indices: tuple[Rights, ...] = ()
    kibana: bool = False

    def descriptor(self, namespaces: Sequence[str], default: str) -> dict[str, Any]:
        """The role descriptor. What is the default namespace's is left out of a key that is not for it."""
        rows = []
        for rights in self.indices:
            names = [
                n.replace("{namespace}", space) for n in rights.names if "{namespace}" in n for space in namespaces
            ]
            if default in namespaces:
                names += [n.replace("{default}", default) for n in rights.names if "{namespace}" not in n]
            if names:
                rows.append({"names": names, "privileges": list(rights.privileges)})
        made: dict[str, Any] = {"cluster": list(self.cluster), "indices": rows}
        if self.kibana:
            made["applications"] = [{"application": _KIBANA, "privileges": ["all"], "resources": ["*"]}]
        return made


@dataclass(frozen=True, slots=True)
class Key:
    """One key as the server knows it. `state`: active, expired or revoked."""

    id: str
    name: str
    component: str
    namespaces: tuple[str, ...]
    created: datetime
    expires: datetime | None
    state: str


def create(
    server: Server, component: Component, namespaces: Sequence[str], default: str, lifetime: timedelta
) -> tuple[Key, str]:
    """A new key and its secret (base64 of id:key, as clients present it). Raises TransportError, AnswerError.

    The server gives a key no more than its creator has, so the creator is a superuser, or has all of it.
    """
    now = datetime.now(UTC)
    name = f"soc-{component.name}-{now:%Y%m%dT%H%M%SZ}"
    made = server.call(
        "POST",
        "/_security/api_key",
        {
            "name": name,
            "expiration": f"{max(1, int(lifetime.total_seconds()))}s",
            "role_descriptors": {component.name: component.descriptor(namespaces, default)},
            "metadata": {_MARK: {"component": component.name, "namespaces": list(namespaces)}},
        },
    )
    key = Key(made["id"], name, component.name, tuple(namespaces), now, _moment(made.get("expiration")), "active")
    return key, str(made["encoded"])


def listed(server: Server, now: datetime) -> list[Key]:
    """Our keys, those that end first in front. Raises TransportError."""
    found = server.call("GET", "/_security/api_key", params={"name": "soc-*"})
    keys = [_key(told, now) for told in found["api_keys"] if isinstance(told.get("metadata", {}).get(_MARK), Mapping)]
    last = datetime.max.replace(tzinfo=UTC)
    return sorted(keys, key=lambda key: (key.state != "active", key.expires or last, key.name))


def revoke(server: Server, ids: Iterable[str]) -> list[str]:
    """Ids of the keys that are revoked by this call; one that was so already is left out. Raises TransportError."""
    told = server.call("DELETE", "/_security/api_key", {"ids": list(ids)})
    return [str(key_id) for key_id in told["invalidated_api_keys"]]


def missing(server: Server, component: Component, namespaces: Sequence[str], default: str) -> list[str]:
    """Privileges that the server's own access lacks to be this component, as sentences. Raises TransportError.

    Worth asking: Elasticsearch leaves indices that one may not see out of a search, without an error.
    """
    wanted = component.descriptor(namespaces, default)
    asked = {"cluster": wanted["cluster"], "index": wanted["indices"]}
    told = server.call("POST", "/_security/user/_has_privileges", asked)
    lacking = [f"{privilege} on the cluster" for privilege, has in told["cluster"].items() if not has]
    for index, privileges in told["index"].items():
        lacking += [f"{privilege} on {index}" for privilege, has in privileges.items() if not has]
    return sorted(lacking)


def _key(told: Mapping[str, Any], now: datetime) -> Key:
    expires = _moment(told.get("expiration"))
    state = "revoked" if told["invalidated"] else "expired" if expires is not None and expires <= now else "active"
    ours = told["metadata"][_MARK]
    created = _moment(told["creation"]) or now
    spaces = tuple(map(str, ours.get("namespaces", ())))
    return Key(told["id"], told["name"], str(ours.get("component", "")), spaces, created, expires, state)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


# ---------------------------------------------------------------- the table


def load_keys(path: Path) -> dict[str, Component]:
    """The table's components by name. Raises ContentErrors with every mistake."""
    content = read_yaml(path)
    entries = content.get("components") if isinstance(content, Mapped) else None
    if not isinstance(content, Mapped) or not isinstance(entries, Mapped):
        raise ContentErrors([ContentError(path, 0, "expected components: {name: {cluster, indices, kibana}}")])
    errors = [ContentError(path, content.at(k), unknown(k, ["components"])) for k in content if k != "components"]
    found = {name: _component(name, entries[name], entries.at(name), path, errors) for name in entries}
    if errors:
        raise ContentErrors(errors)
    return found


def _component(name: str, entry: Any, line: int, path: Path, errors: list[ContentError]) -> Component:
    if not isinstance(entry, Mapped):
        errors.append(ContentError(path, line, f"{name}: expected a mapping with cluster, indices, kibana"))
        return Component(name)
    known = ("cluster", "indices", "kibana")
    errors += [ContentError(path, entry.at(key), unknown(key, known)) for key in entry if key not in known]
    cluster = _words(entry, "cluster", CLUSTER, path, errors)
    rows = entry.get("indices") or []
    if not isinstance(rows, list) or not all(isinstance(row, Mapped) for row in rows):
        errors.append(ContentError(path, entry.at("indices"), "indices: expected a list of {names, privileges}"))
        return Component(name, cluster)
    if not isinstance(kibana := entry.get("kibana", False), bool):
        errors.append(ContentError(path, entry.at("kibana"), "kibana is neither true nor false"))
        kibana = False
    return Component(name, cluster, tuple(_rights(row, path, errors) for row in rows), kibana)


def _rights(row: Mapped, path: Path, errors: list[ContentError]) -> Rights:
    known = ("names", "privileges")
    errors += [ContentError(path, row.at(key), unknown(key, known)) for key in row if key not in known]
    names = _words(row, "names", None, path, errors)
    privileges = _words(row, "privileges", INDEX, path, errors)
    if not names or not privileges:
        errors.append(ContentError(path, row.line, "names and privileges are both needed"))
    for name in names:
        if "{namespace}" not in name and "{default}" not in name:
            why = f"{name!r} holds neither {{namespace}} nor {{default}}: it would reach every access group"
            errors.append(ContentError(path, row.at("names"), why))
    return Rights(names, privileges)


def _words(
    entry: Mapped, key: str, known: Sequence[str] | None, path: Path, errors: list[ContentError]
) -> tuple[str, ...]:
    value = entry.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        errors.append(ContentError(path, entry.at(key), f"{key}: expected a list of words"))
        return ()
    if known is not None:
        errors += [ContentError(path, entry.at(key), unknown(w, known, "privilege")) for w in value if w not in known]
    return tuple(value)
