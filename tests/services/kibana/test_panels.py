"""Each panel's fields, queries and aggregations on the real server: what Kibana would ask has an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from soc.kibana import Item, kql
from tests.kibana.looking import panels
from tests.services.kibana.conftest import World
from tests.services.kibana.translate import dsl, search, where

pytestmark = pytest.mark.services


def charts(world: World) -> Iterator[tuple[Item, Mapping[str, Any], Mapping[str, Any]]]:
    """(dashboard, panel, config) of every chart."""
    for item in world.items:
        if item.kind == "dashboard":
            for panel in panels(item):
                if panel["type"] == "vis":
                    yield item, panel, panel["config"]


def view_of(config: Mapping[str, Any]) -> str:
    return str(config.get("layers", [config])[0]["data_source"]["ref_id"])


def leaves(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The innermost buckets of an answer, the answer itself where there are none."""
    if "b" not in node:
        yield node
        return
    found = node["b"]["buckets"]
    for bucket in found.values() if isinstance(found, dict) else found:
        yield from leaves(bucket)


def test_every_chart_of_every_dashboard_has_something_to_show(world: World) -> None:
    empty, asked = [], 0
    for item, panel, config in charts(world):
        answer = world.search(view_of(config), search(config, item.body["time_range"]))
        asked += 1
        assert answer["_shards"]["failed"] == 0, panel["id"]
        rows = [row for row in leaves(answer.get("aggregations", {})) if row.get("doc_count", 1)]
        if not answer["hits"]["total"]["value"] or not rows:
            empty.append((panel["id"], config.get("title") or config["metrics"][0]["label"]))
    assert empty == []
    assert asked > 60


def test_every_measure_is_a_number_where_there_are_documents(world: World) -> None:
    for item, panel, config in charts(world):
        answer = world.search(view_of(config), search(config, item.body["time_range"]))
        for row in leaves(answer.get("aggregations", {})):
            measures = {name: value for name, value in row.items() if name.startswith("m") and name[1:].isdigit()}
            for value in measures.values():
                inner = value.get("v", value)
                shown = inner.get("value", inner.get("values", value.get("doc_count")))
                assert shown is not None, (panel["id"], row)


def test_the_strip_counts_what_waits(world: World) -> None:
    """Nghiêm trọng chưa tiếp nhận, and those that are too old, against the documents themselves."""
    (overview,) = [item for item in world.items if item.id == "soc-overview"]
    strip = [panel["config"] for panel in list(panels(overview))[:5]]
    waiting = [a for a in world.alerts if a["soc.mode"] == "live" and a["soc.triage.status"] == "open"]
    critical, high = (sum(a["event.severity"] == number for a in waiting) for number in (99, 73))
    busy = [a for a in world.alerts if a["soc.triage.status"] == "acknowledged" and a["event.severity"] >= 73]
    counts = [world.search(view_of(config), search(config, {}))["hits"]["total"]["value"] for config in strip]
    assert counts == [critical, critical, high, high, len(busy)]
    assert min(counts) > 0


def test_false_positives_rank_the_rules(world: World) -> None:
    (noise,) = [item for item in world.items if item.id == "soc-rules"]
    table = next(p["config"] for p in panels(noise) if p["config"].get("title", "").startswith("Luật, nhầm"))
    rows = world.search("soc-alerts", search(table, noise.body["time_range"]))["aggregations"]["b"]["buckets"]
    wrong = [row["m1"]["doc_count"] for row in rows]
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[0] > 0


def test_sources_that_have_been_quiet_longest_stand_first(world: World) -> None:
    (health,) = [item for item in world.items if item.id == "soc-sources"]
    table = next(p["config"] for p in panels(health) if p["config"].get("title", "").startswith("Nguồn và lần cuối"))
    rows = world.search("soc-events", search(table, health.body["time_range"]))["aggregations"]["b"]["buckets"]
    last = [row["m0"]["value"] for row in rows]
    assert {row["key"] for row in rows} == {"windows", "linux_auth", "fortigate", "nginx_access"}
    assert last == sorted(last)


def test_every_search_lists_documents_with_its_columns(world: World) -> None:
    for item in world.items:
        if item.kind != "search":
            continue
        (tab,) = item.body["tabs"]
        hits = world.search(
            tab["data_source"]["ref_id"],
            {
                "query": where(tab.get("query")),
                "sort": [{one["name"]: one["direction"]} for one in tab["sort"]],
                "fields": tab["column_order"],
                "size": 100,
            },
        )["hits"]["hits"]
        shown = {name for hit in hits for name in hit.get("fields", {})}
        assert set(tab["column_order"]) <= shown, (item.id, set(tab["column_order"]) - shown)


def test_every_control_offers_values_and_narrows_the_dashboard(world: World) -> None:
    for item in world.items:
        if item.kind != "dashboard":
            continue
        for control in item.body["pinned_panels"]:
            field, view = control["config"]["field_name"], control["config"]["data_view_id"]
            body = {"size": 0, "aggs": {"b": {"terms": {"field": field, "size": 10}}}}
            offered = world.search(view, body)["aggregations"]["b"]["buckets"]
            assert offered, (item.id, field)
            chosen = {"query": {"match_phrase": {field: offered[0]["key"]}}, "size": 0}
            assert world.search(view, chosen)["hits"]["total"]["value"] == offered[0]["doc_count"]


def test_a_host_that_was_chosen_among_alerts_is_found_among_events(world: World) -> None:
    """A control over alerts filters the panels of events, whose host names are compared without regard to case."""
    for host in ("TTDL-AD01", "MX-PC01", "YS-MOTCUA"):
        query = {"query": {"match_phrase": {"host.name": host}}, "size": 0}
        assert world.search("soc-events", query)["hits"]["total"]["value"] == 20


@pytest.mark.parametrize("mode", ["single", "per-rule"])
def test_promotion_takes_every_live_alert_exactly_once(world: World, mode: Any, content: Any, may_alert: Any) -> None:
    from dataclasses import replace

    from soc.kibana import everything

    setup = replace(world.setup, mode=mode)
    taken: list[str] = []
    for rule in everything(content, may_alert, setup):
        if rule.kind != "rule":
            continue
        body = rule.body
        unwanted = [f["query"] for f in body["filters"] if f["meta"]["negate"]]
        inside = {"range": {body["timestamp_override"]: {"gte": "now-30d", "lte": "now"}}}
        query = {"bool": {"filter": [inside, dsl(kql.parse(body["query"]))], "must_not": unwanted}}
        answer = world.server.call(
            "POST", f"/{','.join(body['index'])}/_search", {"query": query, "size": 1000, "_source": False}
        )
        taken += [hit["_id"] for hit in answer["hits"]["hits"]]
    live = {a["event.id"] for a in world.alerts if a["soc.mode"] == "live" and "muted" not in a["tags"]}
    assert sorted(taken) == sorted(live)


def test_severity_and_score_are_numbers_for_kibanas_mapping(world: World) -> None:
    hits = world.search("soc-alerts", {"size": 100, "_source": ["event.severity", "event.risk_score"]})["hits"]["hits"]
    assert {type(hit["_source"]["event"]["severity"]) for hit in hits} == {int}
    assert {hit["_source"]["event"]["severity"] for hit in hits} == {21, 47, 73, 99}
