"""XML: one document → its leaves as dotted names (https://www.w3.org/TR/xml/).

`<Alert id="7"><Host name="pc1">192.0.2.1</Host></Alert>` gives `@id`, `Host`, `Host.@name`: names are relative to the
root element, namespaces are left off, an attribute stands behind `@`, an element that stands twice makes a list.
Entities and document types are refused: they are how XML bombs and file inclusion work
(https://owasp.org/www-community/vulnerabilities/XML_External_Entity_(XXE)_Processing), and no log needs them.
"""

from __future__ import annotations

from typing import Any, Final
from xml.parsers import expat

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

MAX_DEPTH: Final = 64


class _Leaves:
    """Grows the flat dict while expat reads."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.out: dict[str, Any] = {}
        self.path: list[str] = []
        self.text: list[str] = []
        self.leaf = False

    def put(self, name: str, value: str) -> None:
        full = self.names[name]
        if full in self.out:
            before = self.out[full]
            self.out[full] = [*before, value] if before.__class__ is list else [before, value]
        else:
            self.out[full] = value

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name.rpartition(":")[2])
        if len(self.path) > MAX_DEPTH:
            raise RecordError("bad_format", f"XML nested deeper than {MAX_DEPTH} levels")
        at = ".".join(self.path[1:])
        for attribute, value in attributes.items():
            if not attribute.startswith("xmlns"):
                self.put(f"{at}.@{attribute}" if at else f"@{attribute}", value)
        self.text = []
        self.leaf = True

    def end(self, name: str) -> None:
        text = "".join(self.text).strip()
        if self.leaf or text:
            self.put(".".join(self.path[1:]) or "#text", text)
        self.path.pop()
        self.text = []
        self.leaf = False

    def refuse(self, *_: object) -> None:
        raise RecordError("bad_format", "XML with a document type or entities of its own")


def make(root: str = "") -> Decode:
    """What is no well-formed document is `bad_format`."""
    names = Names(root)

    def decode(text: str) -> dict[str, Any]:
        leaves = _Leaves(names)
        reader = expat.ParserCreate("utf-8")
        reader.buffer_text = True
        reader.StartElementHandler = leaves.start
        reader.EndElementHandler = leaves.end
        reader.CharacterDataHandler = lambda data: leaves.text.append(data)
        reader.StartDoctypeDeclHandler = leaves.refuse
        reader.EntityDeclHandler = leaves.refuse
        try:
            # what the record declares of its encoding is over: this is text by now
            reader.Parse(text.encode("utf-8", "surrogatepass"), True)
        except expat.ExpatError as error:
            raise RecordError("bad_format", f"XML: {error}") from error
        return leaves.out

    return decode


DECODER: Final = Decoder("xml", make, rooted=True, texts=True)
