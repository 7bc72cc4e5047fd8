"""An HTTP proxy before Elasticsearch that answers for it when told to: how overload (429, 503) is had at will."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy(ThreadingHTTPServer):
    """`refusing` is the status that requests get instead of an answer; 0 = they are passed on."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.refusing = 0
        self.refused = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """Serving until the end of the block."""
    server = Proxy(target)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy
    disable_nagle_algorithm = True

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refusing:
            self.server.refused += 1
            text = b'{"error":{"type":"es_rejected_execution_exception","reason":"injected"},"status":%d}'
            self._answer(self.server.refusing, text % self.server.refusing, {"Content-Type": "application/json"})
            return
        connection = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            connection.request(self.command, self.path, body, kept)
            got = connection.getresponse()
            skipped = ("transfer-encoding", "connection", "content-length")
            self._answer(got.status, got.read(), {k: v for k, v in got.getheaders() if k.lower() not in skipped})
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # as if the server itself had broken the connection
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 (names that http.server gives)

    def log_message(self, format: str, *args: object) -> None:
        pass
