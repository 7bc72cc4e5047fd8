"""What we send to Kibana: a kind of object and a body in, what Kibana would refuse out.

Written by hand after the documentation of Kibana 9.4 and 9.5, for the parts that we use and no others; a field that is
not here is not one that we may send. Elastic's own OpenAPI text is CC BY-NC-ND and stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from soc.kibana.item import Kind
from soc.kibana.reading import COLUMNS
from soc.kibana.shape import By, Flag, Keys, Many, Number, Object, OneOf, Shape, Text, When

_ID: Final = Text(1, 250, r"[a-z0-9_-]+")
_SPACE_ID: Final = Text(1, 100, r"[a-z0-9_-]+")
_NAME: Final = Text(1, 250)
_FIELD: Final = Text(1, 250, r"[@\w][\w.@-]*")
_ANY_TEXT: Final = Text()
_QUERY: Final = Object({"expression": Text(1), "language": OneOf("kql")})
_TIME_RANGE: Final = Object({"from": Text(1, 40, r"now(-\d+[smhdwMy])?"), "to": OneOf("now")})
_DATA_VIEW: Final = Object({"type": OneOf("data_view_reference"), "ref_id": _ID})

# ---------------------------------------------------------------- Spaces, roles, data views

_SPACE: Final = Object(
    {"id": _SPACE_ID, "name": _NAME, "description": _ANY_TEXT},
    {"color": Text(pattern="#[0-9A-F]{6}"), "initials": Text(1, 2)},
)
_PRIVILEGES: Final = Many(OneOf("read", "view_index_metadata", "write", "maintenance"), 1)
_ROLE: Final = Object(
    {
        "description": Text(1, 2048),
        "metadata": Object({"soc": Text(12, 12)}),
        "elasticsearch": Object(
            {
                "cluster": Many(OneOf(), 0, 0),
                "indices": Many(Object({"names": Many(Text(1), 1), "privileges": _PRIVILEGES}), 1),
                "run_as": Many(OneOf(), 0, 0),
            }
        ),
        "kibana": Many(
            Object(
                {
                    "base": Many(OneOf(), 0, 0),
                    "feature": Keys(Many(OneOf("all", "read", "minimal_all", "minimal_read"), 1)),
                    "spaces": Many(_SPACE_ID, 1, 1),
                }
            ),
            1,
            1,
        ),
    }
)
_FORMATS: Final = By(
    "id",
    {
        "static_lookup": Object(
            {
                "id": _NAME,
                "params": Object({"lookupEntries": Many(Object({"key": Text(1), "value": Text(1)}), 1)}),
            }
        ),
        "url": Object({"id": _NAME, "params": Object({"type": OneOf("a"), "labelTemplate": _NAME})}),
    },
)
_VIEW: Final = Object(
    {
        "id": _ID,
        "title": Text(1),
        "name": _NAME,
        "timeFieldName": _FIELD,
        "allowNoIndex": Flag(),
        "fieldAttrs": Keys(Object({"customLabel": _NAME})),
        "fieldFormats": Keys(_FORMATS),
    }
)

# ---------------------------------------------------------------- searches

_TAB: Final[Mapping[str, Shape]] = {
    "data_source": _DATA_VIEW,
    "column_order": Many(_FIELD, 1, 100),
    "sort": Many(Object({"name": _FIELD, "direction": OneOf("asc", "desc")}), 1, 100),
}
_SESSION: Final = Object(
    {
        "title": _NAME,
        "description": Text(0, 10_000),
        "tabs": Many(Object({"id": _ID, "label": _NAME, **_TAB}, {"query": _QUERY}), 1, 25),
    }
)

# ---------------------------------------------------------------- dashboards

_COUNTED: Final[Mapping[str, Shape]] = {"label": _NAME, "filter": _QUERY}


def _measures(extra: Mapping[str, Shape]) -> By:
    needed: dict[str, Shape] = {"operation": _NAME, **extra}
    with_field = Object({**needed, "field": _FIELD}, _COUNTED)
    shapes: dict[str, Shape] = dict.fromkeys(("unique_count", "max", "min", "sum", "median"), with_field)
    shapes["count"] = Object(needed, _COUNTED)
    shapes["percentile"] = Object({**needed, "field": _FIELD, "percentile": Number(1, 99)}, _COUNTED)
    return By("operation", shapes)


_RANK: Final = Object({"type": OneOf("metric"), "metric_index": Number(0, 20), "direction": OneOf("asc", "desc")})
_BUCKET: Final = By(
    "operation",
    {
        "terms": Object(
            {"operation": _NAME, "fields": Many(_FIELD, 1, 1), "limit": Number(1, 1000)},
            {"label": _NAME, "rank_by": _RANK},
        ),
        "filters": Object(
            {"operation": _NAME, "filters": Many(Object({"filter": _QUERY, "label": _NAME}), 1, 50)}, {"label": _NAME}
        ),
        "date_histogram": Object({"operation": _NAME, "field": _FIELD}),
    },
)
_DRILLDOWNS: Final = Many(
    By(
        "type",
        {
            "url_drilldown": Object(
                {
                    "type": _NAME,
                    "label": _NAME,
                    "trigger": OneOf("on_click_value", "on_click_row", "on_select_range", "on_open_panel_menu"),
                    "url": Text(1),
                    "encode_url": Flag(),
                    "open_in_new_tab": Flag(),
                }
            ),
            "dashboard_drilldown": Object(
                {
                    "type": _NAME,
                    "label": _NAME,
                    "trigger": OneOf("on_apply_filter"),
                    "dashboard_id": _ID,
                    "use_filters": Flag(),
                    "use_time_range": Flag(),
                    "open_in_new_tab": Flag(),
                }
            ),
        },
    ),
    1,
    100,
)
_SHARED: Final[Mapping[str, Shape]] = {"query": _QUERY, "time_range": _TIME_RANGE, "drilldowns": _DRILLDOWNS}
_SINGLE: Final[Mapping[str, Shape]] = {**_SHARED, "ignore_global_filters": Flag()}
_AXIS: Final = Object({"title": Object({"visible": Flag()})})
_LAYER: Final = Object(
    {
        "type": OneOf("bar_stacked", "area_stacked", "line", "bar_horizontal", "bar_horizontal_stacked"),
        "data_source": _DATA_VIEW,
        "x": _BUCKET,
        "y": Many(_measures({}), 1),
    },
    {"breakdown_by": _BUCKET, "ignore_global_filters": Flag()},
)
_CHART: Final = By(
    "type",
    {
        "metric": Object(
            {
                "type": _NAME,
                "data_source": _DATA_VIEW,
                "metrics": Many(_measures({"type": OneOf("primary")}), 1, 1),
            },
            _SINGLE,
        ),
        "xy": Object(
            {
                "type": _NAME,
                "title": _NAME,
                "axis": Object({"x": _AXIS, "y": _AXIS}),
                "legend": Object(
                    {
                        "visibility": OneOf("visible", "hidden"),
                        "position": OneOf("bottom"),
                        "layout": Object({"type": OneOf("list")}),
                    }
                ),
                "layers": Many(_LAYER, 1, 1),
            },
            _SHARED,
        ),
        "data_table": Object(
            {
                "type": _NAME,
                "title": _NAME,
                "data_source": _DATA_VIEW,
                "metrics": Many(_measures({}), 1),
                "rows": Many(_BUCKET, 1, 50),
            },
            _SINGLE,
        ),
    },
)
_GRID: Final = Object(
    {"x": Number(0, COLUMNS - 1), "y": Number(0, 10_000), "w": Number(1, COLUMNS), "h": Number(1, 100)}
)
_CONFIGS: Final[Mapping[str, Shape]] = {
    "vis": _CHART,
    "discover_session": Object({"title": _NAME, "tabs": Many(Object(_TAB, {"query": _QUERY}), 1, 1)}),
    "markdown": Object({"content": Text(1)}),
}
_PANEL: Final = By(
    "type",
    {kind: Object({"type": _NAME, "id": _ID, "grid": _GRID, "config": shape}) for kind, shape in _CONFIGS.items()},
)
_SECTION: Final = Object(
    {
        "title": _NAME,
        "collapsed": Flag(),
        "grid": Object({"y": Number(0, 10_000)}),
        "panels": Many(_PANEL, 1, 100),
    }
)
_CONTROL: Final = Object(
    {
        "type": OneOf("options_list_control"),
        "width": OneOf("small", "medium", "large"),
        "grow": Flag(),
        "config": Object({"title": _NAME, "data_view_id": _ID, "field_name": _FIELD}),
    }
)
_DASHBOARD: Final = Object(
    {
        "title": _NAME,
        "description": _ANY_TEXT,
        "time_range": _TIME_RANGE,
        "pinned_panels": Many(_CONTROL, 0, 20),
        "panels": Many(When("panels", _SECTION, _PANEL), 1, 100),
    },
    {"refresh_interval": Object({"pause": Flag(), "value": Number(0, 86_400_000)})},
)

# ---------------------------------------------------------------- detection rules

_ATTACK: Final[Mapping[str, Shape]] = {"id": Text(5, 9), "name": _NAME, "reference": Text(1, 200, "https://.+/")}
_THREAT: Final = Object(
    {
        "framework": OneOf("MITRE ATT&CK"),
        "tactic": Object(_ATTACK),
        "technique": Many(Object({**_ATTACK, "subtechnique": Many(Object(_ATTACK))})),
    }
)
_LEVEL: Final = OneOf("low", "medium", "high", "critical")
_MAPPING: Final[Mapping[str, Shape]] = {"field": _FIELD, "operator": OneOf("equals"), "value": _ANY_TEXT}
_META: Final = Object({"alias": _NAME, "negate": Flag(), "disabled": Flag()})
_RULE: Final = Object(
    {
        "rule_id": Text(1, 250),
        "name": Text(1, 250),
        "description": Text(1),
        "type": OneOf("query"),
        "language": OneOf("kuery"),
        "index": Many(Text(1), 1),
        "query": Text(1),
        "filters": Many(Object({"meta": _META, "query": Object({"term": Keys(Text(1))})})),
        "interval": Text(2, 5, r"\d+[smh]"),
        "from": Text(2, 20, r"now-\d+[smh]"),
        "to": OneOf("now"),
        "max_signals": Number(1, 1000),
        "timestamp_override": _FIELD,
        "rule_name_override": _FIELD,
        "severity": _LEVEL,
        "risk_score": Number(0, 100),
        "risk_score_mapping": Many(Object(_MAPPING), 1, 1),
        "severity_mapping": Many(Object({**_MAPPING, "severity": _LEVEL}), 1, 4),
        "investigation_fields": Object({"field_names": Many(_FIELD, 1)}),
        "enabled": Flag(),
        "author": Many(_ANY_TEXT),
        "license": _ANY_TEXT,
        "tags": Many(Text(1)),
        "references": Many(Text(1, 2000, r"https?://.+")),
        "false_positives": Many(Text(1)),
        "threat": Many(_THREAT),
        "note": _ANY_TEXT,
    }
)
_SHAPES: Final[Mapping[Kind, Shape]] = {
    "space": _SPACE,
    "role": _ROLE,
    "data_view": _VIEW,
    "search": _SESSION,
    "dashboard": _DASHBOARD,
    "rule": _RULE,
}


def problems(kind: Kind, body: Mapping[str, Any]) -> list[str]:
    """What is wrong with the body of an object; [] if it can be sent."""
    found = [*_SHAPES[kind].wrong(body, kind)]
    return found + ([*_crowded(body)] if kind == "dashboard" and not found else [])


def _crowded(body: Mapping[str, Any]) -> Iterator[str]:
    """Panels that leave the grid or lie on one another, and ids that stand twice."""
    seen: set[str] = set()
    for one in [{"title": "the top", "panels": [p for p in body["panels"] if "panels" not in p]}, *body["panels"]]:
        taken: list[tuple[int, int, int, int, str]] = []
        for panel in one.get("panels", ()):
            name, grid = panel["id"], panel["grid"]
            x, y, w, h = grid["x"], grid["y"], grid["w"], grid["h"]
            if x + w > COLUMNS:
                yield f"dashboard: {name} ends beyond column {COLUMNS}"
            yield from (
                f"dashboard: {name} lies on {other}"
                for ox, oy, ow, oh, other in taken
                if x < ox + ow and ox < x + w and y < oy + oh and oy < y + h
            )
            taken.append((x, y, w, h, name))
            if name in seen:
                yield f"dashboard: two panels have the id {name}"
            seen.add(name)
