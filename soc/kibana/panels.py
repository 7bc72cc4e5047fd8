"""Panels: a definition in, the `config` of a panel in Kibana's Dashboards API out.

Only aggregations over data views, none that an Elasticsearch may lack (docs/kibana.md has the list).
Source: https://www.elastic.co/docs/api/doc/kibana/group/endpoint-dashboards, Kibana 9.4 and 9.5
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from soc.kibana.definitions import Content, Group, Measure, Panel
from soc.kibana.setup import Setup, Space
from soc.kibana.views import TIME, query, source, tab, view_id

_OPERATIONS: Final[Mapping[str, dict[str, Any]]] = {
    "count": {"operation": "count"},
    "unique": {"operation": "unique_count"},
    "max": {"operation": "max"},
    "min": {"operation": "min"},
    "sum": {"operation": "sum"},
    "median": {"operation": "median"},
    "p95": {"operation": "percentile", "percentile": 95},
}
_LAYERS: Final = {"bars": "bar_stacked", "area": "area_stacked", "line": "line"}
#: The one kind of click that the values of a table or chart have.
_ON_VALUE: Final = "on_click_value"
_AMOUNT: Final = "Số lượng"


def config(panel: Panel, space: Space, content: Content, setup: Setup) -> dict[str, Any]:
    """What stands under `config` of a panel."""
    if panel.kind == "text":
        return {"content": panel.title}
    if panel.kind == "search":
        search = content.searches[panel.search]
        return {"title": search.title, "tabs": [tab(search, space)]}
    made = _charts[panel.kind](panel, space, setup)
    if content.views[panel.view].apart:
        for layer in made.get("layers", [made]):
            layer["ignore_global_filters"] = True
    if panel.where:
        made["query"] = query(panel.where)
    if panel.last:
        made["time_range"] = {"from": f"now-{panel.last}", "to": "now"}
    if drilldowns := _drilldowns(panel, space, setup):
        made["drilldowns"] = drilldowns
    return made


def _metric(panel: Panel, space: Space, setup: Setup) -> dict[str, Any]:
    """No title: the number's own label says it."""
    return {
        "type": "metric",
        "data_source": source(space, panel.view),
        "metrics": [{"type": "primary", **_measure(panel.measures[0])}],
    }


def _time(panel: Panel, space: Space, setup: Setup) -> dict[str, Any]:
    layer: dict[str, Any] = {
        "type": _LAYERS[panel.style],
        "data_source": source(space, panel.view),
        "x": {"operation": "date_histogram", "field": TIME},
        "y": [_measure(panel.measures[0], _AMOUNT)],
    }
    if panel.groups:
        layer["breakdown_by"] = _bucket(panel.groups[0])
    return _xy(panel, layer, many=bool(panel.groups))


def _bars(panel: Panel, space: Space, setup: Setup) -> dict[str, Any]:
    split = panel.groups[1:]
    layer: dict[str, Any] = {
        "type": "bar_horizontal_stacked" if split else "bar_horizontal",
        "data_source": source(space, panel.view),
        "x": _bucket(panel.groups[0]),
        "y": [_measure(panel.measures[0], _AMOUNT)],
    }
    if split:
        layer["breakdown_by"] = _bucket(split[0])
    return _xy(panel, layer, many=bool(split))


def _xy(panel: Panel, layer: dict[str, Any], *, many: bool) -> dict[str, Any]:
    hidden = {"title": {"visible": False}}
    return {
        "type": "xy",
        "title": panel.title,
        "axis": {"x": hidden, "y": hidden},
        "legend": {"visibility": "visible" if many else "hidden", "position": "bottom", "layout": {"type": "list"}},
        "layers": [layer],
    }


def _table(panel: Panel, space: Space, setup: Setup) -> dict[str, Any]:
    return {
        "type": "data_table",
        "title": panel.title,
        "data_source": source(space, panel.view),
        "metrics": [_measure(measure) for measure in panel.measures],
        "rows": [_ranked(_addressed(group, setup)) for group in panel.groups],
    }


_charts: Final = {"metric": _metric, "time": _time, "bars": _bars, "table": _table}


def _addressed(group: Group, setup: Setup) -> Group:
    """An alert stands by its link; where no console is configured alerts have none, and stand by their ids."""
    if group.alert and not setup.console_url:
        return Group("event.id", "Mã", group.top, by=group.by)
    return group


def _measure(measure: Measure, amount: str = "") -> dict[str, Any]:
    made = {**_OPERATIONS[measure.op]}
    if measure.field:
        made["field"] = measure.field
    made["label"] = amount if amount and measure.op == "count" else measure.label
    if measure.where:
        made["filter"] = query(measure.where)
    return made


def _bucket(group: Group) -> dict[str, Any]:
    if group.parts:
        parts = [{"label": part.label, "filter": query(part.where)} for part in group.parts]
        return {"operation": "filters", "label": group.label, "filters": parts}
    return {"operation": "terms", "fields": [group.field], "limit": group.top, "label": group.label}


def _ranked(group: Group) -> dict[str, Any]:
    made = _bucket(group)
    if not group.parts:
        direction = "asc" if group.least else "desc"
        made["rank_by"] = {"type": "metric", "metric_index": group.by, "direction": direction}
    return made


def _drilldowns(panel: Panel, space: Space, setup: Setup) -> list[dict[str, Any]]:
    """Where a click leads: an alert to its page in the console (event.url), a unit or host to its dashboard."""
    made: list[dict[str, Any]] = []
    if setup.console_url and any(group.alert for group in panel.groups):
        made.append(
            {
                "type": "url_drilldown",
                "label": "Mở cảnh báo trong bàn trực",
                "trigger": _ON_VALUE,
                "url": "{{event.value}}",
                "encode_url": False,
                "open_in_new_tab": True,
            }
        )
    if panel.opens:
        made.append(
            {
                "type": "dashboard_drilldown",
                "label": "Mở bảng chi tiết",
                "trigger": "on_apply_filter",
                "dashboard_id": view_id(space, panel.opens),
                "use_filters": True,
                "use_time_range": True,
                "open_in_new_tab": False,
            }
        )
    return made
