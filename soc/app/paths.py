"""Paths of content: those that ship with the program, and those that a configuration or a flag names."""

from __future__ import annotations

from pathlib import Path

import soc
from soc.event import ContentError

ROOT = Path(soc.__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """A folder of the checkout, such as "rules". Raises ContentError where the checkout is incomplete."""
    path = ROOT / name
    if not path.exists():
        raise ContentError(path, 0, "is missing from the installation; run from a checkout (see README)")
    return path


def existing(paths: list[Path], setting: str) -> list[Path]:
    """The paths; one that does not exist is a ContentError that names the setting."""
    for path in paths:
        if not path.exists():
            raise ContentError(path, 0, f"does not exist (setting {setting!r}; paths are relative to {Path.cwd()})")
    return paths


def pipeline_files(folders: list[Path]) -> list[Path]:
    """Files of the Sigma pipelines, in the order of their names."""
    files: list[Path] = []
    for folder in existing(folders, "sigma_pipelines"):
        files += sorted(folder.glob("*.yml")) if folder.is_dir() else [folder]
    return files
