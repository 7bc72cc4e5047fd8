"""Kafka's SCRAM users: names and a folder of password files in, credentials on the cluster out.

A password is made here, stands in its file (mode 0600) and nowhere else: Kafka keeps a salted hash (RFC 5802).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from soc.bus.kafka.administration import Administration
from soc.event import ContentError, ContentErrors, TransportError

_BYTES: Final = 24  # of a password: 192 bits
_ITERATIONS: Final = 8192  # of PBKDF2; brokers take 4096 to 16384


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one user. `create`: it gets its credential; `renew`: another one; `keep`: as it is."""

    user: str
    what: Literal["create", "renew", "keep"]
    file: Path


def password_file(folder: Path, user: str) -> Path:
    return folder / f"kafka-{user}.password"


def plan(
    cluster: Administration, users: Sequence[str], folder: Path, mechanism: str, renew: Collection[str] = ()
) -> list[Change]:
    """For each user, whether it has a credential of the mechanism (SCRAM-SHA-512, say), and its password file.

    Raises ContentErrors for users that exist on the cluster while their password file does not; TransportError.
    """
    kind = ScramMechanism[mechanism.replace("-", "_")]
    told = cluster.ask("looking at users", lambda admin: admin.describe_user_scram_credentials())
    there = {user for user, found in told.items() if any(c["mechanism"] == kind for c in found["credential_infos"])}
    changes, errors = [], []
    for user in users:
        file = password_file(folder, user)
        if user in renew:
            changes.append(Change(user, "renew", file))
        elif user not in there:
            changes.append(Change(user, "create", file))
        elif file.exists():
            changes.append(Change(user, "keep", file))
        else:
            errors.append(ContentError(file, 0, f"is not there, but {user} exists: bring it back, or --renew {user}"))
    if errors:
        raise ContentErrors(errors)
    return changes


def apply(cluster: Administration, changes: Sequence[Change], mechanism: str) -> None:
    """Set credentials; a new password's file gets its name once Kafka has taken it. Raises TransportError."""
    kind = ScramMechanism[mechanism.replace("-", "_")]
    for change in changes:
        if change.what == "keep":
            continue
        fresh = change.what == "renew" or not change.file.exists()
        password = secrets.token_urlsafe(_BYTES) if fresh else _read(change.file)
        written = write_secret(change.file.with_name(f"{change.file.name}.new"), password) if fresh else None
        wanted = UserScramCredentialUpsertion(change.user, kind, password, iterations=_ITERATIONS)
        told = cluster.ask("setting a password", lambda admin, w=wanted: admin.alter_user_scram_credentials([w]))  # type: ignore[misc]
        if (refused := told.get(change.user)) is not None:
            raise TransportError(f"Kafka refused the password of {change.user}: {refused}")
        if written is not None:
            written.replace(change.file)


def write_secret(path: Path, secret: str) -> Path:
    """A file of mode 0600 that holds the secret and a line's end; an old one of that name is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(f"{secret}\n")
    return path


def _read(path: Path) -> str:
    try:
        password = path.read_text("utf-8").strip()
    except OSError as wrong:
        raise ContentError(path, 0, f"the password cannot be read: {wrong.strerror}") from wrong
    if not password:
        raise ContentError(path, 0, "the password is empty")
    return password
