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


def relate(e: dict[str, Any], name: str, of: tuple[str, ...]) -> None:
    """Set the list of all different values of the fields `of`; nothing without any."""
    found: list[Any] = []
    for field in of:
        value = e.get(field)
        if value is None:
            continue
        if value.__class__ is list:
            found += value
        else:
            found.append(value)
    if len(found) > 1:
        found = list(dict.fromkeys(found))
    if found:
        e[name] = found
