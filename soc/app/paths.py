"""Where the content that ships with the program lies: rules, source definitions, pipelines, the sample province."""

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
