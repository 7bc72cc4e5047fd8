"""YAML as Sigma authors mean it: bytes of a file → documents that know their lines.

libyaml's parser, our own construction. Differences from PyYAML's safe loader, each of which bites rule authors:
a key given twice is an error; `yes`, `no`, `on`, `off`, `010`, `0x1f`, `1_000`, `1:30`, `2024-01-01` stay the text
that stands there (as `Ambiguous`, so that a linter can say so) where YAML 1.1 would make booleans, numbers or dates.
Source: YAML 1.2.2 chapter 10.3 (core schema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from soc.event import ContentError

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
#: The longest rule of SigmaHQ has 4,432 values; aliases that unfold to more than this are an attack.
_MAX_NODES: Final = 200_000
_MAX_DEPTH: Final = 60


class Ambiguous(str):
    """A plain scalar that YAML 1.1 reads as something else than the text that stands there."""

    __slots__ = ()


class Map(dict[str, Any]):
    """A mapping with its 1-based line and the line of each key."""

    __slots__ = ("line", "lines")

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its value, the line it begins on, the text it was read from."""

    value: Any
    line: int
    raw: str


class _Builder:
    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.nodes = 0

    def error(self, node: yaml.Node, why: str) -> ContentError:
        return ContentError(self.path, node.start_mark.line + 1, why)

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise self.error(node, "aliases or nesting unfold too far")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.value(child, depth + 1) for child in node.value]
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self.mapping(node, depth)
        raise self.error(node, f"the tag {node.tag} has no meaning here")

    def mapping(self, node: yaml.MappingNode, depth: int) -> Map:
        out = Map(node.start_mark.line + 1)
        merged: list[Map] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                base = self.value(value_node, depth + 1)
                for one in base if isinstance(base, list) else [base]:
                    if not isinstance(one, Map):
                        raise self.error(key_node, "<< takes a mapping or a list of mappings")
                    merged.append(one)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error(key_node, "a key must be a text, not a list or mapping")
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in out:
                raise self.error(key_node, f"the key {key!r} stands twice (first in line {out.lines[key]})")
            out[key] = self.value(value_node, depth + 1)
            out.lines[key] = line
        for base in merged:
            for key, value in base.items():
                if key not in out:
                    out[key] = value
                    out.lines[key] = base.line_of(key)
        return out

    def scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        tag: str = node.tag
        if tag == _TAG + "str" or (node.style is not None and tag == "!"):
            return text
        kind = tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return _BOOL[text] if text in _BOOL else Ambiguous(text)
        if kind == "int":
            return int(text) if _INT.fullmatch(text) and len(text) < 400 else Ambiguous(text)
        if kind == "float":
            return float(text) if _FLOAT.fullmatch(text) else Ambiguous(text)
        if kind in ("timestamp", "value", "merge"):
            return Ambiguous(text)
        raise self.error(node, f"the tag {tag} has no meaning here")


def documents(data: bytes, path: Path | str) -> Iterator[Document]:
    """The documents of one file in order, empty ones left out. Raises ContentError at the first that is no YAML."""
    loader = None
    try:
        loader = yaml.CSafeLoader(data)
        nodes: list[yaml.Node] = []
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node said so
            nodes.append(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = " ".join(part for part in (error.context, error.problem) if part)
        raise ContentError(path, mark.line + 1 if mark else 0, f"not YAML: {why}") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ContentError(path, 0, f"not YAML: {error}".replace("\n", " ")) from None
    except RecursionError:
        raise ContentError(path, 0, "not YAML that we read: nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()
    text = data.decode("utf-8-sig", "replace")
    lines = text.splitlines(keepends=True) if len(nodes) > 1 else []
    for i, node in enumerate(nodes):
        if isinstance(node, yaml.ScalarNode) and node.value == "":
            continue
        start = node.start_mark.line
        if len(nodes) > 1:
            end = nodes[i + 1].start_mark.line if i + 1 < len(nodes) else len(lines)
            raw = re.sub(r"(?m)^---[^\n]*\n?\Z", "", "".join(lines[start:end]).rstrip() + "\n")
        else:
            raw = text
        yield Document(_Builder(path).value(node), start + 1, raw)
