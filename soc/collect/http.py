"""HTTP in: NDJSON, JSON arrays, lines and Elasticsearch's `_bulk`; records into the spool, answered once durable.

    POST /  or  /records              JSON records (any spacing), or lines with Content-Type text/plain
    POST /_bulk, /INDEX/_bulk         for shippers that can write to Elasticsearch
    POST /INDEX/_doc, PUT /INDEX/_create/ID …   single records
    GET  /livez                       whether this runs; no token needed

Ids: the client's `_id`, else the digest of the request and the index within it, so a request that is sent again
within 10 minutes is the same records. 200/201 means stored durably; 429 with Retry-After means: no room now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from soc.collect.bodies import BodyError, BulkItem, bulk_items, pieces_of, read_body
from soc.collect.elastic import HEADERS, answer, bulk_answer, error
from soc.collect.framing import HEAD_KEPT
from soc.collect.intake import Intake
from soc.collect.listen import bound, server_tls
from soc.collect.spool import PRIORITIES, Batch, Outcome
from soc.collect.tokens import Client, client_of, load_tokens
from soc.event import RawRecord, Rejected, digest, record_id

log = logging.getLogger(__name__)

_BODY_S: Final = 60.0  # a body that takes longer is given up
_PASS_OVER_S: Final = 20.0  # and what is left of a refused one is read for so long
_RETRY_AFTER_S: Final = 5
_KEEP_ALIVE_S: Final = 75


@dataclass(frozen=True, slots=True)
class HttpListener:
    """Configuration of one HTTP listener. Without `tokens_file` anybody may send, registered as `source` and `unit`."""

    listen: str
    tokens_file: str | Path = ""
    source: str = "auto"
    unit: str = ""
    priority: str = "normal"
    max_body_mb: int = 32
    tls_cert: str | Path = ""
    tls_key: str | Path = ""
    tls_ca: str | Path = ""

    @property
    def name(self) -> str:
        return f"http {self.listen}"


class HttpServer:
    """One listener. Creating it binds: ContentError(s) or TransportError; `serve` runs in the event loop."""

    def __init__(self, config: HttpListener, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._priority = PRIORITIES.index(config.priority)
        self._clients = load_tokens(Path(config.tokens_file)) if config.tokens_file else None
        self._anyone = Client("", config.unit, config.source)
        self._tls = server_tls(config.tls_cert, config.tls_key, config.tls_ca, config.name) if config.tls_cert else None
        if self._clients is None and not config.listen.startswith(("127.", "[::1]", "localhost")):
            log.warning("%s: anybody who reaches it may send; set tokens_file", config.name)
        self._intake: Intake | None = None
        self.tcp = bound(config.listen, socket.SOCK_STREAM, config.name)

    def close(self) -> None:
        """Close the socket, served or not."""
        self.tcp.close()

    async def serve(self, intake: Intake, stop: asyncio.Event) -> None:
        """Answer until `stop` is set, then finish what was begun."""
        self._intake = intake
        app = Starlette(
            routes=[
                Route("/livez", self._livez, methods=["GET"]),
                Route("/{path:path}", self._any, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
        )
        config.load()
        config.ssl = self._tls
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[self.tcp]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()
        await serving

    # ------------------------------------------------------------ requests

    async def _livez(self, request: Request) -> Response:
        return _json(200, {"status": "ok"})

    async def _any(self, request: Request) -> Response:
        client = self._client(request)
        if client is None:
            reason = "missing or unknown token: send Authorization: Bearer TOKEN, Basic or ApiKey"
            await _pass_over(request.stream())
            refusal = _json(401, error(401, "security_exception", reason))
            for scheme in ('Bearer realm="soc"', 'Basic realm="soc"', "ApiKey"):
                refusal.headers.append("WWW-Authenticate", scheme)
            return refusal
        try:
            return await self._authorized(request, client)
        except BodyError as e:
            return _json(e.status, error(e.status, "illegal_argument_exception", e.why))
        except ClientDisconnect:
            return Response(status_code=400)

    def _client(self, request: Request) -> Client | None:
        if self._clients is None:
            return self._anyone
        return client_of(request.headers.get("authorization", ""), self._clients)

    async def _authorized(self, request: Request, client: Client) -> Response:
        parts = [part for part in request.url.path.split("/") if part]
        writes = request.method in ("POST", "PUT")
        if writes and parts and parts[-1] == "_bulk" and len(parts) <= 3:
            return await self._bulk(request, client, parts[0] if len(parts) > 1 else "")
        if writes and len(parts) in (2, 3) and parts[1] in ("_doc", "_create"):
            return await self._document(request, client, parts)
        if request.method == "POST" and parts in ([], ["records"]):
            return await self._records(request, client)
        known = answer(request.method, request.url.path)
        if known:
            return _json(*known)
        await _pass_over(request.stream())
        return _json(404, error(404, "resource_not_found_exception", f"{request.method} {request.url.path}"))

    async def _records(self, request: Request, client: Client) -> Response:
        body = await self._body(request)
        pieces = pieces_of(body, request.headers.get("content-type", ""))
        if all(piece.code for piece in pieces):
            raise BodyError(400, pieces[0].detail if pieces else "the body holds no record")
        key = digest(client.name, request.url.path, body)
        items: list[RawRecord | Rejected] = []
        received = self._now()
        for number, piece in enumerate(pieces):
            record = _record(request, client, received, key, number, piece.data, {})
            items.append(Rejected(record, piece.code, piece.detail, "collect") if piece.code else record)
        outcome = await self._put(Batch(self._config.name, items, self._priority, key=key))
        if outcome.refused:
            return _no_room(outcome.refused)
        bad = sum(isinstance(item, Rejected) for item in items)
        return _json(200, {"accepted": len(items) - bad, "rejected": bad, "known": len(outcome.known)})

    async def _bulk(self, request: Request, client: Client, index: str) -> Response:
        started = time.monotonic()
        body = await self._body(request)
        items = bulk_items(body, index)
        if not items:
            raise BodyError(400, "the request holds no action")
        key = digest(client.name, request.url.path, body)
        taken, ids, outcome = await self._store(request, client, items, key)
        if outcome.refused:
            return _no_room(outcome.refused)
        known = {taken[n] for n in outcome.known}
        return _json(200, bulk_answer(items, ids, known, int((time.monotonic() - started) * 1000)))

    async def _document(self, request: Request, client: Client, parts: list[str]) -> Response:
        body = await self._body(request)
        if not body.strip():
            raise BodyError(400, "the body holds no record")
        item = BulkItem("create", parts[0], parts[2] if len(parts) > 2 else "", body.strip())
        key = digest(client.name, request.url.path, body)
        _, ids, outcome = await self._store(request, client, [item], key)
        if outcome.refused:
            return _no_room(outcome.refused)
        known = bool(outcome.known)
        result = {"_index": item.index, "_id": item.id or ids[0], "_version": 1}
        return _json(200 if known else 201, {**result, "result": "noop" if known else "created"})

    async def _store(
        self, request: Request, client: Client, items: Sequence[BulkItem], key: str
    ) -> tuple[list[int], list[str], Outcome]:
        """Put what may be taken into the spool: (numbers of the items taken, ids of all items, outcome)."""
        taken: list[int] = []
        records: list[RawRecord | Rejected] = []
        keys: list[str] = []
        ids: list[str] = []
        received = self._now()
        for number, item in enumerate(items):
            facts = {"index": item.index}
            if item.id:
                facts["document_id"] = item.id
            record = _record(request, client, received, key, number, item.data, facts)
            ids.append(record.id)
            if item.error[0] and item.status != 413:
                continue  # the client is told, and nothing of it is a record
            taken.append(number)
            keys.append(digest("id", client.name, item.index, item.id) if item.id else "")
            if item.error[0]:
                record = replace(record, data=item.data[:HEAD_KEPT])
                records.append(Rejected(record, "too_large", item.error[1], "collect"))
            else:
                records.append(record)
        if not records:
            return taken, ids, Outcome()
        batch = Batch(self._config.name, records, self._priority, key=key, keys=keys)
        return taken, ids, await self._put(batch)

    async def _body(self, request: Request) -> bytes:
        limit = self._config.max_body_mb << 20
        encoding = request.headers.get("content-encoding", "").strip().lower()
        chunks = request.stream()
        try:
            return await asyncio.wait_for(read_body(chunks, encoding, limit), _BODY_S)
        except TimeoutError as e:
            raise BodyError(408, f"the body did not come within {_BODY_S:.0f} s") from e
        except BodyError:
            await _pass_over(chunks)
            raise

    async def _put(self, batch: Batch) -> Outcome:
        assert self._intake
        return await self._intake.put(batch)


def _record(
    request: Request, client: Client, received: datetime, key: str, number: int, data: bytes, facts: dict[str, str]
) -> RawRecord:
    """`facts` may hold index and document_id; `key` and `number` identify the record where there is no document_id."""
    if "document_id" in facts:
        identity = record_id(received, "client", client.name, facts["index"], facts["document_id"])
    else:
        identity = record_id(received, "request", key, number)
    sender = request.client.host if request.client else ""
    stream = facts.get("index", "") or client.name
    facts = {"transport": "http", **({"client": client.name} if client.name else {}), **facts}
    return RawRecord(identity, data, received, client.source, client.unit, sender, stream, facts)


async def _pass_over(body: AsyncIterator[bytes]) -> None:
    """Read what is left of a body that is refused: a client that is still sending would not see the answer."""
    with contextlib.suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_PASS_OVER_S):
            async for _ in body:
                pass


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to the program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, HEADERS, "application/json")


def _no_room(why: str) -> Response:
    response = _json(429, error(429, "es_rejected_execution_exception", why))
    response.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return response
