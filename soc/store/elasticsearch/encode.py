"""Flat fields → the JSON that is indexed: the nested document, and beside it what searches need, under soc.index.

The server's mapping says which fields have a type (`kinds`). All others go into one flattened field, so that any of
them can be searched; values go into one text field for words, unless event.original holds the same words.
Where an index cannot tell what `soc.store.evaluate` would (long values, objects, other spellings of an address, strange
letters), soc.index.look names the field or soc.index.odd the kind, and searches look at the document.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from soc.event import Fields, text_of
from soc.store.elasticsearch.fields import LONGEST
from soc.store.elasticsearch.odd import Odd
from soc.store.elasticsearch.shapes import Shape, Shapes
from soc.store.evaluate import scalars

#: Where one word of a text certainly ends: before and behind it, and between any two of these.
_EDGES: Final = frozenset({"", *(chr(c) for c in range(128) if not chr(c).isalnum())})
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_DEEPEST: Final = 15  # levels of an object in the flattened field, which takes 20
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_REMEMBERED: Final = 1 << 14


class Encoder:
    """For indices with one mapping. Raises TypeError for what JSON cannot say, ValueError for a name that is ours."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds
        self._shapes = Shapes(kinds)
        self._odd = Odd()
        self._plain: dict[str, bool] = {}  # address with a colon → whether it is in its canonical form

    def encode(
        self, fields: Fields, ts: int, record: dict[str, Any] | None = None, *, own_id: str = "", careful: bool = False
    ) -> bytes:
        """`ts`: µs since 1970; `record` becomes soc.record. `careful`: objects go where no mapping minds them.

        `own_id` is searched by its beginning.
        """
        shape = self._shapes[tuple(fields)]
        if shape.reserved:
            raise ValueError(f"the field {shape.reserved} is the store's own")
        apart = shape.apart
        if careful:
            apart = apart | shape.above | {name for name, value in fields.items() if _is_deep(value)}
        root, index = self._nested(fields, shape, apart)
        look = list(shape.look)
        index["ts"] = ts
        self._texts(fields, shape, index)
        if shape.vendor or apart:
            self._vendor(fields, shape, apart, index, look)
        for name in shape.addresses:
            value = fields[name]
            for text in value if value.__class__ is list else (value,):
                if text.__class__ is str and ":" in text and not self._is_canonical(text):
                    look.append(name)
        for name in shape.dates:
            value = fields[name]
            if value.__class__ is not str or not _DATE.fullmatch(value):
                look.append(name)
        if look:
            index["look"] = look
        if own_id:
            index["id"] = own_id
        soc = root.setdefault("soc", {})
        soc["index"] = index
        if record is not None:
            soc["record"] = record
        made = orjson.dumps(root, option=_OPTIONS)
        if odd := self._odd.marks(made):
            index["odd"] = odd
            made = orjson.dumps(root, option=_OPTIONS)
        return made

    def _nested(self, fields: Fields, shape: Shape, apart: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The document's tree, and the beginning of soc.index."""
        index: dict[str, Any] = {}
        if apart:
            rest = {name: value for name, value in fields.items() if name in apart}
            index["rest"] = orjson.dumps(rest, option=_OPTIONS).decode()
            fields = {name: value for name, value in fields.items() if name not in apart}
            shape = self._shapes[tuple(fields)]
        root: dict[str, Any] = {}
        nodes = [root]
        for at, key in shape.parents:
            child: dict[str, Any] = {}
            nodes[at][key] = child
            nodes.append(child)
        for (at, key), value in zip(shape.leaves, fields.values(), strict=True):
            nodes[at][key] = value
        return root, index

    def _texts(self, fields: Fields, shape: Shape, index: dict[str, Any]) -> None:
        """Each different text once, but for those that stand in event.original as words of their own."""
        spoken: list[str] = []
        for value in map(fields.__getitem__, shape.spoken):
            if value.__class__ is str:
                spoken.append(value)
            elif value.__class__ is list:
                for member in value:
                    if member.__class__ is str:
                        spoken.append(member)
                    else:
                        spoken += map(text_of, scalars(member))
            elif value.__class__ is int:
                spoken.append(str(value))
            elif value is not None:
                spoken += map(text_of, scalars(value))
        original = fields.get("event.original")
        if original.__class__ is not str:
            original = ""
        edges, find = _EDGES, original.find
        texts: list[str] = []
        for text in dict.fromkeys(spoken):
            if (at := find(text)) >= 0:
                end = at + len(text)
                if original[at - 1 : at] in edges and original[end : end + 1] in edges:
                    continue
            texts.append(text)
        if texts:
            index["text"] = texts

    def _vendor(
        self, fields: Fields, shape: Shape, apart: frozenset[str], index: dict[str, Any], look: list[str]
    ) -> None:
        vendor: dict[str, Any] = {}
        whole: list[str] = []
        for name in (*shape.vendor, *apart.difference(shape.vendor)) if apart else shape.vendor:
            value = fields[name]
            if (value.__class__ is str and len(value) <= LONGEST) or value.__class__ is int or value.__class__ is bool:
                vendor[name] = value
            elif value is not None:
                if value.__class__ is dict and value:
                    whole.append(name)
                held = self._held(name, value, look, name not in apart)
                if held is not None:
                    vendor[name] = held
        if "\x00" in "".join(vendor):
            for name in [name for name in vendor if "\x00" in name]:
                del vendor[name]
                look.append(name)
        if vendor:
            index["vendor"] = vendor
        if whole:
            index["whole"] = whole

    def _held(self, path: str, value: Any, look: list[str], typed: bool, depth: int = 0) -> Any:
        """What the flattened field holds of a value, None for nothing; what it does not hold exactly goes to `look`.

        `typed`: what lies below an object under a field with a type is indexed there.
        """
        if value.__class__ is str:
            if len(value) > LONGEST:
                look.append(path)
                return None
            return value
        if value.__class__ is float:
            return text_of(value)
        if value.__class__ is list:
            members = [self._held(path, member, look, typed, depth + 1) for member in value]
            return [held for held in members if held is not None] or None
        if value.__class__ is not dict:
            return value
        if depth > _DEEPEST or any("\x00" in key for key in value):
            look += [path, f"{path}.*"]
            return None
        if path not in look:
            look.append(path)
        held: dict[str, Any] = {}
        for key, member in value.items():
            below = f"{path}.{key}"
            if typed and below in self._kinds:
                continue
            if (inner := self._held(below, member, look, typed, depth + 1)) is not None:
                held[key] = inner
        return held or None

    def _is_canonical(self, address: str) -> bool:
        """Whether an address is written as the server will give it back. No address at all is in _ignored."""
        known = self._plain.get(address)
        if known is None:
            if len(self._plain) >= _REMEMBERED:
                self._plain.clear()
            known = self._plain[address] = _is_canonical(address)
        return known


def _is_canonical(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        return False
    return str(address) == text


def _is_deep(value: Any) -> bool:
    """Whether it is an object, or a list that holds more than scalars."""
    return value.__class__ is dict or (value.__class__ is list and any(m.__class__ in (dict, list) for m in value))
