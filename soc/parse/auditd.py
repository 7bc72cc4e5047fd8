"""Linux audit: one line of audit.log → its fields, quotes taken off and encoded texts decoded.

Format and names: "Audit log file format" and "Audit event fields" of the Linux audit documentation
(https://github.com/linux-audit/audit-documentation/wiki/SPEC-Writing-Good-Events), auparse(3): `[node=host ]type=T
msg=audit(seconds.millis:serial): key=value …`, user records with a second list in `msg='…'`, and after a group
separator (0x1D) the same enriched with names in capitals. Texts that a process can choose are in quotes, or in
hexadecimal without quotes when they hold blanks, quotes or control characters.

Names given: node, type, time (seconds.millis), sequence, and the fields; of a name that stands twice, the first value.
A socket address (saddr: `struct sockaddr` in hexadecimal) also as auditd's enrichment names it: saddr_fam, laddr and
lport, or path.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Final

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

_HEAD: Final = re.compile(r"(?:node=(\S+) )?type=(\S+) msg=audit\((\d{1,12}\.\d{1,9}):(\d{1,20})\): ?")
_PAIR: Final = re.compile(r"([\w-]+)=(?:\"([^\"]*)\"|'([^']*)'|([^\s,']*))")
#: Fields that auparse unescapes, whatever the record's type (auparse/interpret.c, typetab.h: AUPARSE_TYPE_ESCAPED…).
_ENCODED: Final = frozenset(
    {"acct", "cmd", "comm", "cwd", "data", "dev", "device", "dir", "exe", "file", "grp", "key", "name", "ocomm"}
    | {"new-disk", "new_group", "old-disk", "path", "proctitle", "sw", "vm", "watch"}
)
_ARGUMENT: Final = re.compile(r"a\d+(?:\[\d+\])?")
_HEX: Final = re.compile(r"(?:[0-9A-F]{2})+")


def _text(value: str) -> str:
    if not _HEX.fullmatch(value):
        return value
    return bytes.fromhex(value).replace(b"\0", b" ").decode("utf-8", "backslashreplace").rstrip(" ")


def _socket_address(saddr: str) -> Iterator[tuple[str, str]]:
    """Names and values within a `struct sockaddr` of Linux; nothing for a family we do not know or a cut one."""
    try:
        data = bytes.fromhex(saddr)
    except ValueError:
        return
    family = int.from_bytes(data[:2], "little")
    if family == 2 and len(data) >= 8:
        yield from (("saddr_fam", "inet"), ("laddr", str(ipaddress.IPv4Address(data[4:8]))))
    elif family == 10 and len(data) >= 24:
        yield from (("saddr_fam", "inet6"), ("laddr", str(ipaddress.IPv6Address(data[8:24]))))
    elif family == 1:
        path = data[2:].lstrip(b"\0").split(b"\0")[0].decode("utf-8", "backslashreplace")
        yield from (("saddr_fam", "local"), ("path", path))
        return
    else:
        return
    yield "lport", str(int.from_bytes(data[2:4], "big"))


def make(root: str = "") -> Decode:
    """A line without `type=` and `msg=audit(…)` is `bad_format`."""
    names = Names(root)

    def pairs(text: str, kind: str, out: dict[str, Any]) -> None:
        for name, quoted, single, bare in _PAIR.findall(text):
            if name == "msg" and single:
                pairs(single, kind, out)
                continue
            value = quoted or single or bare
            if value == "{":
                continue  # SADDR={ … }: the names stand within
            encoded = name in _ENCODED or (kind == "EXECVE" and _ARGUMENT.fullmatch(name))
            if bare and encoded and value not in ("(null)", "?"):
                value = _text(value)
            out.setdefault(names[name], value)
            if name == "saddr" and bare and "SADDR=" not in text:
                for part, inner in _socket_address(bare):
                    out.setdefault(names[part], inner)

    def decode(text: str) -> dict[str, Any]:
        head = _HEAD.search(text[:512])
        if head is None:
            raise RecordError("bad_format", f"no type= and msg=audit(…): {text[:120]!r}")
        node, kind, time, sequence = head.groups()
        out: dict[str, Any] = {names["type"]: kind, names["time"]: time, names["sequence"]: sequence}
        if node:
            out[names["node"]] = node
        pairs(text[head.end() :], kind, out)
        return out

    return decode


DECODER: Final = Decoder("auditd", make, rooted=True, texts=True)
