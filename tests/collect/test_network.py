"""Syslog and HTTP end to end: real clients, a real spool and bus; every record once, as it was sent."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from soc.bus.sqlite import SqliteBus
from soc.collect.base import Collecting
from soc.collect.counts import counts
from soc.collect.file import FileSource
from soc.collect.http import HttpListener
from soc.collect.syslog import SyslogListener
from soc.collect.wire import from_delivery, rejected_from_delivery
from soc.event import ContentErrors, RawRecord, Rejected, TransportError

LOGGER = shutil.which("logger")
TOKEN = "a-token-of-good-length"


class Running:
    """Collectors in a thread of their own, and what they have put onto the bus."""

    def __init__(self, tmp_path: Path, *configs: Any, **options: Any) -> None:
        self.folder = tmp_path / "collect"
        self.bus = SqliteBus(tmp_path / "bus")
        self.raw = self.bus.subscribe("soc.raw", "test")
        self.bad = self.bus.subscribe("soc.rejected", "test")
        self.records: list[RawRecord] = []
        self.rejected: list[Rejected] = []
        self.collecting = Collecting(configs, bus=self.bus, folder=self.folder, **options)
        self.ports = self.collecting.addresses()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.collecting.run, args=(self.stop,))
        self.thread.start()

    def until(self, count: int, seconds: float = 15.0) -> list[RawRecord]:
        """So many records, or those that came in time."""
        deadline = time.monotonic() + seconds
        while len(self.records) + len(self.rejected) < count and time.monotonic() < deadline:
            self.poll()
        return self.records

    def poll(self) -> bool:
        raw, bad = self.raw.poll(10_000, 0.1), self.bad.poll(100, 0.0)
        self.records += map(from_delivery, raw)
        self.rejected += map(rejected_from_delivery, bad)
        return bool(raw or bad)

    def data(self, count: int) -> list[bytes]:
        return [r.data for r in self.until(count)]

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()
        while self.poll():
            pass
        self.bus.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*configs: Any, **options: Any) -> Running:
        started.append(Running(tmp_path, *configs, **options))
        return started[-1]

    yield start
    for one in started:
        if one.thread.is_alive():
            one.end()


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        yield sock


@pytest.mark.skipif(LOGGER is None, reason="needs logger of util-linux (apt-get install bsdutils)")
@pytest.mark.parametrize("transport", ["--udp", "--tcp"])
@pytest.mark.parametrize("form", [["--rfc3164"], ["--rfc5424"], ["--rfc5424", "--octet-count"]])
def test_logger_is_received(transport: str, form: list[str], running: Callable[..., Running]) -> None:
    if transport == "--udp" and "--octet-count" in form:
        form = form[:1]  # a datagram needs no count
    r = running(SyslogListener("127.0.0.1:0", ("udp", "tcp"), source="linux", unit="vn:xa:1"))
    port = r.ports["udp" if transport == "--udp" else "tcp"]
    assert LOGGER
    for message in ("một", "hai"):
        subprocess.run(
            [LOGGER, "--server", "127.0.0.1", "--port", str(port), transport, *form, "-t", "test", message], check=True
        )
    first, second = r.until(2)
    assert first.data.startswith(b"<13>")
    assert first.data.endswith("một".encode())
    assert second.data.endswith(b"hai")
    assert (first.source, first.unit, first.sender) == ("linux", "vn:xa:1", "127.0.0.1")
    assert first.facts["transport"] == transport[2:]
    assert first.id != second.id


def test_both_framings_in_one_connection_and_an_end_without_line_feed(running: Callable[..., Running]) -> None:
    r = running(SyslogListener("127.0.0.1:0", ("tcp",)))
    with connected(r.ports["tcp"]) as sock:
        sock.sendall(b"<1>one\n8 <1>two\nx<1>three\r\n\n12 is no count\n")
        sock.sendall(b"<1>last")
    assert r.data(5) == [b"<1>one", b"<1>two\nx", b"<1>three", b"12 is no count", b"<1>last"]


def test_what_is_too_long_or_cut_is_set_aside_and_the_rest_goes_on(running: Callable[..., Running]) -> None:
    r = running(SyslogListener("127.0.0.1:0", ("tcp",), max_message=1000))
    with connected(r.ports["tcp"]) as sock:
        sock.sendall(b"<1>" + b"x" * 5000 + b"\n5000 <1>" + b"y" * 4997 + b"<1>good\n100 <1>cut")
    r.until(4)
    assert [x.data for x in r.records] == [b"<1>good"]
    assert [(x.code, len(x.record.data)) for x in r.rejected] == [
        ("too_large", 5003),
        ("too_large", 5000),
        ("damaged", 6),
    ]
    r.end()
    (row,) = counts(r.folder)
    assert (row.received, row.rejected) == (4, 3)


def test_tls_is_received_and_names_its_client(running: Callable[..., Running], tmp_path: Path) -> None:
    ca = trustme.CA()
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("fw1.example", common_name="fw1.example")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    server.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    r = running(
        SyslogListener(
            "127.0.0.1:0",
            ("tls",),
            tls_cert=tmp_path / "cert.pem",
            tls_key=tmp_path / "key.pem",
            tls_ca=tmp_path / "ca.pem",
        )
    )
    context = ssl.create_default_context()
    ca.configure_trust(context)
    with connected(r.ports["tcp"]) as plain:  # shows no certificate: nothing of it is taken
        plain.sendall(b"<1>plain\n")
    client.configure_cert(context)
    with connected(r.ports["tcp"]) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"8 <1>hello<1>line\n")
        sock.unwrap()
    with connected(r.ports["tcp"]) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"<1>silent\n")
        records = r.until(3)
        r.end()  # while a client is connected that says no more
    assert sorted(x.data for x in records) == [b"<1>hello", b"<1>line", b"<1>silent"]
    assert records[0].facts["tls_client"] == "fw1.example"


def test_a_burst_of_datagrams_is_received_or_counted(running: Callable[..., Running]) -> None:
    r = running(SyslogListener("127.0.0.1:0", ("udp",)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for n in range(5000):
            sock.sendto(b"<13>burst %d" % n, ("127.0.0.1", r.ports["udp"]))
    r.until(5000, 5)
    r.end()
    (row,) = counts(r.folder)
    assert row.received == 5000
    assert len(r.records) == 5000 - row.shed
    assert len({x.id for x in r.records}) == len(r.records)


# ---------------------------------------------------------------- HTTP


def post(
    port: int, path: str, body: bytes, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body or None, method=method)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers)
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read() or b"{}"), dict(e.headers)


@pytest.fixture
def http(running: Callable[..., Running], tmp_path: Path) -> Running:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(f'- {{name: hq, token: "{TOKEN}", unit: "vn:xa:1", source: nginx_access}}\n')
    return running(HttpListener("127.0.0.1:0", tokens, max_body_mb=1))


BEARER = {"Authorization": f"Bearer {TOKEN}"}
BULK = (
    b'{"create":{"_index":"logs-a","_id":"id-1"}}\n{"n": 1}\n'
    b'{"index":{}}\n{"n":2}\n'
    b'{"delete":{"_id":"x"}}\n'
    b'{"update":{"_id":"x"}}\n{"doc":{}}\n'
)


def test_bulk_answers_each_item_and_a_retry_is_the_same_records(http: Running) -> None:
    port = http.ports["http"]
    status, answer, headers = post(port, "/logs-b/_bulk", BULK, **BEARER)
    assert (status, answer["errors"], headers["x-elastic-product"]) == (200, True, "Elasticsearch")
    assert [(next(iter(i)), *(next(iter(i.values()))[k] for k in ("_index", "status"))) for i in answer["items"]] == [
        ("create", "logs-a", 201),
        ("index", "logs-b", 201),
        ("delete", "logs-b", 400),
        ("update", "logs-b", 400),
    ]
    assert answer["items"][0]["create"]["_id"] == "id-1"
    _, again, _ = post(port, "/logs-b/_bulk", BULK, **BEARER)
    assert [i.get("create", i.get("index", {})).get("result") for i in again["items"]] == ["noop", "noop", None, None]
    other = b'{"create":{"_index":"logs-a","_id":"id-1"}}\n{"n": 1}\n{"create":{}}\n{"n":3}\n'
    post(port, "/logs-b/_bulk", other, **BEARER)  # the client's id is known, whatever the request around it
    records = http.until(3)
    assert [r.data for r in records] == [b'{"n": 1}', b'{"n":2}', b'{"n":3}']
    assert (records[0].source, records[0].unit) == ("nginx_access", "vn:xa:1")
    assert records[0].facts == {"transport": "http", "client": "hq", "index": "logs-a", "document_id": "id-1"}
    http.end()
    assert len(http.records) == 3
    assert [c.received for c in counts(http.folder)] == [3]


@pytest.mark.parametrize(
    "body",
    [b'{"a":1}\n{"a":2}\n', b'[{"a":1},\n {"a":2}]', b'{"a":1}{"a":2}', b'\xef\xbb\xbf[\n{"a":1},{"a":2}\n]'],
)
def test_json_of_every_spacing_is_taken(body: bytes, http: Running) -> None:
    assert post(http.ports["http"], "/", body, **BEARER)[:2] == (200, {"accepted": 2, "rejected": 0, "known": 0})
    assert http.data(2) == [b'{"a":1}', b'{"a":2}']


def test_compressed_bodies_are_taken_and_bombs_refused(http: Running) -> None:
    port = http.ports["http"]
    gzipped = {**BEARER, "Content_Encoding": "gzip"}
    assert post(port, "/records", gzip.compress(b'{"a":1}'), **gzipped)[0] == 200
    assert post(port, "/records", gzip.compress(b'{"a":"' + bytes(50_000_000) + b'"}'), **gzipped)[0] == 413
    assert post(port, "/records", gzip.compress(b'{"a":1}')[:-4], **gzipped)[0] == 400
    assert post(port, "/records", b"no gzip", **gzipped)[0] == 400
    assert post(port, "/records", b"{}", **{**BEARER, "Content_Encoding": "br"})[0] == 415
    assert post(port, "/records", b"x" * 2_000_000, **BEARER)[0] == 413


def test_what_is_wrong_is_said_with_the_right_status(http: Running) -> None:
    port = http.ports["http"]
    status, answer, headers = post(port, "/_bulk", BULK)
    assert (status, answer["error"]["type"]) == (401, "security_exception")
    assert "WWW-Authenticate" in headers or "www-authenticate" in headers
    assert post(port, "/_bulk", BULK, Authorization="Bearer wrong")[0] == 401
    assert post(port, "/_bulk", b"{}\n{}\n", **BEARER)[0] == 400
    assert post(port, "/_bulk", b"", **BEARER)[0] == 400
    status, answer, _ = post(port, "/records", b"hello", **BEARER)
    assert (status, answer["error"]["reason"]) == (400, "not a JSON object")
    assert post(port, "/_search", b"{}", **BEARER)[0] == 404
    http.end()
    assert http.records == []


def test_every_way_to_show_a_token_is_taken(http: Running) -> None:
    port = http.ports["http"]
    pair = base64.b64encode(f"any:{TOKEN}".encode()).decode()
    for n, authorization in enumerate([f"Bearer {TOKEN}", f"Basic {pair}", f"ApiKey {pair}", f"ApiKey {TOKEN}"]):
        assert post(port, "/records", b'{"n":%d}' % n, Authorization=authorization)[0] == 200


def test_lines_and_single_documents_are_taken(http: Running) -> None:
    port = http.ports["http"]
    assert post(port, "/", b"<13>one\ntwo\n", **{**BEARER, "Content_Type": "text/plain"})[0] == 200
    assert post(port, "/logs-a/_doc", b'{"a":1}', **BEARER)[0] == 201
    assert post(port, "/logs-a/_create/7", b'{"a":2}', method="PUT", **BEARER)[0] == 201
    assert post(port, "/logs-a/_create/7", b'{"a":2}', method="PUT", **BEARER)[1]["result"] == "noop"
    assert sorted(http.data(4)) == [b"<13>one", b"two", b'{"a":1}', b'{"a":2}']


def test_shippers_find_what_they_ask_for_at_start(http: Running) -> None:
    port = http.ports["http"]
    assert post(port, "/", b"", method="GET", **BEARER)[1]["version"]["number"].startswith("8.")
    assert post(port, "/", b"", method="HEAD", **BEARER)[0] == 200
    assert post(port, "/_license", b"", method="GET", **BEARER)[1]["license"]["status"] == "active"
    assert post(port, "/_cluster/health?pretty", b"", method="GET", **BEARER)[1]["status"] == "green"
    for path in ("/_index_template/filebeat-8.17.0", "/_ilm/policy/filebeat", "/_data_stream/filebeat-8.17.0"):
        assert post(port, path, b"", method="HEAD", **BEARER)[0] == 200
        assert post(port, path, b"{}", method="PUT", **BEARER)[1] == {"acknowledged": True}
    assert post(port, "/livez", b"", method="GET")[0] == 200


def test_without_room_the_client_is_told_to_come_again(running: Callable[..., Running]) -> None:
    r = running(HttpListener("127.0.0.1:0"), min_free_percent=100)
    status, answer, headers = post(r.ports["http"], "/records", b'{"a":1}')
    assert (status, answer["error"]["type"]) == (429, "es_rejected_execution_exception")
    assert int(headers.get("Retry-After") or headers["retry-after"]) > 0
    r.end()
    assert counts(r.folder) == []


# ---------------------------------------------------------------- all together


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        bus = SqliteBus(tmp_path / "bus")
        with pytest.raises(TransportError, match="another program uses the port"):
            Collecting([HttpListener(f"127.0.0.1:{port}")], bus=bus, folder=tmp_path / "collect")
        bus.close()


def test_all_errors_of_a_configuration_are_told_at_once(tmp_path: Path) -> None:
    bus = SqliteBus(tmp_path / "bus")
    wrong = [
        SyslogListener("nowhere"),
        SyslogListener("127.0.0.1:0", ("tls",)),
        HttpListener("127.0.0.1:0", tmp_path / "none"),
    ]
    with pytest.raises(ContentErrors) as caught:
        Collecting(wrong, bus=bus, folder=tmp_path / "collect")
    assert [e.why.split(";")[0] for e in caught.value.errors] == [
        "listen: 'nowhere' is no address",
        "tls needs tls_cert and tls_key (PEM files)",
        "cannot be read: No such file or directory",
    ]
    bus.close()


def test_files_and_listeners_run_together_and_end_cleanly(running: Callable[..., Running], tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"from the file\n")
    r = running(FileSource([str(log)]), SyslogListener("127.0.0.1:0", ("tcp",)))
    with connected(r.ports["tcp"]) as sock:
        sock.sendall(b"<1>from the network\n<1>at the end")
        r.until(2)
        r.end()  # the connection is still open
    assert sorted(x.data for x in r.records) == [b"<1>at the end", b"<1>from the network", b"from the file"]
