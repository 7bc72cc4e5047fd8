"""Rule sets of a wanted size for `benchmarks.sigma`: SigmaHQ's folders in, a folder with so many rules out."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml

_SEED: Final = 6
#: Values under these modifiers are not texts to look for as they stand.
_NO_TEXT: Final = {"re", "cidr", "fieldref", "expand", "gt", "gte", "lt", "lte", "exists"}


def of_size(size: int, rules: Sequence[str], folder: Path) -> list[str]:
    """A folder of `size` rules: a random choice of all, or all and copies that look for other texts."""
    files = sorted(path for given in rules for path in Path(given).rglob("*.yml"))
    dice = Random(_SEED)
    folder.mkdir()
    if size <= len(files):
        for number, path in enumerate(dice.sample(files, size)):
            (folder / f"{number:05}.yml").write_bytes(path.read_bytes())
        return [str(folder)]
    for number, path in enumerate(files):
        (folder / f"{number:05}.yml").write_bytes(path.read_bytes())
    for number, document in zip(range(len(files), size), _copies(files, dice), strict=False):
        (folder / f"{number:05}.yml").write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False))
    return [str(folder)]


def _copies(files: Sequence[Path], dice: Random) -> Iterator[dict[str, Any]]:
    """Rules with new ids and other texts, all of them once before any comes twice."""
    for turn in count(1):
        for path in dice.sample(files, len(files)):
            document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
            document["id"] = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{document['id']} {turn}"))
            document.pop("related", None)
            document["detection"] = {
                name: detection if name == "condition" else _other(detection, f"~{turn}")
                for name, detection in document["detection"].items()
            }
            yield document


def _other(detection: Any, mark: str) -> Any:
    """The same with every text of at least four characters changed."""
    if isinstance(detection, dict):
        return {
            key: value if _NO_TEXT & set(str(key).split("|")) else _other(value, mark)
            for key, value in detection.items()
        }
    if isinstance(detection, list):
        return [_other(one, mark) for one in detection]
    return f"{detection}{mark}" if isinstance(detection, str) and len(detection) >= 4 else detection
