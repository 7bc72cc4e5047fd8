"""Addresses and credentials in, requests to the cluster out: the one place that holds the client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from elastic_transport import OrjsonSerializer
from elasticsearch import Elasticsearch

from soc.event import ContentError, TransportError
from soc.store.elasticsearch.failures import AnswerError, failures, reason, said

log = logging.getLogger("soc.store.elasticsearch")

MAJOR: Final = 9  # of the server: its client and its index format go together
_TIMEOUT_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.05
#: HTTP statuses of a read that may succeed soon: overload, a proxy without a node, a shard that is being started.
_MOMENTARY: Final = frozenset({429, 502, 503, 504})

#: Modules of the server without which ours does not work; the rest of what a server may lack, we do not use.
_NEEDED: Final = {
    "lang-painless": "scripts, which set what became of a record and search values by number",
    "analysis-common": "words without Vietnamese marks",
    "x-pack-core": "API keys and roles",
}


@dataclass(frozen=True, slots=True)
class ElasticAccess:
    """An API key (as the server gave it: base64, or `id:key`), else a user and password, else nobody.

    `ca` is the PEM file of the authority that signed the server's certificate; without it the system's are trusted.
    """

    api_key: str = ""
    user: str = ""
    password: str = ""
    ca: Path | None = None

    @property
    def who(self) -> str:
        """For sentences: what is presented to the server."""
        if self.api_key:
            return f"the API key {self.api_key.partition(':')[0]}" if ":" in self.api_key else "the API key"
        return f"the user {self.user} with this password" if self.user else "an anonymous user (no API key, no user)"


class Server:
    """The cluster behind the hosts. Connects at the first call, and looks once whether it is one we can work with.

    Its calls may come from several threads. Every call may raise TransportError, and AnswerError where the server
    answered with a refusal.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        access: ElasticAccess,
        *,
        timeout_s: float = _TIMEOUT_S,
        patience_s: float = 10.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout_s`: for one answer. `patience_s`: for reads that are asked again.

        Raises ContentError for a CA file that cannot be read.
        """
        self.hosts = ", ".join(hosts)
        self.access = access
        self.version = ""
        self._patience_s, self._wait = patience_s, wait
        self._lock = threading.Lock()
        settings: dict[str, Any] = {}
        if access.ca is not None:
            if not access.ca.is_file():
                raise ContentError(access.ca, 0, "the certificate of the authority (`ca`) is no file")
            settings["ca_certs"] = str(access.ca)
        if access.api_key:
            key_id, _, secret = access.api_key.partition(":")
            settings["api_key"] = (key_id, secret) if secret else access.api_key
        elif access.user:
            settings["basic_auth"] = (access.user, access.password)
        self._client = Elasticsearch(
            [_with_port(host) for host in hosts],
            serializer=OrjsonSerializer(),
            request_timeout=timeout_s,
            max_retries=len(hosts) - 1,  # another node; the same one is our caller's to try again
            retry_on_status=(),
            **settings,
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        absent: bool = False,
    ) -> Any:
        """The parsed answer. `body`: NDJSON as bytes, or what becomes JSON. `absent`: 404 is None and no error."""
        self._check()
        try:
            return self._ask(method, path, body, params)
        except AnswerError as refused:
            if absent and refused.status == 404:
                return None
            raise

    def read(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        absent: bool = False,
    ) -> Any:
        """As `call`, for what changes nothing: waits out moments in which a shard is not there, or the server is busy.

        A part of an answer is none: where one shard or document of several fails, all is asked again.
        """
        if path.endswith("/_search"):
            params = {**(params or {}), "allow_partial_search_results": "false"}
        pause_s, waited_s = _FIRST_PAUSE_S, 0.0
        while True:
            try:
                answer = self.call(method, path, body, params=params, absent=absent)
                _check_parts(answer, self.hosts, self.access.who)
                return answer
            except AnswerError as refused:
                if refused.status not in _MOMENTARY or waited_s + pause_s > self._patience_s:
                    raise
            self._wait(pause_s)
            waited_s, pause_s = waited_s + pause_s, 2 * pause_s

    def _ask(self, method: str, path: str, body: Any, params: Mapping[str, Any] | None) -> Any:
        headers = {"accept": "application/json"}
        if isinstance(body, bytes):
            headers["content-type"] = "application/x-ndjson"
        elif body is not None:
            headers["content-type"] = "application/json"
            body = orjson.dumps(body)
        with failures(self.hosts, self.access.who):
            return self._client.perform_request(method, path, params=params, headers=headers, body=body).body

    def _check(self) -> None:
        if self.version:
            return
        with self._lock:
            if not self.version:
                found = str(self._ask("GET", "/", None, None)["version"]["number"])
                if int(found.partition(".")[0]) != MAJOR:
                    raise TransportError(
                        f"Elasticsearch at {self.hosts} is version {found}; this program works with {MAJOR}.x"
                    )
                self.version = found
                log.info("Elasticsearch %s at %s", found, self.hosts)

    def lacking(self) -> list[str]:
        """Sentences on what the server lacks of what we need, or cannot be asked about. [] = nothing."""
        told: list[str] = []
        try:
            nodes = self.call("GET", "/_nodes/plugins", params={"filter_path": "nodes.*.modules.name"})
            for node in nodes.get("nodes", {}).values():
                modules = {module["name"] for module in node.get("modules", ())}
                told += [f"no module {name}: {why}" for name, why in _NEEDED.items() if name not in modules]
        except AnswerError as refused:
            told.append(f"its modules are not known: {refused}")
        try:
            self.call("GET", "/_security/_authenticate")
        except AnswerError as refused:
            if "no handler" not in str(refused):
                raise
            told.append("security is off: anybody who reaches the port reads and changes everything")
        return list(dict.fromkeys(told))

    def close(self) -> None:
        self._client.close()


def _check_parts(answer: Any, hosts: str, who: str) -> None:
    """Raises AnswerError for a part of an answer that failed: one search of several, one document of several."""
    if not isinstance(answer, Mapping):
        return
    for part in (*answer.get("responses", ()), *answer.get("docs", ())):
        error = part.get("error")
        if error is None or error.get("type") == "index_not_found_exception":
            continue
        kind = str(error.get("type", ""))
        status = int(part.get("status", 403 if kind == "security_exception" else 503))  # a document's error has none
        raise AnswerError(said(status, kind, reason(error), hosts, who), status, kind)


def _with_port(host: str) -> str:
    found = urlsplit(host)
    return host if found.port else f"{found.scheme}://{found.netloc}:9200{found.path}"
