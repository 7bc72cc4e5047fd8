"""A file of tokens in, the client that an Authorization header stands for out.

    - {name: fw-hq, token: "…", unit: "vn:xa:99999@2025-07-01", source: auto}
    - {name: mail, sha256: "64 hex digits of the token's SHA-256", unit: "…"}

Bearer TOKEN, Basic NAME:TOKEN and ApiKey base64(ID:TOKEN) or TOKEN are taken, so that every shipper's own way works.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from soc.event import ContentError, ContentErrors

_KEYS: Final = {"name", "token", "sha256", "unit", "source"}
_MIN_LENGTH: Final = 16  # characters of a token
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Client:
    """Who may send: a name for people, and what its records are registered as."""

    name: str
    unit: str = ""
    source: str = "auto"
    digest: bytes = b""  # SHA-256 of its token


def load_tokens(file: Path) -> list[Client]:
    """The clients of a file. Raises ContentErrors that name every entry that is wrong."""
    try:
        content: Any = yaml.safe_load(file.read_text("utf-8"))
    except OSError as e:
        raise ContentErrors([ContentError(file, 0, f"cannot be read: {e.strerror}")]) from e
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        mark = getattr(e, "problem_mark", None)
        raise ContentErrors([ContentError(file, mark.line + 1 if mark else 0, f"not YAML: {e}")]) from e
    if not isinstance(content, list) or not content:
        raise ContentErrors([ContentError(file, 0, "expected a list of {name, token or sha256, unit, source}")])
    errors: list[ContentError] = []
    clients: list[Client] = []
    for number, entry in enumerate(content, 1):
        why = _wrong(entry)
        if why:
            errors.append(ContentError(file, 0, f"entry {number}: {why}"))
            continue
        digest = entry.get("sha256") or hashlib.sha256(entry["token"].encode()).hexdigest()
        client = Client(entry["name"], entry.get("unit", ""), entry.get("source", "auto"), bytes.fromhex(digest))
        if any(client.name == c.name or client.digest == c.digest for c in clients):
            errors.append(ContentError(file, 0, f"entry {number}: its name or token is that of another entry"))
        clients.append(client)
    if errors:
        raise ContentErrors(errors)
    return clients


def _wrong(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "expected {name, token or sha256, unit, source}"
    if unknown := sorted(map(str, entry.keys() - _KEYS)):
        return f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}"
    if not all(isinstance(value, str) for value in entry.values()):
        return "every value is a text: put it into quotation marks"
    if not entry.get("name"):
        return "it needs a name"
    if ("token" in entry) == ("sha256" in entry):
        return "it needs a token, or the sha256 of one"
    if "token" in entry and len(entry["token"]) < _MIN_LENGTH:
        return f"a token of fewer than {_MIN_LENGTH} characters can be guessed"
    if "sha256" in entry and not _SHA256.fullmatch(entry["sha256"]):
        return "sha256 is 64 hex digits, in lower case"
    return ""


def client_of(authorization: str, clients: Sequence[Client]) -> Client | None:
    """The client of an Authorization header; None = nobody's. Takes the same time for every wrong token."""
    offered = [hashlib.sha256(secret.encode("utf-8", "replace")).digest() for secret in _secrets(authorization)]
    found = None
    for client in clients:
        for digest in offered:
            if hmac.compare_digest(digest, client.digest):
                found = client
    return found


def _secrets(authorization: str) -> list[str]:
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if not value:
        return []
    if scheme.lower() == "bearer":
        return [value]
    if scheme.lower() in ("basic", "apikey"):
        try:
            decoded = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return [value] if scheme.lower() == "apikey" else []
        return [value, decoded.partition(":")[2]] if scheme.lower() == "apikey" else [decoded.partition(":")[2]]
    return []
