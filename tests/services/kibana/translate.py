"""A panel of a dashboard in, the search that Kibana would send to Elasticsearch out.

What Kibana does with a query language, a bucket and a measure, for the parts that our content uses. Sources:
https://www.elastic.co/docs/explore-analyze/query-filter/languages/kql and Kibana's own inspector of requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from soc.kibana import kql

ZONE = "Asia/Ho_Chi_Minh"


def dsl(node: kql.Node) -> dict[str, Any]:
    """Kibana's query language → Elasticsearch's."""
    match node:
        case kql.All(parts):
            return {"bool": {"filter": [dsl(part) for part in parts]}}
        case kql.Any(parts):
            return {"bool": {"should": [dsl(part) for part in parts], "minimum_should_match": 1}}
        case kql.Not(part):
            return {"bool": {"must_not": [dsl(part)]}}
        case kql.Compare() as one if one.exists:
            return {"exists": {"field": one.field}}
        case kql.Compare(field, ":", value, True):
            return {"match_phrase": {field: value}}
        case kql.Compare(field, ":", value) if "*" in value:
            return {"query_string": {"fields": [field], "query": value}}
        case kql.Compare(field, ":", value):
            return {"match": {field: value}}
        case kql.Compare(field, op, value):
            return {"range": {field: {{"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}[op]: value}}}
    raise AssertionError(node)


def where(query: Mapping[str, str] | None) -> dict[str, Any]:
    return dsl(kql.parse(query["expression"])) if query else {"match_all": {}}


def search(config: Mapping[str, Any], time_range: Mapping[str, str]) -> dict[str, Any]:
    """A chart's search, within its own time range or else the dashboard's."""
    limits = config.get("time_range", time_range)
    inside = {"range": {"@timestamp": {"gte": limits["from"], "lte": limits["to"]}}}
    layer = config.get("layers", [config])[0]
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"bool": {"filter": [inside, where(config.get("query"))]}},
        "aggs": aggregations(buckets(layer), [*layer.get("metrics", ()), *layer.get("y", ())]),
    }


def buckets(layer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Outermost first, as Kibana nests them: a colour within a bar, a row within a row."""
    return [*layer.get("rows", ()), *(layer[key] for key in ("x", "breakdown_by") if key in layer)]


def aggregations(groups: Sequence[Mapping[str, Any]], measures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counted = {f"m{number}": measured(measure) for number, measure in enumerate(measures) if measured(measure)}
    if not groups:
        return counted
    group, *inner = groups
    within = {**aggregations(inner, measures), **counted}
    return {"b": {**bucket(group, measures), **({"aggs": within} if within else {})}}


def bucket(group: Mapping[str, Any], measures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    match group["operation"]:
        case "date_histogram":
            return {"date_histogram": {"field": group["field"], "fixed_interval": "1h", "time_zone": ZONE}}
        case "filters":
            parts = {part["label"]: where(part["filter"]) for part in group["filters"]}
            return {"filters": {"filters": parts}}
    rank = group.get("rank_by", {"metric_index": 0, "direction": "desc"})
    order = {path(rank["metric_index"], measures[rank["metric_index"]]): rank["direction"]}
    return {"terms": {"field": group["fields"][0], "size": group["limit"], "order": order}}


def path(number: int, measure: Mapping[str, Any]) -> str:
    """What buckets are ordered by."""
    if measure["operation"] == "count":
        return f"m{number}" if "filter" in measure else "_count"
    value = f"v.{measure['percentile']}" if measure["operation"] == "percentile" else "v"
    return f"m{number}>{value}" if "filter" in measure else f"m{number}"


def measured(measure: Mapping[str, Any]) -> dict[str, Any]:
    """{} for a plain count, which every bucket has."""
    operation = measure["operation"]
    if operation == "count":
        return {"filter": where(measure["filter"])} if "filter" in measure else {}
    names = {"unique_count": "cardinality", "median": "percentiles", "percentile": "percentiles"}
    made: dict[str, Any] = {names.get(operation, operation): {"field": measure["field"]}}
    if "percentiles" in made:
        made["percentiles"]["percents"] = [measure.get("percentile", 50)]
    return {"filter": where(measure["filter"]), "aggs": {"v": made}} if "filter" in measure else made
