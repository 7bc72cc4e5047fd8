"""The JSON of a document as it was indexed → its flat fields as they were written."""

from __future__ import annotations

from typing import Any, Final

import orjson

from soc.event import Fields, flat

#: Parts of soc.index that no reader needs; `whole` and `rest` are needed to give the fields back.
HIDDEN: Final = (
    "soc.index.ts",
    "soc.index.text",
    "soc.index.vendor",
    "soc.index.odd",
    "soc.index.look",
    "soc.index.id",
)
EXCLUDED: Final = (*HIDDEN, "soc.record")


def decode(source: dict[str, Any]) -> Fields:
    """The fields. `source` is taken apart."""
    soc = source.get("soc")
    index: dict[str, Any] = {}
    if soc.__class__ is dict:
        index = soc.pop("index", None) or {}
        soc.pop("record", None)
        if not soc:
            del source["soc"]
    whole = {name: taken for name in index.get("whole", ()) if (taken := _taken(source, name)) is not None}
    fields = flat(source)
    fields.update(whole)
    if rest := index.get("rest"):
        fields.update(orjson.loads(rest))
    return fields


def _taken(tree: dict[str, Any], name: str) -> Any:
    """The object under a name, taken out; as `nested` put it: below its parents, or under the dotted name."""
    if name in tree:
        return tree.pop(name)
    node: Any = tree
    *parents, leaf = name.split(".")
    path = []
    for parent in parents:
        path.append(node)
        node = node.get(parent) if node.__class__ is dict else None
    if node.__class__ is not dict or leaf not in node:
        return None
    taken = node.pop(leaf)
    for parent, holder in zip(reversed(parents), reversed(path), strict=True):
        if not holder[parent]:
            del holder[parent]  # it held nothing but this
    return taken
