"""A server that is not there, is another program or another version: a sentence says so."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from soc.event import ContentError, TransportError
from soc.store.elasticsearch import ElasticAccess, ElasticsearchStore
from tests.services.elasticsearch.between import between

pytestmark = pytest.mark.services


def test_a_host_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    store = ElasticsearchStore([f"http://127.0.0.1:{port}"])
    with pytest.raises(TransportError, match=f"Elasticsearch at http://127.0.0.1:{port} does not answer"):
        store.event("20261124-x")


def test_another_major_version_is_named() -> None:
    told = json.dumps({"version": {"number": "8.19.4"}}).encode()
    sentence = r"is version 8\.19\.4; this program works with 9\.x"
    with (
        between("http://127.0.0.1:1", lambda *request: (200, told)) as server,
        pytest.raises(TransportError, match=sentence),
    ):
        ElasticsearchStore([server.url]).event("20261124-x")


def test_a_server_that_does_not_take_our_version_is_told() -> None:
    refused = {"error": {"type": "media_type_header_exception", "reason": "Invalid media-type value"}, "status": 400}
    answer = 400, json.dumps(refused).encode()
    sentence = "does not speak version 9"
    with (
        between("http://127.0.0.1:1", lambda *request: answer) as server,
        pytest.raises(TransportError, match=sentence),
    ):
        ElasticsearchStore([server.url]).event("20261124-x")


def test_a_missing_ca_file_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="certificate of the authority"):
        ElasticsearchStore(["https://127.0.0.1:9243"], access=ElasticAccess(ca=tmp_path / "ca.pem"))


def test_plain_text_where_tls_is_expected_names_the_certificate(elasticsearch: str) -> None:
    store = ElasticsearchStore([elasticsearch.replace("http://", "https://")], access=ElasticAccess("id:secret"))
    with pytest.raises(TransportError, match=r"no TLS connection .* `ca`"):
        store.event("20261124-x")
