"""Events in the real store, queries asked of the real server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from soc.author.convert import Converted, convert
from soc.author.indices import indices
from soc.author.kinds import kind
from soc.detect import RuleSet
from soc.detect.rule import contains
from soc.enrich import Enricher
from soc.event import Event
from soc.normalize import Sources, load_sources
from soc.org import load_org
from soc.store.elasticsearch import ElasticsearchStore

#: Queries of one request.
_AT_ONCE = 50


@dataclass(frozen=True)
class World:
    """Events that stand in the store under a namespace of their own."""

    events: Sequence[Event]
    namespace: str
    client: Elasticsearch

    def hits(self, found: Sequence[Converted]) -> dict[str, set[str] | str]:
        """Rule → ids of the events that its query finds, as Kibana asks; a text is the server's complaint."""
        out: dict[str, set[str] | str] = {}
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            searches: list[Mapping[str, object]] = []
            for one in part:
                searches += [{"index": ",".join(map(self.own, one.indices))}, asked(one.query)]
            for one, answer in zip(part, self.client.msearch(searches=searches)["responses"], strict=True):
                if "error" in answer:
                    out[one.id] = str(answer["error"]["root_cause"][0]["reason"])
                else:
                    assert answer["hits"]["total"]["relation"] == "eq"
                    out[one.id] = {hit["_id"] for hit in answer["hits"]["hits"]}
        return out

    def own(self, pattern: str) -> str:
        """The indices of this namespace among those of a pattern."""
        return f"logs-soc.*-{self.namespace}-*" if pattern == "logs-soc.*" else f"{pattern[:-1]}{self.namespace}-*"

    def engine(self, rules: RuleSet) -> dict[str, set[str]]:
        """Rule → ids of the events that it matches in the stream."""
        out: dict[str, set[str]] = {}
        matched = rules.match([e.fields for e in self.events], [e.logsources for e in self.events])
        for event, detections in zip(self.events, matched, strict=True):
            for detection in detections:
                out.setdefault(detection.rule_id, set()).add(event.id)
        return out

    def scopes(self, rules: RuleSet) -> dict[str, set[str]]:
        """Rule → ids of the events of its log source; rules without one are left out."""
        of: dict[object, set[str]] = {}
        for event in self.events:
            for logsource in event.logsources:
                of.setdefault(logsource, set()).add(event.id)
        out: dict[str, set[str]] = {}
        for rule in rules.rules.values():
            ids = set().union(*(ids for has, ids in of.items() if contains(rule.logsource, has)))  # type: ignore[arg-type]
            if ids:
                out[rule.id] = ids
        return out


def asked(query: str) -> dict[str, object]:
    """The body that Kibana sends for a Lucene query, without its time range."""
    string = {"query": query, "analyze_wildcard": True}
    return {"size": 10_000, "_source": False, "track_total_hits": True, "query": {"query_string": string}}


@pytest.fixture(scope="session")
def sources(root: Path) -> Sources:
    return load_sources([root / "pipelines" / "sources"])


@pytest.fixture(scope="session")
def pipelines(root: Path) -> list[Path]:
    return sorted((root / "pipelines" / "sigma").glob("*.yml"))


@pytest.fixture(scope="session")
def converted(pipelines: list[Path]) -> Callable[[RuleSet], list[Converted]]:
    """As `soc rules convert` does it."""
    return lambda rules: convert(rules, pipelines, {}, kind, indices)


@pytest.fixture(scope="session")
def stored(elasticsearch: str, root: Path) -> Iterator[Callable[[Sequence[Event]], World]]:
    """Enriches events and writes them into the real store."""
    client = Elasticsearch(elasticsearch, request_timeout=100)
    made: list[str] = []

    def write(events: Sequence[Event]) -> World:
        Enricher(load_org(root / "deploy" / "sample" / "org")).enrich(events)
        namespace = f"meaning{uuid.uuid4().hex[:12]}"
        made.append(namespace)
        store = ElasticsearchStore([elasticsearch], namespace=namespace)
        written = store.write(events)
        assert (written.created, written.refused) == (len(events), {})
        store.close()
        client.indices.refresh(index=f"*-{namespace}-*")
        return World(events, namespace, client)

    yield write
    for namespace in made:
        client.indices.delete(index=",".join(client.indices.get(index=f"*-{namespace}*")) or "-*")
    client.close()
