"""deploy/kafka/topics.yaml in, the difference to the cluster's topics out, and its application.

    plan(cluster, load_topics(path), prefix) ──▶ Plan(changes, by_hand) ──▶ apply(cluster, plan)

Topics that the table does not name, and settings that it does not name, are left alone. Nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient, errors
from kafka.admin import ConfigResource

from soc.bus.kafka.administration import Administration
from soc.bus.kafka.topics_table import TopicSpec
from soc.event import TransportError

_MISSING: Final = errors.UnknownTopicOrPartitionError.errno


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs. `before` is the cluster's, `after` the table's; a topic to be created has settings."""

    topic: str  # as the cluster knows it
    what: str  # "topic", "partitions", "replication factor" or a setting's name
    before: str
    after: str
    why: str = ""  # a sentence, where applying it needs one

    def __str__(self) -> str:
        text = f"{self.topic}: {self.what} {self.before or '-'} → {self.after}"
        return f"{text} ({self.why})" if self.why else text


@dataclass(frozen=True, slots=True)
class Plan:
    """`changes` can be applied. `by_hand` cannot: each says why and what to do. `kept` topics are as they should be."""

    changes: tuple[Change, ...]
    by_hand: tuple[Change, ...]
    specs: Mapping[str, TopicSpec]  # by the cluster's names
    kept: int

    @property
    def drift(self) -> bool:
        """Whether the cluster is not as the table says."""
        return bool(self.changes or self.by_hand)


def plan(cluster: Administration, table: Iterable[TopicSpec], prefix: str = "") -> Plan:
    """The table against the cluster. Raises TransportError."""
    specs = {prefix + spec.name: spec for spec in table}
    told = cluster.ask("looking at topics", lambda admin: admin.describe_topics(list(specs)))
    there = {found["name"]: found for found in told}
    for name, found in there.items():
        if found["error_code"] not in (0, _MISSING):
            kind = errors.for_code(found["error_code"])
            raise TransportError(f"topic {name} cannot be looked at: {kind.__name__}")
    existing = [name for name in specs if there[name]["error_code"] == 0]
    settings = _settings(cluster, {name: list(specs[name].settings) for name in existing})
    changes: list[Change] = []
    by_hand: list[Change] = []
    for name, spec in specs.items():
        if name not in existing:
            replicas = f"{spec.partitions} partitions, replication factor {spec.factor}"
            changes.append(Change(name, "topic", "", replicas))
            continue
        _compare_partitions(name, spec, there[name]["partitions"], changes, by_hand)
        for key, wanted in spec.settings.items():
            if (found := settings[name].get(key, "")) != wanted:
                changes.append(Change(name, key, found, wanted))
    touched = {change.topic for change in (*changes, *by_hand)}
    return Plan(tuple(changes), tuple(by_hand), specs, len(specs) - len(touched))


def _settings(cluster: Administration, wanted: Mapping[str, list[str]]) -> dict[str, dict[str, str]]:
    """Topic → setting → its value on the cluster, a default or not."""
    if not wanted:
        return {}
    resources = [ConfigResource("TOPIC", name, keys) for name, keys in wanted.items()]
    told = cluster.ask(
        "looking at the settings of topics", lambda admin: admin.describe_configs(resources, config_filter="all")
    )["topic"]
    for name, keys in wanted.items():
        if keys and not told.get(name):
            raise TransportError(
                f"the settings of topic {name} cannot be seen: this user needs the right describe_configs "
                "(deploy/kafka/acls.yaml)"
            )
    return {name: {key: str(value["value"]) for key, value in found.items()} for name, found in told.items()}


def _compare_partitions(
    name: str, spec: TopicSpec, found: list[dict[str, Any]], changes: list[Change], by_hand: list[Change]
) -> None:
    if len(found) < spec.partitions:
        why = "records of a key may go to another partition from now on"
        changes.append(Change(name, "partitions", str(len(found)), str(spec.partitions), why))
    elif len(found) > spec.partitions:
        why = (
            "Kafka cannot take partitions away: set partitions to the number that is there, or make a topic with "
            "another prefix and let the workers empty this one first"
        )
        by_hand.append(Change(name, "partitions", str(len(found)), str(spec.partitions), why))
    factors = {len(partition["replica_nodes"]) for partition in found}
    if factors and factors != {spec.factor}:
        why = "kafka-reassign-partitions.sh moves replicas; this command does not"
        before = "/".join(map(str, sorted(factors)))
        by_hand.append(Change(name, "replication factor", before, str(spec.factor), why))


def apply(cluster: Administration, made: Plan) -> None:
    """Make the changes that can be made; doing it twice does nothing the second time. Raises TransportError."""
    created = [change.topic for change in made.changes if change.what == "topic"]
    for name in created:
        _create(cluster, name, made.specs[name])
    if created:
        cluster.ask("waiting for new topics", lambda admin: admin.wait_for_topics(created))
    raised = {change.topic: int(change.after) for change in made.changes if change.what == "partitions"}
    if raised:
        cluster.ask("raising partitions", lambda admin: admin.create_partitions(raised), ", ".join(raised))
    _alter(cluster, [change for change in made.changes if change.what not in ("topic", "partitions")])


def _create(cluster: Administration, name: str, spec: TopicSpec) -> None:
    wanted = {
        name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.factor,
            "configs": dict(spec.settings),
        }
    }

    def question(admin: KafkaAdminClient) -> None:
        try:
            admin.create_topics(wanted)
        except errors.TopicAlreadyExistsError:
            pass  # somebody else applies the same table
        except errors.InvalidReplicationFactorError as wrong:
            raise TransportError(
                f"topic {name} asks for {spec.factor} replicas and the cluster has fewer brokers: see the line "
                "replication of topics.yaml"
            ) from wrong
        except (errors.InvalidConfigurationError, errors.PolicyViolationError) as wrong:
            raise TransportError(f"the brokers refuse the settings of topic {name}: {wrong}") from wrong

    cluster.ask(f"creating topic {name}", question, name)


def _alter(cluster: Administration, changes: Iterable[Change]) -> None:
    wanted: dict[str, dict[str, str]] = {}
    for change in changes:
        wanted.setdefault(change.topic, {})[change.what] = change.after
    if not wanted:
        return
    resources = [ConfigResource("TOPIC", name, settings) for name, settings in wanted.items()]
    told = cluster.ask("changing settings of topics", lambda admin: admin.alter_configs(resources))["topic"]
    if refused := {name: result for name, result in told.items() if result != "OK"}:
        raise TransportError("; ".join(f"the settings of {name} were refused: {why}" for name, why in refused.items()))
