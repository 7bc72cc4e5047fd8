"""What shippers ask of an Elasticsearch before they send, and the answers that let them: no state, nothing stored.

Filebeat, Winlogbeat, Logstash, Vector and Fluent Bit ask for the version and the licence, set up templates, lifecycle
policies, pipelines and data streams, and check the cluster's health. Paths and bodies: Elasticsearch 8 REST APIs. The
clients' product check wants the header X-Elastic-Product.
"""

from __future__ import annotations

from typing import Any, Final

from soc.collect.bodies import BulkItem

HEADERS: Final = {"X-Elastic-Product": "Elasticsearch"}
#: The version that we claim: of the 8 series, which all shippers in use accept.
VERSION: Final = "8.17.0"

_INFO: Final[dict[str, Any]] = {
    "name": "soc",
    "cluster_name": "soc",
    "cluster_uuid": "c29jLWNvbGxlY3Rvci0wMQ",
    "version": {
        "number": VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "build_hash": "0" * 40,
        "build_date": "2026-01-01T00:00:00.000Z",
        "build_snapshot": False,
        "lucene_version": "9.12.0",
        "minimum_wire_compatibility_version": "7.17.0",
        "minimum_index_compatibility_version": "7.0.0",
    },
    "tagline": "You Know, for Search",
}
_LICENSE: Final = {"status": "active", "uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic"}
_HEALTH: Final[dict[str, Any]] = {
    "cluster_name": "soc",
    "status": "green",
    "timed_out": False,
    "number_of_nodes": 1,
    "number_of_data_nodes": 1,
    "active_primary_shards": 0,
    "active_shards": 0,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 0,
}
#: Things that shippers set up: asked for, they are there; set, they are acknowledged; deleted, too.
_SET_UP: Final = frozenset(
    {
        *("_index_template", "_template", "_component_template", "_ilm", "_ingest", "_data_stream", "_alias"),
        *("_aliases", "_settings", "_mapping", "_rollover"),
    }
)


def answer(method: str, path: str) -> tuple[int, dict[str, Any]] | None:
    """(status, body) for a question or a set-up request; None = no such thing here."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return (200, _INFO) if method in ("GET", "HEAD") else None
    head = parts[0]
    if method in ("GET", "HEAD"):
        if head in ("_license", "_xpack"):
            features = {"ilm": {"available": True, "enabled": True}, "security": {"available": True, "enabled": True}}
            return 200, {"license": _LICENSE, "features": features}
        if parts[:2] == ["_cluster", "health"]:
            return 200, _HEALTH
        if head == "_nodes":
            return 200, {
                "cluster_name": "soc",
                "nodes": {"soc": {"name": "soc", "version": VERSION, "roles": ["data"]}},
            }
    if _SET_UP.intersection(parts):
        return 200, {} if method in ("GET", "HEAD") else {"acknowledged": True}
    if len(parts) == 1 and not head.startswith("_"):  # an index: asked for, or created
        if method in ("GET", "HEAD"):
            return 200, {}
        if method == "PUT":
            return 200, {"acknowledged": True, "shards_acknowledged": True, "index": head}
    return None


def error(status: int, kind: str, reason: str) -> dict[str, Any]:
    """Body of a refusal, as Elasticsearch's clients read it."""
    cause = {"type": kind, "reason": reason}
    return {"error": {"root_cause": [cause], **cause}, "status": status}


def bulk_answer(items: list[BulkItem], ids: list[str], known: set[int], took_ms: int) -> dict[str, Any]:
    """Body of the answer to a bulk request; `known` items had been taken before."""
    results = []
    for number, item in enumerate(items):
        result: dict[str, Any] = {"_index": item.index, "_id": item.id or ids[number], "status": item.status}
        if item.error[0]:
            result["error"] = {"type": item.error[0], "reason": item.error[1]}
        elif number in known:
            result.update(_version=1, result="noop", status=200)
        else:
            result.update(_version=1, result="created", _shards={"total": 1, "successful": 1, "failed": 0})
        results.append({item.action: result})
    return {"took": took_ms, "errors": any(item.error[0] for item in items), "items": results}
