"""Kafka's users reach what deploy/kafka/acls.yaml grants, and nothing else: real brokers with TLS, SCRAM and ACLs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from soc.bus.base import COUNTS, DETECTIONS, RAW, REJECTED, TOPICS, Message
from soc.bus.kafka import KafkaAccess, KafkaBus
from soc.bus.kafka.acls import Component, Grant, apply, load_acls, plan
from soc.bus.kafka.administration import Administration
from soc.bus.kafka.users import Change, password_file
from soc.bus.kafka.users import apply as apply_users
from soc.bus.kafka.users import plan as plan_users
from soc.event import ContentErrors, TransportError
from tests.services.access.conftest import PREFIX, Secure, Users


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is not let in says so after three seconds."""
    monkeypatch.setattr("soc.bus.kafka.access.BOOTSTRAP_S", 3.0)


pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

#: component → topics; what is not here must be refused.
WRITES = {
    "collect": {RAW, REJECTED, COUNTS},
    "detect": {REJECTED, DETECTIONS},
    "alert": {DETECTIONS, REJECTED},
    "watch": set(),
    "ingest": {RAW, REJECTED, COUNTS},
    "shipper": {RAW},
    "doctor": set(),
    "admin": set(),
}
READS = {
    "detect": {RAW, REJECTED},
    "alert": {DETECTIONS},
    "watch": {COUNTS},
}
#: Where a component's group is not called like it.
GROUPS = {("detect", REJECTED): "aside"}
COMPONENTS = sorted(WRITES)


@contextmanager
def bus_of(users: Users, component: str) -> Iterator[KafkaBus]:
    bus = KafkaBus([users.secure.bootstrap], access=users.access(component), prefix=PREFIX)
    try:
        yield bus
    finally:
        closed(bus)


def closed(bus: KafkaBus) -> None:
    with suppress(TransportError):  # what was refused cannot be flushed either
        bus.close()


def writes(bus: KafkaBus, topic: str) -> str:
    """ "" if the record is durable, else why not."""
    try:
        bus.publish(topic, [Message(b"key", b"value")])
        bus.flush()
    except TransportError as refused:
        return str(refused)
    return ""


def reads(bus: KafkaBus, topic: str, group: str) -> str:
    """ "" if something is read and committed, else why not."""
    subscription = bus.subscribe(topic, group, member=f"test-{group}")
    deadline = time.monotonic() + 30
    try:
        while not subscription.poll(10, 0.5):
            assert time.monotonic() < deadline, "neither a record nor a refusal"
        subscription.commit()
    except TransportError as refused:
        return str(refused)
    finally:
        subscription.close()
    return ""


@pytest.fixture(scope="module")
def filled(users: Users) -> Users:
    """Every topic holds a record."""
    bus = KafkaBus([users.secure.bootstrap], access=users.secure.cluster().access, prefix=PREFIX)
    for topic in TOPICS:
        bus.publish(topic, [Message(b"key", b"value")])
    bus.close()
    return users


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_writes_to_its_topics_alone(filled: Users, component: str) -> None:
    for topic in TOPICS:
        with bus_of(filled, component) as bus:
            refused = writes(bus, topic)
        if topic in WRITES[component]:
            assert refused == ""
        else:
            assert refused, f"{component} wrote to {topic}"


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_reads_its_topics_alone_in_its_own_group(filled: Users, component: str) -> None:
    for topic in TOPICS:
        with bus_of(filled, component) as bus:
            refused = reads(bus, topic, GROUPS.get((component, topic), component))
        if topic in READS.get(component, ()):
            assert refused == ""
        else:
            assert refused, f"{component} read {topic}"


def test_a_refusal_names_the_user_the_topic_and_the_table(filled: Users) -> None:
    with bus_of(filled, "detect") as bus:
        refused = writes(bus, RAW)
    assert f"{PREFIX}soc-detect" in refused
    assert f"{PREFIX}{RAW}" in refused
    assert "acls.yaml" in refused


def test_a_group_of_another_component_is_refused(filled: Users) -> None:
    """The detect worker may read soc.raw, but not in the group of the alert worker, whose offsets it would move."""
    with bus_of(filled, "detect") as bus:
        refused = reads(bus, RAW, "alert")
    assert f"{PREFIX}soc.alert" in refused
    assert f"{PREFIX}soc-detect" in refused


def test_another_prefix_is_another_province(filled: Users, administration: Administration) -> None:
    wanted = {f"lc.{RAW}": {"num_partitions": 1, "replication_factor": 1}}
    administration.ask("creating topics", lambda admin: admin.create_topics(wanted))
    bus = KafkaBus([filled.secure.bootstrap], access=filled.access("collect"), prefix="lc.")
    assert writes(bus, RAW)
    closed(bus)


def test_watch_deletes_what_every_group_has_committed_and_others_do_not(filled: Users) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    with bus_of(filled, "collect") as bus:
        assert writes(bus, RAW) == ""
    with bus_of(filled, "detect") as bus:
        while bus.lag(RAW, "detect"):
            assert reads(bus, RAW, "detect") == ""
        with pytest.raises(TransportError, match="soc-detect"):
            bus.expire(RAW, soon)
    with bus_of(filled, "watch") as bus:
        assert bus.expire(RAW, soon) > 0
        assert bus.expire(RAW, soon) == 0


def test_doctor_sees_lag_and_ends_but_no_record(filled: Users) -> None:
    with bus_of(filled, "doctor") as bus:
        assert sum(bus.end_offsets(RAW).values()) > 0
        assert bus.lag(RAW, "detect") >= 0
        assert reads(bus, RAW, "doctor")


def test_ingest_sees_how_far_the_workers_are(filled: Users) -> None:
    with bus_of(filled, "ingest") as bus:
        bus.committed(RAW, "detect")
        bus.committed(DETECTIONS, "alert")
        assert sum(bus.end_offsets(DETECTIONS).values()) > 0


# ---------------------------------------------------------------- who is at the door


def test_a_wrong_password_names_both_suspects(secure: Secure) -> None:
    access = KafkaAccess("SASL_SSL", user="admin", password="not-this-one", ca=secure.ca)
    bus = KafkaBus([secure.bootstrap], access=access)
    with pytest.raises(TransportError) as refused:
        bus.end_offsets(RAW)
    for named in (secure.bootstrap, "admin", "password", str(secure.ca)):
        assert named in str(refused.value)
    assert "not-this-one" not in str(refused.value)


def test_a_wrong_ca_names_both_suspects_and_says_that_the_certificate_is_not_accepted(
    secure: Secure, strangers_ca: Path
) -> None:
    access = KafkaAccess("SASL_SSL", user="admin", password=secure.kafka_password, ca=strangers_ca)
    bus = KafkaBus([secure.bootstrap], access=access)
    with pytest.raises(TransportError) as refused:
        bus.end_offsets(RAW)
    for named in (secure.bootstrap, "'admin'", "password", str(strangers_ca), "certificate that is not accepted"):
        assert named in str(refused.value)
    assert secure.kafka_password not in str(refused.value)


# ---------------------------------------------------------------- the table and the cluster


def grants(administration: Administration, principal: str) -> set[Grant]:
    """What a plan that wants nothing would remove: all that is there for the principal and ours."""
    user = principal.removeprefix("User:")
    return set(plan(administration, [Component("x", (user,))]).remove)


def test_applying_twice_changes_nothing(root: Path, users: Users, administration: Administration) -> None:
    made = plan(administration, load_acls(root / "deploy" / "kafka" / "acls.yaml"), PREFIX)
    assert (made.add, made.remove) == ((), ())
    assert made.kept > 30


def test_what_the_table_no_longer_grants_is_taken_away_and_nothing_else(administration: Administration) -> None:
    before = Component("one", ("test-a",), topics=((RAW, "read"), (RAW, "write")), groups=(("g", "read"),))
    apply(administration, plan(administration, [before], "p."))
    others = [
        acl("User:p.test-a", ACLOperation.READ, "elsewhere"),  # of our user, and no name of ours
        acl("User:test-b", ACLOperation.READ, f"p.{RAW}"),  # of somebody else
        acl("User:p.test-a", ACLOperation.WRITE, f"p.{RAW}", ACLPermissionType.DENY),
    ]
    administration.ask("adding ACLs", lambda admin: admin.create_acls(others))
    after = Component("one", ("test-a",), topics=((RAW, "read"),))
    made = plan(administration, [after], "p.")
    assert made.add == ()
    assert [str(grant) for grant in made.remove] == [
        "User:p.test-a may read group p.soc.g",
        f"User:p.test-a may write topic p.{RAW}",
    ]
    apply(administration, made)
    assert plan(administration, [after], "p.").changes == 0
    found = administration.ask("reading ACLs", lambda admin: [admin.describe_acls(exactly(one))[0] for one in others])
    assert [len(one) for one in found] == [1, 1, 1]


def acl(
    principal: str, operation: ACLOperation, topic: str, permission: ACLPermissionType = ACLPermissionType.ALLOW
) -> ACL:
    return ACL(principal, "*", operation, permission, ResourcePattern(ResourceType.TOPIC, topic))


def exactly(one: ACL) -> object:
    from kafka.admin import ACLFilter, ResourcePatternFilter

    pattern = ResourcePatternFilter(
        ResourceType.TOPIC, one.resource_pattern.resource_name, ACLResourcePatternType.LITERAL
    )
    return ACLFilter(one.principal, one.host, one.operation, one.permission_type, pattern)


def test_a_plain_cluster_is_told_to_have_no_authorizer(kafka: str) -> None:
    from soc.bus.kafka.access import Cluster

    plain = Administration(Cluster([kafka]))
    with pytest.raises(TransportError, match="no authorizer"):
        plan(plain, [])
    plain.close()


# ---------------------------------------------------------------- users


def test_a_renewed_password_replaces_the_old_one(users: Users, administration: Administration, tmp_path: Path) -> None:
    user, mechanism = f"{PREFIX}soc-test", "SCRAM-SHA-512"
    (made,) = plan_users(administration, [user], tmp_path, mechanism)
    assert made.what == "create"
    apply_users(administration, [made], mechanism)
    file = password_file(tmp_path, user)
    first = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [change.what for change in plan_users(administration, [user], tmp_path, mechanism)] == ["keep"]
    apply_users(administration, [Change(user, "renew", file)], mechanism)
    second = file.read_text().strip()
    assert first != second
    assert opens(users.secure, user, second)
    assert not opens(users.secure, user, first)


def opens(secure: Secure, user: str, password: str) -> bool:
    """Whether the cluster lets the user in. It may not do anything there."""
    administration = Administration(secure.cluster(user, password))
    try:
        administration.ask("listing groups", lambda admin: admin.list_groups())
    except TransportError as refused:
        assert "password" in str(refused)
        return False
    finally:
        administration.close()
    return True


def test_a_user_without_its_password_file_is_not_given_another_password(
    administration: Administration, tmp_path: Path
) -> None:
    user, mechanism = f"{PREFIX}soc-lost", "SCRAM-SHA-512"
    apply_users(administration, plan_users(administration, [user], tmp_path, mechanism), mechanism)
    password_file(tmp_path, user).unlink()
    with pytest.raises(ContentErrors, match=f"--renew {user}"):
        plan_users(administration, [user], tmp_path, mechanism)
