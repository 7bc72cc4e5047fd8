"""Everything that we send fits our own schema of Kibana's APIs; what does not is refused before it is sent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soc.event import ContentErrors
from soc.kibana import Alerting, Content, Setup, everything, spaces
from soc.kibana.schema import problems
from tests.kibana.looking import made_of, panels


@pytest.mark.parametrize("mode", ["single", "per-rule"])
@pytest.mark.parametrize("version", [(9, 4), (9, 5)])
@pytest.mark.parametrize("console_url", ["", "https://soc.tinh.example/"])
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_payload_fits(
    content: Content, may_alert: list[Alerting], setup: Setup, mode: Any, version: Any, console_url: str, lang: str
) -> None:
    asked = replace(setup, mode=mode, version=version, console_url=console_url, lang=lang)
    items = everything(content, may_alert, asked)
    assert [why for item in items for why in problems(item.kind, item.body)] == []
    assert len({(item.kind, item.space, item.id) for item in items}) == len(items)


def test_a_store_without_access_groups_has_one_space(content: Content, may_alert: list[Alerting]) -> None:
    setup = Setup(spaces("soc", "SOC", "tinh", [], Path("soc.yaml")), "tinh")
    kinds = [item.kind for item in everything(content, may_alert, setup) if item.kind in ("space", "role")]
    assert kinds == ["space", "role"]


def wrong(item_body: dict[str, Any], kind: Any, change: Callable[[dict[str, Any]], object]) -> list[str]:
    body = copy.deepcopy(item_body)
    change(body)
    return problems(kind, body)


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("dashboard", lambda b: b.pop("title"), "title is missing"),
    ("dashboard", lambda b: b.update(colour="red"), "colour is not known"),
    ("dashboard", lambda b: b["panels"][0]["panels"][0]["grid"].update(x=47), "ends beyond column 48"),
    ("dashboard", lambda b: b["panels"][0]["panels"][1]["grid"].update(x=0), "lies on overview-01"),
    ("dashboard", lambda b: b["panels"][0]["panels"][1].update(id="overview-01"), "two panels have the id"),
    ("dashboard", lambda b: b["panels"][0]["panels"][0].update(type="lens"), "'lens' is none of"),
    (
        "dashboard",
        lambda b: b["panels"][0]["panels"][0]["config"]["metrics"][0].update(operation="last_value"),
        "'last_value' is none of",
    ),
    (
        "dashboard",
        lambda b: b["panels"][0]["panels"][0]["config"].update(data_source={"type": "esql", "query": "FROM x"}),
        "query is not known",
    ),
    ("dashboard", lambda b: b.update(time_range={"from": "yesterday", "to": "now"}), "'yesterday' does not fit"),
    ("role", lambda b: b["elasticsearch"]["indices"][0]["privileges"].append("all"), "'all' is none of"),
    ("role", lambda b: b["elasticsearch"]["cluster"].append("manage"), "expected 0 to 0 members"),
    ("role", lambda b: b["kibana"][0].update(spaces=["soc", "other"]), "expected 1 to 1 members"),
    ("rule", lambda b: b["severity_mapping"][0].update(value=21), "expected a text, not 21"),
    ("rule", lambda b: b.update(max_signals=5000), "expected a number from 1 to 1000"),
    ("rule", lambda b: b.update(risk_score=True), "expected a number"),
    ("data_view", lambda b: b["fieldFormats"]["event.url"].update(id="color"), "'color' is none of"),
    ("search", lambda b: b.update(tabs=[]), "expected 1 to 25 members"),
    ("space", lambda b: b.update(id="Tỉnh"), "does not fit"),
]


@pytest.mark.parametrize(("kind", "change", "why"), CHANGES, ids=[change[2] for change in CHANGES])
def test_what_kibana_would_refuse_is_refused(
    content: Content, may_alert: list[Alerting], setup: Setup, kind: Any, change: Any, why: str
) -> None:
    wanted = {"dashboard": "soc-overview", "search": "soc-alerts", "data_view": "soc-alerts", "space": "soc"}.get(kind)
    items = everything(content, may_alert, setup)
    body = next(dict(item.body) for item in items if item.kind == kind and wanted in (None, item.id))
    assert problems(kind, body) == []
    assert any(why in said for said in wrong(body, kind, change))


def test_a_payload_that_does_not_fit_is_not_made(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    """A panel of the definitions that is too wide for the grid, for one."""
    first, *rest = content.dashboards
    row = first.rows[0]
    crowded = replace(row, panels=tuple(replace(panel, width=40) for panel in row.panels))
    spoilt = replace(content, dashboards=[replace(first, rows=(crowded, *first.rows[1:])), *rest])
    with pytest.raises(ContentErrors, match="expected a number from 0 to 47, not 80"):
        everything(spoilt, may_alert, setup)


def test_rows_fill_the_grid(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    for item in everything(content, may_alert, setup):
        if item.kind == "dashboard":
            for section in item.body["panels"]:
                rows: dict[int, int] = {}
                for panel in section["panels"]:
                    rows[panel["grid"]["y"]] = rows.get(panel["grid"]["y"], 0) + panel["grid"]["w"]
                assert set(rows.values()) == {48}, item.id


def test_texts_that_people_read_are_vietnamese(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    """No field name stands where a word should."""
    for item in everything(content, may_alert, setup):
        if item.kind == "dashboard":
            said = made_of(item, "label") + [p["config"].get("title", "x") for p in panels(item)]
            assert [text for text in said if "." in text.split(" ")[0] and text != "SOC"] == []
