"""Kibana's HTTP API: method, path and body in, the parsed answer out; every failure is a sentence for the operator.

https://www.elastic.co/docs/api/doc/kibana/authentication: `Authorization: ApiKey`, `kbn-xsrf` on what writes,
`Elastic-Api-Version` on every request, `/s/<space>` before the path of what belongs to a Space.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import orjson

from soc.event import ContentError, TransportError
from soc.kibana.item import text
from soc.kibana.setup import too_old, version_of

API_VERSION: Final = "2023-10-31"
_WRITES: Final = frozenset({"POST", "PUT", "DELETE"})
#: Separates the parts of an upload; no line of NDJSON begins with it.
_BOUNDARY: Final = "soc-kibana-rules"
_LONGEST: Final = 500


class AnswerError(TransportError):
    """Kibana answered and refused. `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Kibana:
    """One Kibana. Every call may raise TransportError, and AnswerError for a refusal. A call is one connection.

    `url` may hold a base path. `api_key`: base64 as Kibana shows it, or `id:key`. `ca`: PEM of the authority that
    signed the certificate; without it the system's are trusted. Raises ContentError for a CA file that cannot be read.
    """

    def __init__(self, url: str, api_key: str, *, ca: Path | None = None, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self._secure = parts.scheme == "https"
        self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path
        self._key = base64.b64encode(api_key.encode()).decode() if ":" in api_key else api_key
        self._timeout_s = timeout_s
        self._tls: ssl.SSLContext | None = None
        if self._secure:
            try:
                self._tls = ssl.create_default_context(cafile=str(ca) if ca else None)
            except (OSError, ssl.SSLError) as wrong:
                raise ContentError(ca or "ca", 0, f"the authority's certificate cannot be read: {wrong}") from wrong

    def version(self) -> tuple[int, int]:
        """Major and minor. Raises TransportError for one that is too old."""
        told = self.call("GET", "/api/status")
        version = told.get("version") if isinstance(told, Mapping) else None
        number = str(version.get("number", "")) if isinstance(version, Mapping) else ""
        if not number:
            raise TransportError(f"Kibana at {self.url} does not tell its version: the API key is not accepted there")
        try:
            found = version_of(number)
        except ValueError as wrong:
            raise TransportError(f"Kibana at {self.url}: {wrong}") from wrong
        if why := too_old(found):
            raise TransportError(f"{self.url}: {why}")
        return found

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        space: str = "",
        params: Mapping[str, str] | None = None,
        absent: bool = False,
    ) -> Any:
        """The parsed answer, None for an empty one. `absent`: 404 is None and no error."""
        data = None if body is None else text(body)
        headers = {"Content-Type": "application/json"} if data is not None else {}
        return self._ask(method, _target(path, space, params), data, headers, absent)

    def upload(self, path: str, lines: bytes, *, space: str = "", params: Mapping[str, str] | None = None) -> Any:
        """NDJSON as the file of a multipart form (RFC 7578)."""
        head = (
            f"--{_BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="file"; filename="rules.ndjson"\r\n'
            "Content-Type: application/x-ndjson\r\n\r\n"
        )
        data = head.encode() + lines + f"\r\n--{_BOUNDARY}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        return self._ask("POST", _target(path, space, params), data, headers, absent=False)

    def _ask(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str], absent: bool) -> Any:
        sent = {
            "Authorization": f"ApiKey {self._key}",
            "Elastic-Api-Version": API_VERSION,
            "Accept": "application/json",
        }
        if method in _WRITES:
            sent["kbn-xsrf"] = "true"
        status, answer = self._exchange(method, self._base + target, data, {**sent, **headers})
        if status == 404 and absent:
            return None
        if status >= 300:
            raise AnswerError(self._said(status, f"{method} {target}", _reason(answer)), status)
        if not answer:
            return None
        try:
            return orjson.loads(answer)
        except ValueError as wrong:
            raise TransportError(f"what answers at {self.url} is no Kibana: {answer[:80]!r}") from wrong

    def _exchange(self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection: http.client.HTTPConnection
        if self._tls is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, target, data, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ssl.SSLError as broken:
            raise TransportError(
                f"no TLS connection to Kibana at {self.url} ({broken.reason or broken}): either `kibana.ca` is not the"
                " authority that signed its certificate, or the certificate does not name this host"
            ) from broken
        except (OSError, http.client.HTTPException) as broken:
            late = isinstance(broken, TimeoutError | socket.timeout)
            why = f"no answer in {self._timeout_s:g} s" if late else str(broken) or broken.__class__.__name__
            raise TransportError(f"Kibana at {self.url} does not answer ({why})") from broken
        finally:
            connection.close()

    def _said(self, status: int, asked: str, why: str) -> str:
        where = f"Kibana at {self.url}"
        match status:
            case 401:
                return f"{where} does not accept the API key: wrong, expired or revoked ({why})"
            case 403:
                return f"{where}: the API key lacks a privilege for {asked}: {why}"
            case 404:
                return (
                    f"{where} has no {asked}: a wrong base path in kibana.url, or a part that is switched off ({why})"
                )
            case 429 | 502 | 503 | 504:
                return f"{where} is overloaded or not ready ({status}): {why}"
            case _ if 300 <= status < 400:
                return (
                    f"{where} sends {asked} elsewhere ({status}): kibana.url is not Kibana's own address and base path"
                )
        return f"{where} refused {asked} ({status}): {why}"


def _target(path: str, space: str, params: Mapping[str, str] | None) -> str:
    return (f"/s/{space}" if space else "") + path + (f"?{urlencode(params)}" if params else "")


def _reason(answer: bytes) -> str:
    try:
        told = orjson.loads(answer)
    except ValueError:
        return answer[:_LONGEST].decode("utf-8", "replace")
    return str(told.get("message") or told.get("error") or told)[:_LONGEST] if isinstance(told, Mapping) else str(told)
