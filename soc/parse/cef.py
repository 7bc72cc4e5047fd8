"""CEF (ArcSight Common Event Format): header and extension of one message → a dict of texts.

"Implementing ArcSight Common Event Format (CEF), Version 25", chapters "Header information", "Character encoding":
`CEF:version|vendor|product|device version|event class id|name|severity|extension`; in the header `\\|` and `\\\\` are
escaped, in the extension `\\=`, `\\\\`, `\\n`, `\\r`. Values may hold blanks; a new key begins after the last blank
before an unescaped `=`. Senders forget to escape `=`; a key is therefore a word of the characters that keys have.

Names given: version, device.vendor, device.product, device.version, device.event_class_id, name, severity of the
header; extensions.<key>; a labelled custom field (cs1Label=Reason cs1=x) also under its label:
labels.Reason (blanks made `_`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

_HEADER: Final = re.compile(r"(?:CEF: ?)?(\d+(?:\.\d+)?)\|" + r"([^|\\]*(?:\\.[^|\\]*)*)\|" * 6, re.DOTALL)
_HEADER_NAMES: Final = (
    "version",
    "device.vendor",
    "device.product",
    "device.version",
    "device.event_class_id",
    "name",
    "severity",
)
#: `key=` after a blank. Keys: letters, digits, `_`, `.`, `-`, brackets (ad.field[0]).
_KEY: Final = re.compile(r"\s([A-Za-z0-9_][\w.\-\[\]]*)=")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MEANING: Final = {"n": "\n", "r": "\r", "t": "\t"}


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    # Windows paths often come unescaped: a backslash before anything else than these stays what it is
    return _ESCAPE.sub(lambda m: _MEANING.get(m[1], m[1] if m[1] in "\\=|" else m[0]), text)


def make(root: str = "") -> Decode:
    """What stands before `CEF:` (a syslog header that was not taken off) is ignored.

    A relay that took `CEF:` for a program's name leaves `0|vendor|…`: taken at the start. Else it is `bad_format`.
    """
    header = [root + name for name in _HEADER_NAMES]
    keys_of = Names(f"{root}extensions.")
    labels = Names(f"{root}labels.")

    def decode(text: str) -> dict[str, Any]:
        start = text.find("CEF:")
        head = _HEADER.match(text, max(start, 0))
        if head is None:
            raise RecordError("bad_format", f"no CEF header of eight parts: {text[:120]!r}")
        parts = _KEY.split(" " + text[head.end() :])
        keys, values = parts[1::2], parts[2::2]
        out: dict[str, Any] = dict(zip(header, head.groups(), strict=True))
        if "\\" in text:
            out = {name: _unescaped(part) for name, part in out.items()}
            values = [_unescaped(value.rstrip()) for value in values]
            out |= {keys_of[key]: value for key, value in zip(keys, values, strict=True)}
        else:
            out |= {keys_of[key]: value.rstrip() for key, value in zip(keys, values, strict=True)}
        if "Label=" in text:
            for key in keys:
                if key.endswith("Label") and (label := out[keys_of[key]]):
                    labelled = out.get(keys_of[key[:-5]])
                    if labelled is not None:
                        out[labels[label.replace(" ", "_")]] = labelled
        return out

    return decode


DECODER: Final = Decoder("cef", make, rooted=True, texts=True)
