"""Fields of an event → related.ip, related.user, related.hosts, related.hash: one place to pivot on."""

from __future__ import annotations

from typing import Any, Final

#: https://www.elastic.co/docs/reference/ecs/ecs-related
RELATED: Final = {
    "related.ip": (
        "source.ip",
        "destination.ip",
        "client.ip",
        "server.ip",
        "host.ip",
        "observer.ip",
        "source.nat.ip",
        "destination.nat.ip",
        "network.forwarded_ip",
        "dns.resolved_ip",
    ),
    "related.user": (
        "user.name",
        "user.target.name",
        "user.effective.name",
        "source.user.name",
        "destination.user.name",
        "client.user.name",
    ),
    "related.hosts": (
        "host.name",
        "host.hostname",
        "observer.name",
        "source.domain",
        "destination.domain",
        "url.domain",
        "dns.question.name",
    ),
    "related.hash": tuple(
        f"{place}.{kind}"
        for place in ("file.hash", "process.hash", "process.parent.hash", "dll.hash")
        for kind in ("md5", "sha1", "sha256", "sha512")
    ),
}


def merged(found: list[Any]) -> list[Any]:
    """All different values; lists among them are opened."""
    flat: list[Any] = []
    for value in found:
        if value.__class__ is list:
            flat += value
        else:
            flat.append(value)
    return list(dict.fromkeys(flat))
