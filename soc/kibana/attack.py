"""A rule's `attack.*` tags in, the `threat` list of a Kibana rule out, in the version of ATT&CK that Kibana brings.

Our rules speak v19, which split Defense Evasion into Stealth and Defense Impairment; Kibana 9.4 knows v18. The table is
deploy/kibana/attack.yml.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

FRAMEWORK: Final = "MITRE ATT&CK"
_SITE: Final = "https://attack.mitre.org"
_TECHNIQUE: Final = re.compile(r"attack\.(t\d{4})(\.\d{3})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Matrix:
    """The tactics and techniques that the table knows; `renamed`: version → the other version's word → this one's.

    A word is a tactic's tag (`stealth`) or a technique's id (T1685.005).
    """

    tactics: Mapping[str, tuple[str, str]]  # tag → id, name
    techniques: Mapping[str, str]  # id → name
    places: Mapping[str, tuple[str, ...]]  # technique → tags of the tactics that it belongs to
    renamed: Mapping[int, Mapping[str, str]]

    def threat(self, tags: Iterable[str], version: int) -> list[dict[str, Any]]:
        """One entry for each tactic, with the techniques of the rule that belong to it, in the order of the tags.

        `version`: 18 or 19. A technique that belongs to none of the rule's tactics stands under all of them; one whose
        name the table does not know is named by its id.
        """
        told = self.renamed.get(version, {})
        tactics: list[str] = []
        techniques: list[str] = []
        for tag in (tag.lower().replace("_", "-") for tag in tags):
            name = tag.removeprefix("attack.")
            if (tactic := told.get(name, name)) in self.tactics:
                tactics.append(tactic)
            elif found := _TECHNIQUE.fullmatch(tag):
                technique = (found[1] + (found[2] or "")).upper()
                techniques.append(told.get(technique, technique))
        tactics, techniques = list(dict.fromkeys(tactics)), list(dict.fromkeys(techniques))
        return [
            {
                "framework": FRAMEWORK,
                "tactic": {
                    "id": self.tactics[tactic][0],
                    "name": self.tactics[tactic][1],
                    "reference": f"{_SITE}/tactics/{self.tactics[tactic][0]}/",
                },
                "technique": self._nested([t for t in techniques if tactic in self._among(t, tactics)]),
            }
            for tactic in tactics
        ]

    def _among(self, technique: str, tactics: Sequence[str]) -> Sequence[str]:
        """Those of a rule's tactics that one of its techniques belongs to."""
        placed = self.places.get(technique.partition(".")[0], ())
        return [tactic for tactic in tactics if tactic in placed] or tactics

    def _nested(self, ids: Iterable[str]) -> list[dict[str, Any]]:
        parents: dict[str, list[dict[str, str]]] = {}
        for technique in ids:
            parent, _, sub = technique.partition(".")
            children = parents.setdefault(parent, [])
            if sub:
                children.append(self._named(technique))
        return [{**self._named(parent), "subtechnique": children} for parent, children in parents.items()]

    def _named(self, technique: str) -> dict[str, str]:
        return {
            "id": technique,
            "name": self.techniques.get(technique, technique),
            "reference": f"{_SITE}/techniques/{technique.replace('.', '/')}/",
        }
