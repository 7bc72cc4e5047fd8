"""What the tests of this room share: the shipped content, our rules, and setups with and without access groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from soc.alert.policy import Policy
from soc.detect import RuleSet, load_rules
from soc.kibana import Alerting, Content, Group, Setup, alerting, load_content, spaces

CONSOLE = "https://soc.tinh.example"


@pytest.fixture(scope="session")
def content(root: Path) -> Content:
    return load_content(root / "deploy" / "kibana")


@pytest.fixture(scope="session")
def rules(root: Path) -> RuleSet:
    return load_rules([root / "rules"], sorted((root / "pipelines" / "sigma").glob("*.yml")))


@pytest.fixture(scope="session")
def may_alert(rules: RuleSet, root: Path) -> list[Alerting]:
    return alerting(rules, Policy.load([root / "rules"]))


@pytest.fixture
def setup() -> Setup:
    """A province and two access groups, one of which works in Elastic Security."""
    groups = [Group("y_te", "Ngành y tế", promote=True), Group("xa.yen_son", "Xã Yên Sơn")]
    return Setup(spaces("soc", "SOC tỉnh", "tinh", groups, Path("soc.yaml")), "tinh", console_url=CONSOLE)
