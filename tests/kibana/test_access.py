"""Who may read what: Spaces hide, index names protect."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.event import ContentErrors
from soc.kibana import Alerting, Content, Group, Item, Setup, everything, spaces
from soc.kibana.access import role_item
from soc.kibana.definitions import Access

NAMES = st.from_regex(re.compile(r"[a-z0-9][a-z0-9_.]{0,12}", re.ASCII), fullmatch=True)
NOBODY = Access("x", {"discover_v2": ("read",)}, {})


def roles(content: Content, may_alert: list[Alerting], setup: Setup) -> dict[str, Item]:
    return {item.id: item for item in everything(content, may_alert, setup) if item.kind == "role"}


def may_read(role: Item, index: str) -> bool:
    return any(fnmatchcase(index, name) for row in role.body["elasticsearch"]["indices"] for name in row["names"])


def indices_of(namespace: str) -> list[str]:
    return [f"logs-soc.host-{namespace}-2026.11.24", f"soc-alerts-{namespace}-2026", f"soc-alerts-{namespace}"]


def test_a_group_reads_its_own_and_staff_read_everything(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    made = roles(content, may_alert, setup)
    assert set(made) == {"soc-analyst", "soc-y-te-viewer", "soc-xa-yen-son-viewer"}
    for namespace in ("tinh", "y_te", "xa.yen_son"):
        assert all(may_read(made["soc-analyst"], index) for index in indices_of(namespace))
    assert all(may_read(made["soc-y-te-viewer"], index) for index in indices_of("y_te"))
    for other in (
        *indices_of("tinh"),
        *indices_of("xa.yen_son"),
        "soc-shadow-y_te-2026.11",
        "soc-records-tinh-2026.11.24",
    ):
        assert not may_read(made["soc-y-te-viewer"], other)


@settings(max_examples=40)
@given(st.lists(NAMES, min_size=2, max_size=4, unique=True))
def test_no_pattern_of_a_group_reaches_another_groups_indices(names: list[str]) -> None:
    try:
        made = spaces("staff", "SOC", "tinh", [Group(name) for name in names], Path("soc.yaml"))
    except ContentErrors:
        return  # two names that make one Space id
    setup = Setup(made, "tinh")
    for space in made[1:]:
        role = role_item(space, NOBODY, setup)
        others = [name for name in (*names, "tinh") if name != space.namespaces[0]]
        assert not any(may_read(role, index) for other in others for index in indices_of(other))
        assert all(may_read(role, index) for index in indices_of(space.namespaces[0]))


def test_kibana_privileges_hold_in_one_space_alone(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    made = roles(content, may_alert, setup)
    assert {name: role.body["kibana"][0]["spaces"] for name, role in made.items()} == {
        "soc-analyst": ["soc"],
        "soc-y-te-viewer": ["soc-y-te"],
        "soc-xa-yen-son-viewer": ["soc-xa-yen-son"],
    }
    plain = made["soc-xa-yen-son-viewer"].body["kibana"][0]["feature"]
    assert plain == {"discover_v2": ["read"], "dashboard_v2": ["read"]}
    assert "securitySolutionAlertsV1" in made["soc-y-te-viewer"].body["kibana"][0]["feature"]


def test_roles_change_nothing_but_the_alerts_of_elastic_security(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    for role in roles(content, may_alert, setup).values():
        assert role.body["elasticsearch"]["cluster"] == []
        for row in role.body["elasticsearch"]["indices"]:
            if set(row["privileges"]) != {"read", "view_index_metadata"}:
                assert all(".alerts-security.alerts-" in name for name in row["names"])


def test_two_groups_with_one_space_are_refused() -> None:
    with pytest.raises(ContentErrors, match="another Space has the id soc-y-te"):
        spaces("soc", "SOC", "tinh", [Group("y.te"), Group("y_te")], Path("soc.yaml"))


def test_a_group_is_not_promoted_where_the_rule_would_read_another_ones_alerts() -> None:
    """The rule reads soc-alerts-<namespace>*."""
    with pytest.raises(ContentErrors, match="would promote the alerts of y_te_2"):
        spaces("soc", "SOC", "tinh", [Group("y_te", promote=True), Group("y_te_2")], Path("soc.yaml"))
    assert len(spaces("soc", "SOC", "tinh", [Group("y_te"), Group("y_te_2")], Path("soc.yaml"))) == 3
