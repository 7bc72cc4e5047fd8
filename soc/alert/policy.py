"""What may alert: `pack.yaml` of each rule pack in, the decision for one rule out.

mode: live | shadow | off       # default of the pack: live
min_level: medium               # detections below it make no alert, they are only marked on their events
episode: 6h                     # quiet time after which the same thing is a new alert; default 6h
folders: {windows/builtin: {mode: shadow}}          # by folder below the pack
rules: {<rule id>: {mode: off, min_level: …, episode: …}}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors

LEVELS: Final = ("informational", "low", "medium", "high", "critical")
MODES: Final = ("live", "shadow", "off")
_KEYS: Final = ("mode", "min_level", "episode")
_DURATION: Final = re.compile(r"(\d+)\s*([smhdw])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def duration(text: str) -> timedelta:
    """timedelta of 30s, 5m, 8h, 3d, 2w. Raises ValueError with a sentence."""
    found = _DURATION.fullmatch(str(text).strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and s, m, h, d or w, such as 8h")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


@dataclass(frozen=True, slots=True)
class Decision:
    """For one rule: its mode, the level from which it alerts, and the quiet time that ends an episode."""

    mode: str = "live"
    min_level: str = "informational"
    episode: timedelta = timedelta(hours=6)

    def alerts(self, level: str) -> bool:
        """Whether a detection of this level becomes an alert (live or shadow)."""
        return self.mode != "off" and rank(level) >= rank(self.min_level)


def rank(level: str) -> int:
    """0 (informational) to 4 (critical); an unknown or missing level counts as medium."""
    return LEVELS.index(level) if level in LEVELS else 2


#: A pack without pack.yaml is somebody else's: 3,754 rules must not flood the first day.
VENDORED: Final = Decision(min_level="medium")


@dataclass(slots=True)
class Pack:
    """A rule folder and what its pack.yaml decides: in general, for folders below it, for single rules."""

    folder: Path
    default: Decision = Decision()
    folders: dict[str, Decision] = field(default_factory=dict)
    rules: dict[str, Decision] = field(default_factory=dict)


class Policy:
    """Decisions over all packs. `packs` are the configured rule folders, in order."""

    def __init__(self, packs: Sequence[Pack] = ()) -> None:
        self._packs = list(packs)

    @classmethod
    def load(cls, folders: Sequence[Path]) -> Policy:
        """Reads <folder>/pack.yaml of each pack that has one. Raises ContentErrors."""
        packs, errors = [], []
        for folder in folders:
            path = folder / "pack.yaml"
            try:
                packs.append(_pack(folder, path) if path.is_file() else Pack(folder, VENDORED))
            except ContentErrors as found:
                errors += found.errors
        if errors:
            raise ContentErrors(errors)
        return cls(packs)

    def decide(self, rule_id: str, path: Path | None = None) -> Decision:
        """A rule's own entry wins, then the deepest folder's, then the pack's default."""
        for pack in self._packs:
            if rule_id in pack.rules:
                return pack.rules[rule_id]
        if path is not None:
            for pack in self._packs:
                if path.is_relative_to(pack.folder):
                    inner = path.relative_to(pack.folder)
                    for parent in inner.parents:
                        if (found := pack.folders.get(parent.as_posix())) is not None:
                            return found
                    return pack.default
        return Decision()


def _pack(folder: Path, path: Path) -> Pack:
    errors: list[ContentError] = []
    content = read_yaml(path)
    if not isinstance(content, Mapped):
        raise ContentErrors([ContentError(path, 0, "expected a mapping with mode, min_level, folders, rules")])
    _refuse_unknown(content, (*_KEYS, "folders", "rules"), path, errors)
    pack = Pack(folder, _decision(content, Decision(), path, errors))
    for section, into in (("folders", pack.folders), ("rules", pack.rules)):
        entries = content.get(section) or Mapped()
        if not isinstance(entries, Mapped):
            errors.append(ContentError(path, content.at(section), f"{section}: expected a mapping"))
            continue
        for name, entry in entries.items():
            if not isinstance(entry, Mapped):
                errors.append(ContentError(path, entries.at(name), f"expected a mapping with {', '.join(_KEYS)}"))
                continue
            _refuse_unknown(entry, _KEYS, path, errors)
            into[name.strip("/")] = _decision(entry, pack.default, path, errors)
    if errors:
        raise ContentErrors(errors)
    return pack


def _refuse_unknown(entry: Mapped, known: Sequence[str], path: Path, errors: list[ContentError]) -> None:
    errors += [ContentError(path, entry.at(key), unknown(key, known)) for key in entry if key not in known]


def _decision(entry: Mapped, base: Decision, path: Path, errors: list[ContentError]) -> Decision:
    decision = base
    mode = "off" if entry.get("mode") is False else entry.get("mode")  # YAML 1.1 reads a bare `off` as false
    if mode in MODES:
        decision = replace(decision, mode=mode)
    elif mode is not None:
        errors.append(ContentError(path, entry.at("mode"), f"mode is one of {', '.join(MODES)}, not {mode!r}"))
    level = entry.get("min_level")
    if level in LEVELS:
        decision = replace(decision, min_level=level)
    elif level is not None:
        errors.append(
            ContentError(path, entry.at("min_level"), f"min_level is one of {', '.join(LEVELS)}, not {level!r}")
        )
    if (episode := entry.get("episode")) is not None:
        try:
            decision = replace(decision, episode=duration(episode))
        except ValueError as wrong:
            errors.append(ContentError(path, entry.at("episode"), f"episode: {wrong}"))
    return decision
