"""One line of separated values → a dict by declared column names (RFC 4180, https://www.rfc-editor.org/rfc/rfc4180).

PAN-OS writes its logs so ("Syslog Field Descriptions" in the PAN-OS Administrator's Guide), as do many exports.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder


def make(
    columns: Sequence[str], separator: str = ",", quote: str = '"', exact: bool = False, skip: str = "", root: str = ""
) -> Decode:
    """`columns`: names in order, "" = a column that nobody needs. `exact`: another number of values is `bad_format`;
    else missing ones are left out and more come as `column_<n>` (1-based). `skip`: a line that starts with it
    (a header, a comment) is `bad_format`.
    """
    if isinstance(columns, str) or not columns or not all(isinstance(c, str) for c in columns):
        raise ValueError("`columns` is a list of names")
    if len(separator) != 1 or len(quote) > 1:
        raise ValueError("`separator` is one character, `quote` is one or none")
    names = [root + c if c else "" for c in columns]

    def decode(text: str) -> dict[str, Any]:
        if skip and text.startswith(skip):
            raise RecordError("bad_format", f"a header line: {text[:80]!r}")
        try:
            if quote and quote in text:
                values = next(csv.reader([text], delimiter=separator, quotechar=quote, strict=False), [])
            else:
                values = text.split(separator)
        except csv.Error as error:
            raise RecordError("bad_format", f"CSV: {error}") from error
        if (exact and len(values) != len(names)) or len(values) < 2:
            raise RecordError("bad_format", f"{len(values)} values where {len(names)} are due: {text[:80]!r}")
        out: dict[str, Any] = {name: value for name, value in zip(names, values, strict=False) if name}
        for at in range(len(names), len(values)):
            out[f"{root}column_{at + 1}"] = values[at]
        return out

    return decode


DECODER: Final = Decoder("csv", make, rooted=True, texts=True)
