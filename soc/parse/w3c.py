"""Logs with a header of their own: W3C extended format and Zeek's tab-separated logs; one line → a dict by column.

W3C Extended Log File Format (https://www.w3.org/TR/WD-logfile.html), as IIS
(https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging) and the Windows firewall write it: `#Fields: date
time c-ip …`, values parted by blanks, `-` for none. Zeek (https://docs.zeek.org/en/master/log-formats.html):
`#fields<TAB>ts …`, `#path`, `#unset_field`, `#empty_field`, `#set_separator`.

What the columns are stands in a line of its own, so this decoder remembers it per stream. Directives give None: they
are no records. After a restart in the middle of a file, or where a file has no header, the `columns` of the source are
taken whose number fits; if none does, the line is `bad_format`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decoder

#: Streams whose header is remembered; the least recently read goes first.
_MAX_STREAMS: Final = 10_000


@dataclass(slots=True)
class _Header:
    """What the directives of one stream said so far."""

    columns: tuple[str, ...] = ()
    date: str = ""
    path: str = ""
    separator: str = " "
    members: str = ","
    kinds: tuple[str, ...] = ()
    none: tuple[str, ...] = ("-",)


def _code(text: str) -> str:
    return chr(int(text[2:], 16)) if text.startswith("\\x") else text


def _directive(text: str, header: _Header) -> None:
    zeek = "\t" in text or text.startswith("#separator")
    name, _, rest = text[1:].partition("\t" if "\t" in text else " ")
    match name.rstrip(":").lower():
        case "fields":
            header.columns = tuple(rest.split("\t") if zeek else rest.split())
            header.separator = "\t" if zeek else " "
        case "types":
            header.kinds = tuple(rest.split("\t"))
        case "date":
            header.date = rest.strip().partition(" ")[0]
        case "path":
            header.path = rest
        case "set_separator":
            header.members = _code(rest)
        case "unset_field" | "empty_field":
            header.none = (*header.none, rest)


def _values(text: str, header: _Header) -> list[str]:
    if header.separator == "\t":
        return text.split("\t")
    return text.split()


def make(
    columns: Sequence[Sequence[str]] = (), skip_none: bool = True, root: str = ""
) -> Callable[[str, object], dict[str, Any] | None]:
    """`columns`: lists of names for lines whose header was not seen, one for each number of columns."""
    if any(isinstance(c, str) for c in columns):
        raise ValueError("`columns` is a list of lists of names")
    defaults = {len(c): tuple(c) for c in columns}
    if len(defaults) != len(columns):
        raise ValueError("two lists in `columns` are of one length")
    headers: OrderedDict[object, _Header] = OrderedDict()

    def header_of(stream: object) -> _Header:
        header = headers.get(stream)
        if header is None:
            header = headers[stream] = _Header()
            if len(headers) > _MAX_STREAMS:
                headers.popitem(last=False)
        return header

    def decode(text: str, stream: object) -> dict[str, Any] | None:
        if text.startswith("#"):
            _directive(text, header_of(stream))
            return None
        header = headers.get(stream) or _Header()
        values = _values(text, header)
        names = header.columns if len(header.columns) == len(values) else defaults.get(len(values), ())
        if not names:
            raise RecordError("bad_format", f"{len(values)} values, and no header or list of columns of that length")
        out: dict[str, Any] = {}
        for at, (name, value) in enumerate(zip(names, values, strict=True)):
            if skip_none and value in header.none:
                continue
            many = at < len(header.kinds) and header.kinds[at].startswith(("set[", "vector["))
            out[root + name] = value.split(header.members) if many else value
        if header.date and root + "date" not in out:
            out[root + "date"] = header.date
        if header.path:
            out[root + "_path"] = header.path
        return out

    return decode


DECODER: Final = Decoder("w3c", make, takes="stream", rooted=True, texts=True)
