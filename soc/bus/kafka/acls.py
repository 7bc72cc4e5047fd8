"""Who may do what on Kafka: deploy/kafka/acls.yaml in, the difference to the cluster's ACLs out, and its application.

Operations by resource: https://kafka.apache.org/documentation/#operations_resources_and_protocols
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import SecurityDisabledError

from soc.bus.base import TOPICS
from soc.bus.kafka.administration import Administration
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors, TransportError

#: What may stand below topics, groups and cluster.
OPERATIONS: Final = {
    "topics": ("read", "write", "create", "delete", "alter", "describe", "alter_configs", "describe_configs"),
    "groups": ("read", "delete", "describe"),
    "cluster": ("create", "alter", "describe", "alter_configs", "describe_configs"),
}
#: Every name of ours on a cluster begins so, behind the prefix.
_OURS: Final = "soc."
_TYPES: Final = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "cluster": ResourceType.CLUSTER}
_CLUSTER: Final = "kafka-cluster"  # the one name that Kafka gives the resource


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One ACL that allows: a principal, an operation (lower case), a resource, the address it comes from (* = any).

    `prefixed`: all resources whose names begin with `name`.
    """

    principal: str
    kind: str  # topic, group or cluster
    name: str
    prefixed: bool
    operation: str
    host: str = "*"

    def __str__(self) -> str:
        what = "the cluster" if self.kind == "cluster" else f"{self.kind} {self.name}{'*' if self.prefixed else ''}"
        return f"{self.principal} may {self.operation} {what}" + ("" if self.host == "*" else f" from {self.host}")


@dataclass(frozen=True, slots=True)
class Component:
    """One entry of the table: its users, and its grants by resource as they are written."""

    name: str
    users: tuple[str, ...]
    hosts: tuple[str, ...] = ("*",)
    topics: tuple[tuple[str, str], ...] = ()  # (name, operation)
    groups: tuple[tuple[str, str], ...] = ()
    cluster: tuple[str, ...] = ()

    def grants(self, prefix: str = "") -> set[Grant]:
        """What the cluster must hold for it; `prefix` is the bus's."""
        rows = [("topic", *_pattern(prefix, name), operation) for name, operation in self.topics]
        rows += [("group", *_pattern(prefix + _OURS, name), operation) for name, operation in self.groups]
        rows += [("cluster", _CLUSTER, False, operation) for operation in self.cluster]
        return {Grant(f"User:{prefix}{user}", *row, host) for user in self.users for host in self.hosts for row in rows}


def _pattern(prefix: str, name: str) -> tuple[str, bool]:
    return prefix + name.removesuffix("*"), name.endswith("*")


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying the table would add and remove; `kept` ACLs of ours are as they should be."""

    add: tuple[Grant, ...]
    remove: tuple[Grant, ...]
    kept: int

    @property
    def changes(self) -> int:
        return len(self.add) + len(self.remove)


def plan(cluster: Administration, components: Iterable[Component], prefix: str = "") -> Plan:
    """The table against the cluster. Raises TransportError.

    Ours, and so removed where the table does not name it, is what allows one of the table's users something on a topic
    or group that begins with `<prefix>soc.`, or on the cluster. Denials, other users and other names are left alone.
    """
    wanted: set[Grant] = set()
    principals = set()
    for component in components:
        wanted |= component.grants(prefix)
        principals |= {f"User:{prefix}{user}" for user in component.users}
    there = set()
    for grant in _existing(cluster):
        ours = grant.kind == "cluster" or grant.name.startswith(prefix + _OURS)
        if grant.principal in principals and ours:
            there.add(grant)
    return Plan(tuple(sorted(wanted - there)), tuple(sorted(there - wanted)), len(wanted & there))


def apply(cluster: Administration, made: Plan) -> None:
    """Add first, then remove, so that nobody is locked out in between. Raises TransportError."""
    if made.add:
        told = cluster.ask("adding ACLs", lambda admin: admin.create_acls([_acl(grant) for grant in made.add]))
        if failed := told["failed"]:
            raise TransportError(f"Kafka refused {len(failed)} ACLs: {failed[0].__name__}")
    if made.remove:
        gone = cluster.ask("removing ACLs", lambda admin: admin.delete_acls([_exactly(one) for one in made.remove]))
        if refused := [error for _, _, error in gone if error.errno]:
            raise TransportError(f"Kafka refused to remove {len(refused)} ACLs: {refused[0].__name__}")


def _existing(cluster: Administration) -> list[Grant]:
    """All ACLs of the cluster that allow something on topics, groups and the cluster."""
    anything = ACLFilter(
        principal=None,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
    )
    try:
        found, _ = cluster.ask("reading ACLs", lambda admin: admin.describe_acls(anything))
    except TransportError as wrong:
        if isinstance(wrong.__cause__, SecurityDisabledError):
            raise TransportError(
                "this Kafka has no authorizer (authorizer.class.name): it lets everybody in"
            ) from wrong
        raise
    kinds = {kind: name for name, kind in _TYPES.items()}
    return [
        Grant(
            acl.principal,
            kinds[acl.resource_pattern.resource_type],
            acl.resource_pattern.resource_name,
            acl.resource_pattern.pattern_type == ACLResourcePatternType.PREFIXED,
            acl.operation.name.lower(),
            acl.host,
        )
        for acl in found
        if acl.resource_pattern.resource_type in kinds
    ]


def _acl(grant: Grant) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if grant.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        grant.principal,
        grant.host,
        ACLOperation[grant.operation.upper()],
        ACLPermissionType.ALLOW,
        ResourcePattern(_TYPES[grant.kind], grant.name, pattern),
    )


def _exactly(grant: Grant) -> ACLFilter:
    """Matches this ACL and no other."""
    acl = _acl(grant)
    pattern = acl.resource_pattern
    return ACLFilter(
        acl.principal,
        acl.host,
        acl.operation,
        acl.permission_type,
        ResourcePatternFilter(pattern.resource_type, pattern.resource_name, pattern.pattern_type),
    )


# ---------------------------------------------------------------- the table


def load_acls(path: Path) -> list[Component]:
    """The table's components in its order. Raises ContentErrors with every mistake."""
    content = read_yaml(path)
    errors: list[ContentError] = []
    entries = content.get("components") if isinstance(content, Mapped) else None
    if not isinstance(content, Mapped) or not isinstance(entries, Mapped):
        raise ContentErrors([ContentError(path, 0, "expected components: {name: {users, topics, groups, cluster}}")])
    errors += [ContentError(path, content.at(k), unknown(k, ["components"])) for k in content if k != "components"]
    found = [_component(name, entries[name], entries.at(name), path, errors) for name in entries]
    owner: dict[str, str] = {}
    for component in found:
        for user in component.users:
            if (other := owner.setdefault(user, component.name)) != component.name:
                line = entries.at(component.name)
                errors.append(ContentError(path, line, f"user {user} is {other}'s already: their rights would add up"))
    if errors:
        raise ContentErrors(errors)
    return found


_KEYS: Final = ("users", "hosts", "topics", "groups", "cluster")


def _component(name: str, entry: Any, line: int, path: Path, errors: list[ContentError]) -> Component:
    if not isinstance(entry, Mapped):
        errors.append(ContentError(path, line, f"{name}: expected a mapping with {', '.join(_KEYS)}"))
        return Component(name, ())
    errors += [ContentError(path, entry.at(key), unknown(key, _KEYS)) for key in entry if key not in _KEYS]
    users = _texts(entry, "users", path, errors)
    if not users:
        errors.append(ContentError(path, line, f"{name}: users is missing or empty"))
    hosts = _texts(entry, "hosts", path, errors) or ("*",)
    cluster = _texts(entry, "cluster", path, errors)
    errors += _refused(cluster, "cluster", path, entry.at("cluster"))
    topics = _named(entry, "topics", path, errors)
    for topic in {topic for topic, _ in topics}:
        if topic not in TOPICS and not topic.endswith("*"):
            errors.append(ContentError(path, entry["topics"].at(topic), unknown(topic, TOPICS, "topic")))
    return Component(name, users, hosts, topics, _named(entry, "groups", path, errors), cluster)


def _named(entry: Mapped, key: str, path: Path, errors: list[ContentError]) -> tuple[tuple[str, str], ...]:
    """(name, operation) of a mapping name → operations."""
    names = entry.get(key)
    if names is None:
        return ()
    if not isinstance(names, Mapped):
        errors.append(ContentError(path, entry.at(key), f"{key}: expected a mapping of names to operations"))
        return ()
    rows = []
    for name in names:
        operations = _texts(names, name, path, errors)
        errors += _refused(operations, key, path, names.at(name))
        rows += [(name, operation) for operation in operations]
    return tuple(rows)


def _refused(operations: Sequence[str], kind: str, path: Path, line: int) -> list[ContentError]:
    known = OPERATIONS[kind]
    return [ContentError(path, line, unknown(o, known, "operation")) for o in operations if o not in known]


def _texts(entry: Mapped, key: str, path: Path, errors: list[ContentError]) -> tuple[str, ...]:
    value = entry.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        errors.append(ContentError(path, entry.at(key), f"{key}: expected a list of words"))
        return ()
    return tuple(value)
