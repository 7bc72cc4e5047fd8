"""Events in the real store, queries asked of the real server."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from elasticsearch import Elasticsearch

from soc.author.convert import Converted, convert
from soc.author.indices import indices
from soc.author.kinds import kind
from soc.detect import RuleSet
from soc.detect.rule import contains
from soc.enrich import Enricher
from soc.event import Event
from soc.normalize import Sources, load_sources
from soc.normalize.ecs import ecs
from soc.org import load_org
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Server
from soc.store.elasticsearch.apply import apply, changes
from soc.store.elasticsearch.templates import templates

KNOWN = Path(__file__).with_name("known.yml")

#: Queries of one request.
_AT_ONCE = 50


@dataclass(frozen=True)
class World:
    """Events that stand in the store under a namespace of their own."""

    events: Sequence[Event] = field(repr=False)
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


@dataclass(frozen=True, order=True)
class Difference:
    """A rule and an event that the query finds `more`, or the engine alone (`less`)."""

    rule: str
    event: str
    finds: str

    @property
    def line(self) -> str:
        """As it would stand in known.yml."""
        return f"\n  - {{rule: {self.rule}, event: '{self.event}', finds: {self.finds}, reason: }}"


@dataclass(frozen=True)
class Differences:
    """What queries and engine do not both find, and how many finds are equal. `told`: rule → codes beside its query."""

    equal: int
    found: frozenset[Difference]
    told: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, world: World, rules: RuleSet, queries: Sequence[Converted], names: Mapping[str, str]) -> Differences:
        """Every query over all events of its rule's log source. `names`: event id → name for people."""
        engine, scopes, hits = world.engine(rules), world.scopes(rules), world.hits(queries)
        found: set[Difference] = set()
        equal = 0
        for one in queries:
            answer, scope, wanted = hits[one.id], scopes.get(one.id, set()), engine.get(one.id, set())
            if isinstance(answer, str):
                found.add(Difference(one.id, answer[:80], "error"))
                continue
            equal += len(answer & wanted)
            found |= {Difference(one.id, names[event], "less") for event in wanted - answer}
            found |= {Difference(one.id, names[event], "more") for event in (answer & scope) - wanted}
        told = {one.id: frozenset(d.code for d in one.differences) for one in queries}
        return cls(equal, frozenset(found), told)

    def unlisted(self, part: str) -> str:
        """Those that known.yml does not list."""
        return "".join(d.line for d in sorted(self.found - set(known(part))))

    def gone(self, part: str) -> str:
        """Those of known.yml that are no more."""
        return "".join(d.line for d in sorted(set(known(part)) - self.found))

    def untold(self, part: str) -> list[str]:
        """Those whose reason does not stand beside the query."""
        return [d.line for d, reason in known(part).items() if reason not in self.told[d.rule]]

    def summary(self, part: str) -> str:
        reasons = Counter(known(part)[d] for d in self.found)
        return f"{self.equal} equal, {len(self.found)} different: {dict(reasons)}"


def known(part: str) -> dict[Difference, str]:
    """Each listed difference and its reason."""
    table = yaml.safe_load(KNOWN.read_text("utf-8"))
    return {Difference(d["rule"], d["event"], d["finds"]): d["reason"] for d in table[part]}


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
    server = Server([elasticsearch], ElasticAccess())
    apply(server, changes(server, templates({name: field.kind for name, field in ecs().fields.items()})))
    server.close()

    enricher = Enricher(load_org(root / "deploy" / "sample" / "org"))

    def write(events: Sequence[Event]) -> World:
        enricher.enrich(events)
        namespace = f"meaning{uuid.uuid4().hex[:12]}"
        made.append(namespace)
        store = ElasticsearchStore([elasticsearch], namespace=namespace)
        written = store.write(events)
        assert written.refused == {}
        store.close()
        client.indices.refresh(index=f"*-{namespace}-*")
        return World(events, namespace, client)

    yield write
    for index in [index for namespace in made for index in client.indices.get(index=f"*-{namespace}*")]:
        client.indices.delete(index=index)
    client.close()
