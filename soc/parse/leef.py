"""LEEF 1.0 and 2.0 (IBM QRadar Log Event Extended Format): header and attributes of one message → a dict of texts.

IBM, "QRadar Log Event Extended Format (LEEF) Guide", "LEEF event components"
(https://www.ibm.com/docs/en/dsm?topic=overview-leef-event-components): `LEEF:1.0|vendor|product|version|event id|` with
attributes parted by tabs; `LEEF:2.0|…|event id|delimiter|` names its own delimiter, a character or its code (`^`,
`x09`, `0x5E`); left out, it is a tab. Senders exist that part attributes by blanks: taken when there is no tab.

Names given: version, device.vendor, device.product, device.version, device.event_id of the header; attributes.<key>.
"""

from __future__ import annotations

import re
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

_HEADER: Final = re.compile(r"LEEF: ?(\d(?:\.\d)?)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|", re.DOTALL)
_DELIMITER: Final = re.compile(r"(?:0?x([0-9A-Fa-f]{1,4})|([^|=\w\s])|(\\t|\t| ))?\|")
_HEADER_NAMES: Final = ("version", "device.vendor", "device.product", "device.version", "device.event_id")
_KEY_AFTER_BLANK: Final = re.compile(r"(?:^|(?<=\s))([A-Za-z][\w.\-]{0,63})=")


def _delimiter(found: re.Match[str]) -> str:
    code, char, white = found.groups()
    if code:
        return chr(int(code, 16))
    if char:
        return char
    return " " if white == " " else "\t"


def _by_blanks(text: str) -> list[tuple[str, str]]:
    keys = list(_KEY_AFTER_BLANK.finditer(text))
    ends = [*(k.start() for k in keys[1:]), len(text)][: len(keys)]
    return [(key[1], text[key.end() : end].strip()) for key, end in zip(keys, ends, strict=True)]


def make(root: str = "") -> Decode:
    """What stands before `LEEF:` is ignored; without `LEEF:` `bad_format`."""
    names = Names(root)
    attributes = Names(f"{root}attributes.")

    def decode(text: str) -> dict[str, Any]:
        start = text.find("LEEF:")
        head = _HEADER.match(text, start) if start >= 0 else None
        if head is None:
            raise RecordError("bad_format", f"no LEEF header of five parts: {text[:120]!r}")
        out: dict[str, Any] = {names[name]: part for name, part in zip(_HEADER_NAMES, head.groups(), strict=True)}
        at, delimiter = head.end(), "\t"
        if head[1].startswith("2") and (own := _DELIMITER.match(text, at)) is not None:
            at, delimiter = own.end(), _delimiter(own)
        rest = text[at:]
        if delimiter == " " or (delimiter == "\t" and "\t" not in rest):
            pairs = _by_blanks(rest)
        else:
            pairs = [(key.strip(), value) for key, assigned, value in map(_parted, rest.split(delimiter)) if assigned]
        for key, value in pairs:
            if key:
                out[attributes[key]] = value
        return out

    return decode


def _parted(pair: str) -> tuple[str, str, str]:
    return pair.partition("=")


DECODER: Final = Decoder("leef", make, rooted=True, texts=True)
