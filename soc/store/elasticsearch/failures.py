"""What the client raised, or an item of a bulk answer says → a sentence that tells who must do what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import elastic_transport
from elasticsearch import ApiError, UnsupportedProductError

from soc.event import TransportError

#: Errors of a single document that no repetition will mend; everything else is the server's state.
DOCUMENT_FAULTS: Final = frozenset(
    {
        "document_parsing_exception",
        "illegal_argument_exception",  # an immense term, for one
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "x_content_parse_exception",
    }
)

#: HTTP statuses after which the same request may succeed: overload, a node on its way down or up, a broken proxy.
PASSING: Final = frozenset({429, 500, 502, 503, 504})


class AnswerError(TransportError):
    """The server answered and refused. `status` is HTTP's; `kind` is the server's word for it."""

    def __init__(self, message: str, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


def reason(error: Any) -> str:
    """The sentences of an error object, outermost first; of failed shards, the first one's."""
    told: list[str] = []
    while isinstance(error, Mapping):
        if (text := str(error.get("reason") or "")) and text not in told:
            told.append(text)
        shards = error.get("failed_shards")
        error = shards[0].get("reason") if shards else error.get("caused_by")
    return ": ".join(told) or str(error)


@contextmanager
def failures(hosts: str, who: str) -> Iterator[None]:
    """The client's errors become TransportErrors. `hosts` and `who` (an API key, a user) are named in them."""
    try:
        yield
    except UnsupportedProductError as wrong:
        raise TransportError(f"what answers at {hosts} is no Elasticsearch") from wrong
    except ApiError as refused:
        raise _answer(refused, hosts, who) from refused
    except elastic_transport.TlsError as broken:
        raise TransportError(
            f"no TLS connection to Elasticsearch at {hosts} ({_cause(broken)}): either `ca` is not the authority that"
            " signed the server's certificate, or the certificate does not name this host"
        ) from broken
    except elastic_transport.TransportError as broken:
        raise TransportError(f"Elasticsearch at {hosts} does not answer ({_cause(broken)})") from broken


def _cause(broken: elastic_transport.TransportError) -> str:
    return str(broken.errors[0] if broken.errors else broken).strip() or broken.__class__.__name__


def _answer(refused: ApiError, hosts: str, who: str) -> AnswerError:
    status, body = refused.meta.status, refused.body
    error = body.get("error") if isinstance(body, Mapping) else None
    kind = str(error.get("type", "")) if isinstance(error, Mapping) else ""
    why = reason(error) if error else str(body)[:500]
    if kind == "media_type_header_exception":
        return AnswerError(f"Elasticsearch at {hosts} does not speak version 9: {why}", status, kind)
    return AnswerError(said(status, kind, why, hosts, who), status, kind)


def said(status: int, kind: str, why: str, hosts: str, who: str) -> str:
    """The sentence for an HTTP status and the server's error."""
    if status == 401:
        return f"Elasticsearch at {hosts} does not accept {who}: wrong, expired or revoked ({why})"
    if status == 403 and kind != "cluster_block_exception":
        return f"Elasticsearch at {hosts}: {who} lacks a privilege: {why}"
    if kind == "cluster_block_exception":
        return f"Elasticsearch at {hosts} takes no writes now (a full disk, mostly): {why}"
    if kind == "validation_exception" and "shards open" in why:
        return f"Elasticsearch at {hosts} has no room for another index: {why}; shorten retention or add a node"
    if status in PASSING:
        return f"Elasticsearch at {hosts} is overloaded or not ready ({status}): {why}"
    return f"Elasticsearch at {hosts} refused a request ({status}): {why}"
