"""An address as written in the configuration in, a bound socket out, or a sentence that says why not."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

from soc.event import ContentError, TransportError

_FORM = "expected host:port, for example 127.0.0.1:5514, [::1]:5514 or 0.0.0.0:514"


def address(listen: str, what: str) -> tuple[str, int]:
    """(host, port) of "host:port", "[v6]:port" or ":port" (every address). Raises ContentError."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ContentError(what, 0, f"listen: {listen!r} is no address; {_FORM}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ContentError(what, 0, f"listen: {listen!r}: put an IPv6 address into brackets; {_FORM}")
    return host, int(port)


def bound(listen: str, kind: socket.SocketKind, what: str) -> socket.socket:
    """A bound socket, listening if it is a stream. Raises ContentError or TransportError with what to do."""
    host, port = address(listen, what)
    try:
        found = socket.getaddrinfo(host or None, port, type=kind, flags=socket.AI_PASSIVE)
    except socket.gaierror as e:
        raise ContentError(what, 0, f"listen: {listen!r}: {host!r} is not known here: {e.strerror}") from e
    family, _, _, _, target = found[0]
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        if kind == socket.SOCK_STREAM:
            sock.listen(1024)
        sock.setblocking(False)
    except OSError as e:
        sock.close()
        raise TransportError(f"{what} cannot listen on {listen}: {_why(e, port)}") from e
    return sock


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program uses the port; stop it (see: ss -lnp sport = :{port}) or choose another port"
    if error.errno == errno.EACCES:
        return (
            f"ports below 1024 need a right; use a port above, or give it: "
            f"AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit (port {port})"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return error.strerror or str(error)


def server_tls(cert: str | Path, key: str | Path, ca: str | Path, what: str) -> ssl.SSLContext:
    """The server's side of TLS 1.2 and above; with `ca`, clients must show a certificate of it. Raises ContentError."""
    if not cert or not key:
        raise ContentError(what, 0, "tls needs tls_cert and tls_key (PEM files)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as e:
        raise ContentError(what, 0, f"tls_cert {cert} and tls_key {key} cannot be used: {e}") from e
    if ca:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as e:
            raise ContentError(what, 0, f"tls_ca {ca} cannot be used: {e}") from e
        context.verify_mode = ssl.CERT_REQUIRED
    return context
