"""Certificates and passwords of the secure profile: a CA of its own, a server certificate for loopback, secrets."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

from place import ServiceError

DAYS = "30"


def make(folder: Path) -> None:
    """ca.pem, server.key (PKCS#8), server.pem, server-keystore.pem (key, certificate, CA), unless they are there."""
    keystore = folder / "server-keystore.pem"
    if keystore.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    ca, ca_key, key, request, certificate = (
        folder / name for name in ("ca.pem", "ca.key", "server.key", "server.csr", "server.pem")
    )
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    _openssl("req", "-x509", *curve, "-keyout", ca_key, "-out", ca, "-days", DAYS, "-subj", "/CN=soc services CA")
    _openssl("req", *curve, "-keyout", key, "-out", request, "-subj", "/CN=localhost", "-addext", names)
    signer = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", DAYS, "-copy_extensions", "copy"]
    _openssl("x509", "-req", "-in", request, *signer, "-out", certificate)
    fresh = keystore.with_suffix(f".{os.getpid()}")
    fresh.write_text(key.read_text() + certificate.read_text() + ca.read_text())
    fresh.chmod(0o600)
    fresh.rename(keystore)


def password(path: Path) -> str:
    """The secret in a file, made at the first call."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(18))
    return path.read_text()


def _openssl(*arguments: str | Path) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        raise ServiceError("openssl is not installed; apt-get install openssl") from None
    if done.returncode:
        raise ServiceError(f"openssl {arguments[0]} failed:\n{done.stderr[-1000:]}")
