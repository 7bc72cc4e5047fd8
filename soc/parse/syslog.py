"""Syslog: one message → its header and `message`, in the words of the RFCs.

RFC 5424 (https://www.rfc-editor.org/rfc/rfc5424#section-6) strictly, RFC 3164
(https://www.rfc-editor.org/rfc/rfc3164#section-4) as devices really write it: with a year, milliseconds, an ISO 8601
stamp, Cisco's sequence number and `*`/`.` clock marks (Cisco IOS "service timestamps", "service sequence-numbers"),
without host, without program, or with nothing but the priority.

Names given: priority, facility, severity (numbers), version, timestamp (text as sent), host, program, pid, msgid,
structured_data.<id>.<param> (texts), message, repeated (of "message repeated N times: [ … ]",
sysklogd and rsyslog, whose inner text becomes the message).
"""

from __future__ import annotations

import re
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder

_PRI: Final = re.compile(r"<(\d{1,3})>")
_MONTHS: Final = frozenset(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])

#: Stamp of a RFC 3164 header: "Oct  5 06:07:08", with year before or after, fraction, zone; or ISO 8601.
_STAMP: Final = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]?\d (?:\d{4} )?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"(?: \d{4}(?= |:|$))?(?: (?:[A-Z]{3,4}|[+-]\d\d:?\d\d)(?=:))?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\d{4} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]?\d \d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
)
#: A tag is up to 32 alphanumerics by the RFC; real ones hold paths, dots, dashes, slashes and brackets
#: (`polkitd(authority=local)`).
_TAG: Final = (
    r"([A-Za-z0-9_./@()%-]{1,128}?(?:\(\w{1,32}=\w{1,32}\))?)(?:\[([^\]\s]{1,64})\])?(?: <\w+>)?:(?: |(?=$)|(?=[^\s:]))"
)
#: Cisco: "<189>123: host: *Mar 1 18:46:11.123 UTC: %SYS-5-CONFIG_I: …"; marks * and . tell of an unset clock.
_CISCO: Final = re.compile(rf"(?:\d{{1,10}}: )?(?:([\w.:-]{{1,255}}): )?[*.]?({_STAMP})(?: [A-Z]{{3,4}})?: (?=%)")
_BSD: Final = re.compile(rf"({_STAMP}):? (?:(?=\S+:(?: |$)|\S+\[[^\]\s]+\]: )|([^\s|]{{1,255}}) (?:\2 )?)?")
_PROGRAM: Final = re.compile(_TAG)
#: Not programs but formats that begin like one.
_FORMATS: Final = ("CEF:", "LEEF:")
_CISCO_TAG: Final = re.compile(r"%([A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+): ?")
_REPEATED: Final = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*?)\]?$", re.DOTALL)

_HEADER_5424: Final = re.compile(
    r"(\d{1,2}) (\S{1,64}) (\S{1,255}) (\S{1,128}) (\S{1,128}) (\S{1,128}) (?:(-)(?: |$)|(?=\[))"
)
_ELEMENT: Final = re.compile(
    r"\[([^ =\]\"]{1,128})((?: [^ =\]\"]{1,128}=\"[^\"\\]*(?:\\.[^\"\\]*)*\")*) ?\]", re.DOTALL
)
_PARAM: Final = re.compile(r" ([^ =\]\"]{1,128})=\"([^\"\\]*(?:\\.[^\"\\]*)*)\"", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\([\"\\\]])")


def _structured(text: str, at: int, out: dict[str, Any]) -> int:
    """Put the parameters that start at `at` into `out`; where the message starts."""
    while at < len(text) and text[at] == "[":
        element = _ELEMENT.match(text, at)
        if element is None:
            raise RecordError("bad_format", f"structured data of RFC 5424 is broken at character {at}")
        for name, value in _PARAM.findall(element[2]):
            out[f"structured_data.{element[1]}.{name}"] = _ESCAPE.sub(r"\1", value) if "\\" in value else value
        at = element.end()
    if at < len(text) and text[at] != " ":
        raise RecordError("bad_format", f"no space after the structured data, at character {at}")
    return at + 1


def _rfc5424(text: str, at: int, out: dict[str, Any]) -> bool:
    head = _HEADER_5424.match(text, at)
    if head is None:
        return False
    version, stamp, host, program, pid, msgid, nil = head.groups()
    out["version"] = version
    for name, value in (("timestamp", stamp), ("host", host), ("program", program), ("pid", pid), ("msgid", msgid)):
        if value != "-":
            out[name] = value
    at = head.end()
    if nil is None:
        at = _structured(text, at, out)
    message = text[at:]
    out["message"] = message[1:] if message.startswith("\ufeff") else message
    return True


def _rfc3164(text: str, at: int, out: dict[str, Any]) -> bool:
    """Header after the priority. False if there is none: then all of it is the message."""
    head = _BSD.match(text, at)
    if head is not None:
        out["timestamp"] = head[1]
        if head[2] is not None:
            out["host"] = head[2].rstrip(":") or head[2]
    else:
        head = _CISCO.match(text, at) if "%" in text else None
        if head is None:
            return False
        if head[1] is not None:
            out["host"] = head[1]
        out["timestamp"] = head[2]
    at = head.end()
    tag = _PROGRAM.match(text, at)
    if tag is not None and not text.startswith(_FORMATS, at):
        out["program"] = tag[1]
        if tag[2] is not None:
            out["pid"] = tag[2]
        at = tag.end()
    else:
        cisco = _CISCO_TAG.match(text, at)
        if cisco is not None:
            out["program"] = cisco[1]
    out["message"] = text[at:]
    return True


def _unrepeated(out: dict[str, Any]) -> None:
    repeated = _REPEATED.match(out["message"])
    if repeated is not None:
        out["repeated"] = int(repeated[1])
        out["message"] = repeated[2]


def make(optional: bool = False) -> Decode:
    """`optional`: a record without any syslog header is not an error but all `message` (files hold it bare)."""
    if not isinstance(optional, bool):
        raise ValueError("`optional` is true or false")

    def decode(text: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        at = 0
        if text.startswith("<"):
            pri = _PRI.match(text)
            if pri is not None and (code := int(pri[1])) <= 191:
                out["priority"] = code
                out["facility"], out["severity"] = divmod(code, 8)
                at = pri.end() + (text[pri.end() : pri.end() + 1] == " ")
        if at and text[at : at + 1].isdecimal() and _rfc5424(text, at, out):
            pass
        elif not (at or text[:3] in _MONTHS or text[:1].isdecimal() or not optional) or not _rfc3164(text, at, out):
            if not (at or optional):
                raise RecordError("bad_format", "neither a priority nor a time stamp of syslog at the start")
            out["message"] = text[at:]
        if out["message"].startswith(" "):
            out["message"] = out["message"].lstrip(" ")  # rsyslog's %msg% begins with the blank after the tag
        if out["message"].startswith("message repeated "):
            _unrepeated(out)
        return out

    return decode


DECODER: Final = Decoder("syslog", make, envelope=True)
