"""JSON: one object → its members as dotted names, values exact (RFC 8259, https://www.rfc-editor.org/rfc/rfc8259).

orjson does the work (https://github.com/ijl/orjson#deserialize): it refuses NaN, Infinity and nesting beyond 1,024
levels. What it takes silently is refused here: integers beyond 64 bits become floats there and lose digits, and of two
members of one name it keeps the last, which lets a sender show one value to us and another to somebody else.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson

from soc.event import RecordError
from soc.parse.base import Decode, Decoder, Names

#: Floats this large may be integers that orjson could not hold; they are looked at more closely.
_LARGE: Final = 2.0**63
#: Nesting deeper than any event; also keeps flattening and the store away from the recursion limit.
MAX_DEPTH: Final = 64


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < 2**64:
        raise RecordError("bad_format", f"integer beyond 64 bits: {text[:40]}")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RecordError("bad_format", f"member {twice[:80]!r} stands twice")
    return made


def strict(text: str) -> None:
    """Raises RecordError for a member that stands twice, or an integer beyond 64 bits (signed or unsigned)."""
    try:
        json.loads(text, parse_int=_integer, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise RecordError("bad_format", f"JSON: {error}") from error


def _listed(items: list[Any], depth: int) -> int:
    """Object members within a list (one more for each large float, so that the count looks wrong)."""
    count = 0
    for item in items:
        kind = item.__class__
        if kind is dict:
            count += len(item) + _listed(list(item.values()), depth + 1)
        elif kind is list:
            count += _listed(item, depth + 1)
        elif kind is float and not -_LARGE < item < _LARGE:
            count += 1
    if depth > MAX_DEPTH:
        raise RecordError("bad_format", f"nested deeper than {MAX_DEPTH} levels")
    return count


def flatten(tree: dict[str, Any], names: Names, out: dict[str, Any], depth: int = 0) -> tuple[int, int]:
    """Put the leaves of `tree` into `out` under dotted names; (object members at any depth, leaves).

    (One more member is counted for each float so large that it may be an integer beyond 64 bits.)
    Lists stay lists, an empty object stays an empty object. More leaves than names in `out`: a dotted name came twice.
    """
    if depth > MAX_DEPTH:
        raise RecordError("bad_format", f"nested deeper than {MAX_DEPTH} levels")
    members = leaves = len(tree)
    for name, value in tree.items():
        kind = value.__class__
        if kind is str or kind is int:
            out[names[name]] = value
        elif kind is dict and value:
            more, inner = flatten(value, names.below(name), out, depth + 1)
            members += more
            leaves += inner - 1
        else:
            if kind is list:
                members += _listed(value, depth + 1)
            elif kind is float and not -_LARGE < value < _LARGE:
                members += 1
            out[names[name]] = value
    return members, leaves


def make(root: str = "") -> Decode:
    """Records that are no JSON object are `bad_format`."""
    names = Names(root)

    def decode(text: str) -> dict[str, Any]:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise RecordError("bad_format", f"JSON: {error}") from error
        if value.__class__ is not dict:
            raise RecordError("bad_format", f"JSON, but no object: {text[:40]}")
        out: dict[str, Any] = {}
        members, leaves = flatten(value, names, out)
        # Every member needs one `":`; another number of them may mean a name that stands twice (or just a text with
        # `":` in it, or blanks before colons): then the slow and strict reader decides.
        if members != text.count('":'):
            strict(text)
        if leaves != len(out):
            raise RecordError("bad_format", "one name stands both dotted and nested")
        return out

    return decode


DECODER: Final = Decoder("json", make, rooted=True, undecodable="\\\\x")
