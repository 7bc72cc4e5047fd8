"""The shipped content, and what the loader says of content that is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from soc.alert import words
from soc.event import ContentErrors
from soc.kibana import Alerting, Content, Setup, everything, load_content
from soc.org import LEVEL_LABELS
from tests.kibana.looking import NUMBERS, made_of, mapping_of, uses

Edited = Callable[[str, str, str], Path]


@pytest.fixture
def edited(root: Path, tmp_path: Path) -> Edited:
    """The shipped folder with one text of one file replaced."""

    def edit(name: str, old: str, new: str) -> Path:
        folder = tmp_path / "kibana"
        shutil.copytree(root / "deploy" / "kibana", folder)
        path = folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")
        return folder

    return edit


def refused(folder: Path) -> str:
    with pytest.raises(ContentErrors) as wrong:
        load_content(folder)
    return str(wrong.value)


def test_six_dashboards_each_answer_a_question_of_an_analyst(content: Content) -> None:
    assert [d.name for d in content.dashboards] == ["host", "level", "overview", "rules", "sources", "unit"]
    assert [d.name for d in content.dashboards if not d.question.endswith("?")] == []


def test_critical_and_high_are_the_first_strip_of_every_view_of_alerts(content: Content) -> None:
    strips = {d.name: d.rows[0] for d in content.dashboards if d.name in ("overview", "unit", "level", "host")}
    assert {name: row.name for name, row in strips.items()} == dict.fromkeys(strips, "Nghiêm trọng và cao")
    assert all(panel.kind == "metric" for row in strips.values() for panel in row.panels)
    assert all("event.severity" in row.panels[0].where for row in strips.values())


def test_words_are_those_of_the_console(content: Content) -> None:
    lookups = content.values
    levels = {"21": "low", "47": "medium", "73": "high", "99": "critical"}
    assert lookups["event.severity"] == {number: words.LEVELS_VI[name] for number, name in levels.items()}
    assert lookups["soc.triage.status"] == words.STATUS_VI
    assert lookups["soc.triage.verdict"] == words.VERDICTS_VI
    assert lookups["soc.asset.criticality"] == words.CRITICALITY_VI
    assert lookups["soc.unit.level"] == LEVEL_LABELS


def test_every_field_is_mapped_as_its_use_asks(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    """Groups and controls need columns, numbers a number or time; a query needs an index."""
    wrong = []
    mappings = {}
    for item in everything(content, may_alert, setup):
        if item.kind == "data_view":
            mappings[item.id] = mapping_of(str(item.body["title"]))
        if item.kind not in ("search", "dashboard"):
            continue
        for use in uses(item):
            field = mappings[use.view].get(use.field)
            if field is None:
                wrong.append(f"{item.id}: {use.view} has no {use.field}")
            elif use.use in ("group", "control") and (field["type"] == "text" or field.get("doc_values") is False):
                wrong.append(f"{item.id}: {use.field} cannot be counted")
            elif use.use == "number" and field["type"] not in NUMBERS | {"date"}:
                wrong.append(f"{item.id}: {use.field} is no number")
            elif use.use == "time" and field["type"] != "date":
                wrong.append(f"{item.id}: {use.field} is no time")
            elif use.use == "filter" and field.get("index") is False and field["type"] != "long":
                wrong.append(f"{item.id}: {use.field} cannot be searched")
    assert wrong == []


def test_every_label_names_a_field_of_ours(content: Content) -> None:
    known = {name for kind in ("logs-soc.host-x-*", "soc-alerts-x-*", "soc-records-x-*") for name in mapping_of(kind)}
    assert set(content.labels) | set(content.values) | set(content.links) <= known


def test_a_group_sees_neither_shadow_rules_nor_rejected_records(
    content: Content, may_alert: list[Alerting], setup: Setup
) -> None:
    group = [item for item in everything(content, may_alert, setup) if item.space == "soc-y-te"]
    seen = {use.view for item in group if item.kind in ("search", "dashboard") for use in uses(item)}
    assert seen == {"soc-y-te-alerts", "soc-y-te-events", "soc-y-te-host"}
    titles = [str(item.body["title"]) for item in group if item.kind == "data_view"]
    assert all("-y_te-" in title and "tinh" not in title for title in titles)


def test_objects_refer_to_objects_of_their_own_space(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    items = everything(content, may_alert, setup)
    there = {(item.kind, item.space, item.id) for item in items}
    dashboards = [item for item in items if item.kind == "dashboard"]
    for item in dashboards:
        assert {("data_view", item.space, use.view) for use in uses(item)} <= there
        opened = {d["dashboard_id"] for d in made_of(item, "drilldowns") if d["type"] == "dashboard_drilldown"}
        assert {("dashboard", item.space, name) for name in opened} <= there
    ids = [(item.kind, item.id) for item in items if item.kind != "rule"]
    assert len(ids) == len(set(ids)), "ids are unique over all Spaces"


def test_a_click_on_an_alert_opens_its_event_url(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    items = {item.id: item for item in everything(content, may_alert, setup)}
    clicks = [d for d in made_of(items["soc-overview"], "drilldowns") if d["type"] == "url_drilldown"]
    assert [(d["url"], d["trigger"], d["encode_url"]) for d in clicks] == [("{{event.value}}", "on_click_value", False)]
    assert "event.url" in {name for row in made_of(items["soc-overview"], "rows") for name in row["fields"]}
    without = {i.id: i for i in everything(content, may_alert, replace(setup, console_url=""))}["soc-overview"]
    assert [d for d in made_of(without, "drilldowns") if d["type"] == "url_drilldown"] == []
    assert "event.id" in {name for row in made_of(without, "rows") for name in row["fields"]}


def test_only_aggregations_that_our_server_has(content: Content, may_alert: list[Alerting], setup: Setup) -> None:
    checked = {"count", "unique_count", "max", "min", "sum", "median", "percentile"}
    checked |= {"terms", "filters", "date_histogram"}
    for item in everything(content, may_alert, setup):
        assert set(made_of(item, "operation")) <= checked


MISTAKES = [
    ("dashboards/unit.yml", "metric: Chưa tiếp nhận", "metrik: Chưa tiếp nhận", "a panel has one of metric, time"),
    ("dashboards/unit.yml", "controls: [unit, host]", "controls: [unit, hosts]", "hosts is none of"),
    ("dashboards/unit.yml", "of: unique host.name}", "of: uniq host.name}", "did you mean 'unique'"),
    ("dashboards/unit.yml", "field: host.name", "field: host.nam", "did you mean 'host.name'"),
    ("dashboards/unit.yml", "opens: host", "opens: hots", "did you mean 'host'"),
    ("dashboards/unit.yml", "height: 6", "height: none", "height: expected a whole number"),
    ("dashboards/unit.yml", "last: 7d", "last: soon", "is not a duration"),
    ("dashboards/unit.yml", "by: severity", "by: severe", "words.yml names the fields"),
    ("dashboards/overview.yml", "event.severity:99 and soc", "event.severity:99 und soc", "unexpected"),
    ("dashboards/overview.yml", "refresh: 60s", "refresh: 1s", "at least 5s"),
    ("dashboards/overview.yml", "search: alerts", "search: alert", "did you mean 'alerts'"),
    ("searches.yml", "view: alerts", "view: alert", "did you mean 'alerts'"),
    ("searches.yml", 'where: "tags:muted"', "where: muted", "write field:value"),
    ("views.yml", "soc-alerts-{namespace}-*", "soc-alerts-*", "so that no group sees another's"),
    ("words.yml", "\nlabels:", "\nlabel:", "did you mean 'labels'"),
    ("access.yml", "staff:", "stuff:", "did you mean 'staff'"),
    ("attack.yml", "impact: [TA0040, Impact]", "impact: [TA0040]", "expected [id, name]"),
]


@pytest.mark.parametrize(("name", "old", "new", "why"), MISTAKES, ids=[m[3] for m in MISTAKES])
def test_a_mistake_is_named_with_its_file_and_line(edited: Edited, name: str, old: str, new: str, why: str) -> None:
    folder = edited(name, old, new)
    lines = (folder / name).read_text("utf-8").splitlines()
    at = next(number for number, line in enumerate(lines, 1) if new.strip() in line)
    said = refused(folder)
    assert why in said
    named = [int(line.split(":")[1]) for line in said.splitlines() if line.startswith(f"{folder / name}:")]
    assert any(abs(found - at) <= 12 for found in named), said


def test_an_empty_folder_is_refused_with_every_file_that_it_lacks(tmp_path: Path) -> None:
    said = refused(tmp_path)
    assert all(name in said for name in ("words.yml", "views.yml", "searches.yml", "access.yml", "attack.yml"))
    assert "holds no dashboard" in said
