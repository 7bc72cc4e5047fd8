"""Spaces and roles: who sees which access groups in, the bodies of Kibana's APIs out.

A Space hides, it does not protect: what a role may read is said by index names alone. Document- and field-level
security are paid features and not used.
Sources: https://www.elastic.co/docs/api/doc/kibana/group/endpoint-spaces,
https://www.elastic.co/docs/api/doc/kibana/group/endpoint-roles,
https://www.elastic.co/docs/solutions/security/detect-and-alert/detections-privileges (indices of alerts and lists)
"""

from __future__ import annotations

from typing import Any, Final

from soc.kibana.definitions import Access
from soc.kibana.item import Item, marked
from soc.kibana.setup import Setup, Space

_READ: Final = ["read", "view_index_metadata"]
_COLORS: Final = {True: "#005571", False: "#6092C0"}


def space_item(space: Space) -> Item:
    everything = "Mọi nhóm truy cập" if space.staff else "Nhóm truy cập"
    body = {
        "id": space.id,
        "name": space.title,
        "description": f"{everything}: {', '.join(space.namespaces)}.",
        "color": _COLORS[space.staff],
        "initials": "".join(word[0] for word in space.title.split()[:2]).upper(),
    }
    return Item("space", "", space.id, space.title, marked("space", body))


def role_item(space: Space, access: Access, setup: Setup) -> Item:
    """Read on the Space's indices by their exact names, and features of Kibana in this Space alone."""
    features = dict(access.features)
    indices = [{"names": _indices(space, setup), "privileges": _READ}]
    if space.promote:
        features |= access.security
        indices += [
            {
                "names": [f".alerts-security.alerts-{space.id}", f".internal.alerts-security.alerts-{space.id}-*"],
                "privileges": ["read", "write", "maintenance", "view_index_metadata"],
            },
            {"names": [f".lists-{space.id}", f".items-{space.id}"], "privileges": _READ},
        ]
    body: dict[str, Any] = {
        "description": access.description,
        "elasticsearch": {"cluster": [], "indices": indices, "run_as": []},
        "kibana": [{"base": [], "feature": {name: list(can) for name, can in features.items()}, "spaces": [space.id]}],
    }
    return Item("role", "", space.role, access.description, marked("role", body))


def _indices(space: Space, setup: Setup) -> list[str]:
    """No name of ours holds a `-` within a namespace, so no pattern reaches another group's indices."""
    names = []
    for namespace in space.namespaces:
        names += [f"logs-soc.*-{namespace}-*", f"soc-alerts-{namespace}", f"soc-alerts-{namespace}-*"]
        if space.staff:
            names.append(f"soc-shadow-{namespace}-*")
    return [*names, f"soc-records-{setup.default}-*"] if space.staff else names
