"""deploy/kafka/acls.yaml and deploy/elasticsearch/keys.yaml: what they say, and mistakes with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from soc.bus.base import TOPICS
from soc.bus.kafka.acls import Component, load_acls
from soc.event import ContentErrors
from soc.store.elasticsearch.keys import load_keys

ROOT = Path(__file__).resolve().parents[2]
ACLS = ROOT / "deploy" / "kafka" / "acls.yaml"
KEYS = ROOT / "deploy" / "elasticsearch" / "keys.yaml"


def acls(name: str) -> Component:
    return next(component for component in load_acls(ACLS) if component.name == name)


def test_prefix_stands_before_users_topics_and_groups() -> None:
    grants = acls("detect").grants("hn.")
    assert {grant.principal for grant in grants} == {"User:hn.soc-detect"}
    assert {grant.name for grant in grants if grant.kind == "group"} == {"hn.soc.detect", "hn.soc.aside"}
    assert {grant.name for grant in grants if grant.kind == "topic"} <= {f"hn.{topic}" for topic in TOPICS}


def test_a_name_with_a_star_is_a_prefix() -> None:
    groups = {grant.name: grant.prefixed for grant in acls("watch").grants("hn.") if grant.kind == "group"}
    assert groups == {"hn.soc.": True, "hn.soc.watch": False}


def test_hosts_multiply_grants_and_are_told() -> None:
    component = Component("x", ("a", "b"), ("192.0.2.1", "192.0.2.2"), (("soc.raw", "write"),))
    assert len(component.grants()) == 4
    assert "User:a may write topic soc.raw from 192.0.2.1" in {str(grant) for grant in component.grants()}


def test_only_those_who_set_up_may_make_or_change_topics_and_only_watch_may_delete() -> None:
    for component in load_acls(ACLS):
        can = {operation for _, operation in component.topics}
        assert bool(can & {"create", "alter", "alter_configs"}) is (component.name == "admin")
        assert ("delete" in can) is (component.name == "watch")
        assert ("alter" in component.cluster) is (component.name == "admin")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("components: {}\nextra: 1\n", 2, "unknown key 'extra'"),
        ("components:\n  x: [a]\n", 2, "expected a mapping"),
        ("components:\n  x:\n    topics: {soc.raw: [read]}\n", 2, "users is missing"),
        ("components:\n  x:\n    users: [a]\n    topics:\n      soc.row: [read]\n", 5, "did you mean 'soc.raw'?"),
        ("components:\n  x:\n    users: [a]\n    topics:\n      soc.raw: [reed]\n", 5, "did you mean 'read'?"),
        ("components:\n  x:\n    users: [a]\n    cluster: [read]\n", 4, "unknown operation 'read'"),
        ("components:\n  x:\n    users: [a]\n  y:\n    users: [a]\n", 4, "user a is x's already"),
        ("components:\n  x:\n    users: a\n", 3, "expected a list of words"),
        ("components:\n  x:\n    users: [a]\n    groups: [g]\n", 4, "expected a mapping of names"),
        ("[]\n", 0, "expected components"),
    ],
)
def test_mistakes_in_acls_are_named_with_their_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    file = tmp_path / "acls.yaml"
    file.write_text(text)
    with pytest.raises(ContentErrors) as refused:
        load_acls(file)
    assert [error.line for error in refused.value.errors if why in error.why] == [line], refused.value


# ---------------------------------------------------------------- keys


def test_a_key_reaches_its_namespaces_alone() -> None:
    reader = load_keys(KEYS)["reader"].descriptor(["a"], "default")
    names = [name for row in reader["indices"] for name in row["names"]]
    assert names == ["logs-soc.*-a-*", "soc-alerts-a-*", "soc-shadow-a-*"]


def test_a_key_for_the_default_namespace_reaches_records_and_state() -> None:
    reader = load_keys(KEYS)["reader"].descriptor(["a", "b"], "b")
    names = {name for row in reader["indices"] for name in row["names"]}
    assert {"logs-soc.*-a-*", "logs-soc.*-b-*", "soc-records-b-*", "soc-state-b"} <= names
    assert not [name for name in names if name.startswith(("soc-records-a", "soc-state-a"))]


def test_every_name_is_of_one_namespace_and_ends_with_it_or_a_hyphen() -> None:
    """A pattern `logs-soc.*-a*` would reach namespace `ab`, too."""
    for component in load_keys(KEYS).values():
        for rights in component.indices:
            for name in rights.names:
                assert name.endswith(("-{namespace}-*", "-{namespace}", "-{default}-*", "-{default}")), name


def test_only_set_up_touches_templates_security_and_kibana() -> None:
    table = load_keys(KEYS)
    assert {name for name, one in table.items() if "manage_index_templates" in one.cluster} == {"admin"}
    assert {name for name, one in table.items() if "manage_security" in one.cluster} == {"kibana-apply"}
    assert {name for name, one in table.items() if one.kibana} == {"kibana-apply"}
    privileges = {name: {p for row in one.indices for p in row.privileges} for name, one in table.items()}
    assert {name for name, some in privileges.items() if "delete_index" in some} == {"watch"}
    assert {name for name, some in privileges.items() if some & {"manage", "write", "create"}} == set()


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (
            "components:\n  x:\n    indices:\n      - names: [logs-*]\n        privileges: [read]\n",
            4,
            "every access group",
        ),
        ("components:\n  x:\n    indices:\n      - names: ['a-{namespace}']\n", 4, "both needed"),
        ("components:\n  x:\n    cluster: [all]\n", 3, "unknown privilege 'all'"),
        ("components:\n  x:\n    indices:\n      - {names: ['a-{default}'], privileges: [raed]}\n", 4, "did you mean"),
        (
            "components:\n  x:\n    indices:\n      - {names: ['a-{default}'], privileges: [read], query: '{}'}\n",
            4,
            "query",
        ),
        ("components:\n  x:\n    kibana: 3\n", 3, "neither true nor false"),
        ("components:\n  x:\n    indices: read\n", 3, "expected a list"),
        ("components:\n  x: all\n", 2, "expected a mapping"),
    ],
)
def test_mistakes_in_keys_are_named_with_their_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(text)
    with pytest.raises(ContentErrors) as refused:
        load_keys(file)
    assert [error.line for error in refused.value.errors if why in error.why] == [line], refused.value
