"""A server that nobody else uses: without templates, with an operator's own, stopped, killed and started again."""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster import Servers, until
from soc.event import Event, TransportError
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore, Server
from soc.store.elasticsearch.apply import apply, changes, drift
from soc.store.query import parse_query
from tests.services.elasticsearch.conftest import wanted
from tests.services.elasticsearch.samples import event, rejection

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def own() -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="soc-es-", dir="/var/tmp"))
    folder.chmod(0o755)
    made = Servers(folder)
    try:
        made.start("elasticsearch")
        yield made
    finally:
        made.stop("elasticsearch")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def bare(own: Servers) -> Iterator[Server]:
    made = Server([own.search], ElasticAccess())
    yield made
    made.close()


@pytest.fixture(scope="module")
def ready(bare: Server) -> Server:
    """With our templates."""
    apply(bare, changes(bare, wanted()))
    return bare


def indices(server: Server) -> list[str]:
    return sorted(one["index"] for one in server.call("GET", "/_cat/indices", params={"format": "json"}))


def test_nothing_is_written_while_the_templates_are_missing(bare: Server, own: Servers) -> None:
    store = ElasticsearchStore([own.search])
    for write in (
        lambda: store.write([event(1)]),
        lambda: store.write([], [rejection(1)]),
        lambda: store.save_state("x", b"y"),
    ):
        with pytest.raises(TransportError, match=r"no template of ours for .*: run `soc store apply`"):
            write()
    assert indices(bare) == []
    assert store.search(parse_query("")).total == 0
    apply(bare, changes(bare, wanted()))
    assert store.write([event(1)], [rejection(2)]).created == 1
    store.close()


def test_applying_is_done_once_and_what_was_changed_by_hand_is_seen_and_mended(ready: Server) -> None:
    assert {change.action for change in changes(ready, wanted())} == {"same"}
    ready.call("DELETE", "/_index_template/soc-web")
    body = ready.call("GET", "/_component_template/soc@settings")["component_templates"][0]["component_template"]
    settings = {"index": {**body["template"]["settings"]["index"], "number_of_replicas": "2", "codec": "default"}}
    ready.call("PUT", "/_component_template/soc@settings", {"template": {"settings": settings}, "_meta": body["_meta"]})
    found = drift(ready, wanted())
    assert [(change.template.name, change.action) for change in found] == [
        ("soc@settings", "update"),
        ("soc-web", "create"),
    ]
    assert found[0].differences == (
        "template.settings.index.codec: default → absent",
        "template.settings.index.number_of_replicas: 2 → 0",
    )
    apply(ready, found)
    assert drift(ready, wanted()) == []
    assert [c.template.name for c in drift(ready, wanted(replicas=1))] == ["soc@settings", "soc-records", "soc-state"]


def test_a_namespace_of_the_settings_has_its_aliases(ready: Server, own: Servers) -> None:
    apply(ready, changes(ready, wanted(namespaces=["kept"])))
    for index in ("logs-soc.web-kept-2026.11.23", "soc-alerts-kept-2026"):
        ready.call("PUT", f"/{index}")  # as with a key that may make no aliases
        assert list(ready.call("GET", f"/{index}/_alias")[index]["aliases"]) == [index.rpartition("-")[0]]
        assert ready.call("GET", f"/{index}/_mapping")[index]["mappings"]["_meta"]["managed_by"] == "soc"


def test_a_mapping_of_the_operators_own_refuses_a_record_with_all_its_events(ready: Server, own: Servers) -> None:
    custom = {"template": {"mappings": {"properties": {"vendor": {"properties": {"size": {"type": "long"}}}}}}}
    ready.call("PUT", "/_component_template/soc-host@custom", custom)
    assert drift(ready, wanted()) == []
    store = ElasticsearchStore([own.search], namespace="custom")
    first = event(10, {"vendor.size": 5})
    bad = replace(event(11, {"vendor.size": "large"}), id=f"{first.id}-1", record_id=first.id)
    last = replace(event(12), id=f"{first.id}-2", record_id=first.id)
    written = store.write([event(13, {"vendor.size": 2000}), first, bad, last], [rejection(14)])
    assert written.created == 1
    assert set(written.refused) == {first.id, bad.id, last.id}
    assert all("vendor.size" in why for why in written.refused.values())
    store.refresh()
    assert [hit["event.id"] for hit in store.search(parse_query("vendor.size:>1000")).hits] == [event(13).id]
    assert store.search(parse_query("")).total == 1
    again = store.write([first, bad, last], [replace(rejection(10), code="store_refused")])
    assert (again.created, set(again.refused)) == (0, {first.id, bad.id, last.id})
    assert store.fates([first.id, event(13).id, rejection(14).record.id]) == {
        first.id: "rejected",
        event(13).id: "stored",
        rejection(14).record.id: "rejected",
    }
    store.close()


class Writer(threading.Thread):
    """Writes batches as a worker does: the same one again until it is acknowledged."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(name=f"writer {namespace}", daemon=True)
        self.store = ElasticsearchStore([url], namespace=namespace, patience_s=2.0)
        self.acknowledged: list[Event] = []
        self.errors: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        at = 0
        while not self.stop.is_set():
            batch = [event(n) for n in range(at, at + 50)]
            try:
                written = self.store.write(batch, [rejection(1_000_000 + at)])
            except TransportError as broken:
                self.errors.append(str(broken))
                self.stop.wait(0.1)
                continue
            assert written.created + written.existed == len(batch)
            self.acknowledged += batch
            at += 50


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice_though_the_server_goes_down(
    ready: Server, own: Servers, blow: signal.Signals
) -> None:
    namespace, chance = f"blow.{blow.name.lower()}", random.Random(blow)
    writer = Writer(own.search, namespace)
    writer.start()
    try:
        before = chance.randrange(200, 1000)
        until(lambda: len(writer.acknowledged) >= before, "events to be acknowledged")
        own.signal("elasticsearch", blow)
        until(lambda: len(writer.errors) > 0, "the writer to notice")
        until(lambda: not own.pid("elasticsearch"), "the server to be gone")
        own.start("elasticsearch")
        least = len(writer.acknowledged) + 100
        until(lambda: len(writer.acknowledged) >= least, "events after the start")
    finally:
        writer.stop.set()
        writer.join(60)
    store, ids = writer.store, [one.id for one in writer.acknowledged]
    assert set(store.fates(ids).values()) == {"stored"}
    assert len(store.fates(ids)) == len(ids)
    store.refresh()
    count: dict[str, Any] = ready.call("GET", f"/logs-soc.*-{namespace}-*/_count")
    assert count["count"] in range(len(ids), len(ids) + 51)  # the last batch may be there without having been said so
    rows = store.ledger()
    assert sum(row.stored for row in rows) == count["count"]
    assert sum(row.rejected for row in rows) in (len(ids) // 50, len(ids) // 50 + 1)
    assert all("does not answer" in why or "not ready" in why for why in writer.errors)
    store.close()
