"""Addresses and credentials in, requests to the cluster out: the one place that holds the client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from elastic_transport import OrjsonSerializer
from elasticsearch import Elasticsearch

from soc.event import ContentError, TransportError
from soc.store.elasticsearch.failures import AnswerError, failures

log = logging.getLogger("soc.store.elasticsearch")

MAJOR: Final = 9  # of the server: its client and its index format go together
_TIMEOUT_S: Final = 60.0
#: The server's words for shards that are not started; a request that meets them has done nothing.
_STARTING: Final = frozenset({"no_shard_available_action_exception", "search_phase_execution_exception"})
_STARTING_S: Final = 10.0
_LOOK_S: Final = 0.1

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

    def __init__(self, hosts: Sequence[str], access: ElasticAccess, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Raises ContentError for a CA file that cannot be read."""
        self.hosts = ", ".join(hosts)
        self.access = access
        self.version = ""
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
        """The parsed answer. `body`: NDJSON as bytes, or what becomes JSON. `absent`: 404 is None and no error.

        An index that was made a moment ago, or a node that has just come back, has shards that do not answer yet: that
        is waited out for some seconds.
        """
        self._check()
        deadline = time.monotonic() + _STARTING_S
        while True:
            try:
                return self._ask(method, path, body, params)
            except AnswerError as refused:
                if absent and refused.status == 404:
                    return None
                if refused.kind not in _STARTING or refused.status != 503 or time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_S)

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


def _with_port(host: str) -> str:
    found = urlsplit(host)
    return host if found.port else f"{found.scheme}://{found.netloc}:9200{found.path}"
