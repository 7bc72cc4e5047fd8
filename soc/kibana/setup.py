"""Access groups in; the Spaces in which they are seen out, each with its role and what it may read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from soc.event import ContentError, ContentErrors

Mode = Literal["auto", "single", "per-rule"]

#: First version with the Dashboards API (preview in 9.4, general from 9.5).
OLDEST: Final = (9, 4)
#: From this version on Kibana brings ATT&CK v19, before it v18.
_ATTACK_19: Final = (9, 5)
#: A Kibana node runs about 200 rules a minute (kibana#188194): beyond this many, one rule promotes everything.
MOST_RULES: Final = 150


@dataclass(frozen=True, slots=True)
class Group:
    """An access group of the store: its namespace, how people call it, whether it works in Elastic Security."""

    namespace: str
    title: str = ""
    promote: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """One Kibana Space. `staff`: it sees every namespace. `promote`: alerts are promoted into it."""

    id: str
    title: str
    namespaces: tuple[str, ...]
    staff: bool
    promote: bool

    @property
    def role(self) -> str:
        return f"{self.id}-{'analyst' if self.staff else 'viewer'}"


@dataclass(frozen=True, slots=True)
class Setup:
    """What content is made for. `default`: the store's own namespace. `console_url`: "" where there is no console."""

    spaces: tuple[Space, ...]
    default: str
    version: tuple[int, int] = (9, 5)
    mode: Mode = "auto"
    console_url: str = ""
    lang: str = "vi"

    @property
    def attack(self) -> int:
        """Version of ATT&CK that this Kibana knows."""
        return attack_of(self.version)


def attack_of(version: tuple[int, int]) -> int:
    return 19 if version >= _ATTACK_19 else 18


def version_of(text: str) -> tuple[int, int]:
    """Major and minor of "9.5" or "9.5.2". Raises ValueError."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if not found:
        raise ValueError(f"{text!r} is no version")
    return int(found[1]), int(found[2])


def too_old(version: tuple[int, int]) -> str:
    """A sentence for a Kibana that has no Dashboards API; "" for one that has."""
    told = ".".join(map(str, version))
    return "" if version >= OLDEST else f"Kibana {told} has no Dashboards API; it takes 9.4, and 9.5 is recommended"


def spaces(staff_id: str, staff_title: str, default: str, groups: Sequence[Group], where: Path) -> tuple[Space, ...]:
    """The Space of those who see everything, then one for each access group.

    Raises ContentErrors: two groups with one Space, or a group whose promotion rule would read another group's alerts,
    for a rule reads `soc-alerts-<namespace>*`.
    """
    every = tuple(dict.fromkeys([default, *(group.namespace for group in groups)]))
    made = [Space(staff_id, staff_title, every, staff=True, promote=True)]
    errors = []
    for group in groups:
        space_id = "soc-" + re.sub(r"[^a-z0-9]", "-", group.namespace)
        if any(space_id == space.id for space in made):
            errors.append(ContentError(where, 0, f"{group.namespace}: another Space has the id {space_id}, too"))
        longer = [name for name in every if name != group.namespace and name.startswith(group.namespace)]
        if group.promote and longer:
            why = f"a rule that reads soc-alerts-{group.namespace}* would promote the alerts of {longer[0]}, too"
            errors.append(ContentError(where, 0, f"{group.namespace}: {why}; rename one, or do not promote into it"))
        made.append(Space(space_id, group.title or group.namespace, (group.namespace,), False, group.promote))
    if errors:
        raise ContentErrors(errors)
    return tuple(made)
