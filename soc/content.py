"""Content files (YAML) in, plain values that know their lines out; duplicate keys are ContentErrors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from soc.event import ContentError, ContentErrors


class Mapped(dict[str, Any]):
    """A YAML mapping; `line` is where it starts, `lines` where each key stands (1-based)."""

    line: int = 0
    lines: dict[str, int]

    def at(self, key: str) -> int:
        """Line of a key, or of the mapping itself."""
        return self.lines.get(key, self.line)


class _Loader(yaml.CSafeLoader):
    """Safe loader that refuses duplicate keys and remembers lines."""


def _construct(loader: _Loader, node: yaml.MappingNode) -> Iterator[Mapped]:
    made = Mapped()
    made.line = node.start_mark.line + 1
    made.lines = {}
    yield made
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        line = key_node.start_mark.line + 1
        if key in made:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} stands twice (first in line {made.lines[key]})", key_node.start_mark
            )
        made.lines[key] = line
        made[key] = loader.construct_object(value_node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct)


def read_yaml(path: Path) -> Any:
    """The file's one document; mappings are `Mapped`. Raises ContentErrors: unreadable, not YAML, duplicate key."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ContentErrors([ContentError(path, 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ContentErrors([ContentError(path, 0, f"is not UTF-8 at byte {error.start}")]) from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path | str) -> Any:
    """As `read_yaml`, from text; `path` is for the error."""
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error)
        raise ContentErrors([ContentError(path, mark.line + 1 if mark else 0, why)]) from error
    finally:
        loader.dispose()


def unknown(word: str, known: Iterable[str], what: str = "key") -> str:
    """Sentence for a word that does not exist, with the nearest one that does."""
    words: Sequence[str] = sorted(known)
    near = difflib.get_close_matches(word, words, n=1)
    return f"unknown {what} {word!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(words)}")
