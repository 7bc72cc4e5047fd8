"""One detection item: `field|modifier|…` and its values → predicates, how they are linked, and whether negated.

Modifiers apply from left to right, as in the Sigma specification 2.1 ("Modifiers", appendix). Raises ValueError with
what was expected; the caller knows file and line.
"""

from __future__ import annotations

import base64
import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import Any, Final

import re2

from soc.detect import pattern, times
from soc.detect.fold import plain
from soc.detect.pattern import Part, Parts, Placeholder, Wild
from soc.detect.predicate import (
    Cidr,
    Compare,
    Exists,
    Null,
    Number,
    Predicate,
    Present,
    Reference,
    Regex,
    Text,
    re2_compile,
)
from soc.detect.value import number, text
from soc.detect.yamlload import Ambiguous

_ENCODINGS: Final = {"wide": "utf-16-le", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "utf16": "utf-16-le"}
_FLAGS: Final = {"i": "i", "ignorecase": "i", "m": "m", "multiline": "m", "s": "s", "dotall": "s"}
_COMPARISONS: Final = ("gt", "gte", "lt", "lte")
_AFFIXES: Final = ("contains", "startswith", "endswith")
NAMES: Final = frozenset(
    (
        *("all", "neq", "cased", "exists", "cidr", "re", "windash", "base64", "base64offset", "expand", "fieldref"),
        *_AFFIXES,
        *_COMPARISONS,
        *times.PARTS,
        *_ENCODINGS,
        *_FLAGS,
    )
)
#: Modifiers that shape the text and are not what is asked of it: never the operator shown to a person.
_SHAPES: Final = frozenset(("all", "neq", "cased", "expand", *_FLAGS))

#: Name of a placeholder → the Sigma strings it stands for, None if unknown.
Values = Callable[[str], "Iterable[Parts] | None"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One value of a rule: the alternatives it may take, and the pattern as the author wrote it."""

    pattern: str
    predicates: tuple[Predicate, ...]


@dataclass(slots=True)
class Item:
    """What one detection item asks: any (or all) of the values, or their negation. `op` is for people."""

    op: str
    asked: list[Asked] = field(default_factory=list)
    all: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A string on its way from an encoding to Base64; `ascii`: it was ASCII, and can be text again with zero bytes."""

    data: bytes
    ascii: bool


# A value under way: a Sigma string, bytes, or a predicate that is complete but for flags and anchors.
_Value = Parts | _Bytes | Predicate


def item(modifiers: tuple[str, ...], values: list[Any], *, keyword: bool, expand: Values) -> Item:
    """Raises ValueError: an unknown or misplaced modifier, a value it cannot take, an unresolved placeholder."""
    _check(modifiers, keyword)
    out = Item(_operator(modifiers), all="all" in modifiers, negated="neq" in modifiers)
    steps = tuple(m for m in modifiers if m not in ("all", "neq"))
    shown = modifiers[0] if modifiers else ""
    for value in values:
        raw = "" if value is None else text(value) if not isinstance(value, str) else str(value)
        cased = "cased" in steps
        asked: list[Predicate] = []
        for under_way in _apply(steps, value, expand):
            asked += _finished(_somewhere(under_way, steps) if keyword else under_way, cased)
        if keyword and any(isinstance(p, Null | Exists | Reference) for p in asked):
            raise ValueError(f"a keyword cannot be {raw or 'null'!r} with {shown or 'no modifier'}: it has no field")
        out.asked.append(Asked(raw if value is not None else "null", tuple(dict.fromkeys(asked))))
    return out


def _check(modifiers: tuple[str, ...], keyword: bool) -> None:
    for name in modifiers:
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            if name == "not":
                hint = ": negate in the condition (`and not filter`), or use `neq`"
            raise ValueError(f"unknown modifier {name!r}{hint}")
    for name in ("re", "cidr", "exists"):
        if name in modifiers and modifiers[0] != name and next(m for m in modifiers if m not in ("all", "neq")) != name:
            raise ValueError(f"{name!r} works on the value as it is written: put it first")
    if "exists" in modifiers and (len(modifiers) > 1 or keyword):
        raise ValueError("'exists' stands alone, after a field name")
    if any(m in _FLAGS for m in modifiers) and "re" not in modifiers:
        raise ValueError("the flags i, m, s belong to 're'")


def _operator(modifiers: tuple[str, ...]) -> str:
    """The modifier word for people: `equals` without one, `neq` before what it negates."""
    asked = [m for m in modifiers if m not in _SHAPES]
    words: tuple[str, ...] = (*_COMPARISONS, *_AFFIXES, "fieldref")
    word = next((w for w in words if w in asked), asked[-1] if asked else "equals")
    return ("neq" if word == "equals" else f"neq {word}") if "neq" in modifiers else word


def _apply(steps: tuple[str, ...], value: Any, expand: Values) -> list[_Value]:
    """One value of the rule through all its modifiers; several where base64offset or a placeholder makes several."""
    first = steps[0] if steps else ""
    under_way: list[_Value]
    if first == "re":
        under_way = [Regex(_string(value, "re"))]
        steps = steps[1:]
    elif first == "cidr":
        under_way = [_cidr(_string(value, "cidr"))]
        steps = steps[1:]
    elif first == "exists":
        return [Exists(_boolean(value))]
    elif steps and all(step in _COMPARISONS or step in times.PARTS for step in steps):
        return [_comparison(steps, value)]
    elif value is None:
        if any(step not in ("cased",) for step in steps):
            raise ValueError(f"null cannot take the modifier {first!r}")
        return [Null()]
    elif not isinstance(value, str) and not steps:
        return [(text(value),)] if isinstance(value, bool) else [Number(value)]
    else:
        under_way = [pattern.parse(value if isinstance(value, str) else text(value))]
    for step in steps:
        under_way = [made for one in under_way for made in _step(step, one, expand)]
    return under_way


def _step(step: str, value: _Value, expand: Values) -> list[_Value]:
    if step in _FLAGS and isinstance(value, Regex):
        return [Regex(value.pattern, value.flags + _FLAGS[step], value.start, value.end)]
    if step == "cased" and isinstance(value, Reference):
        return [Reference(value.field, value.mode, True)]
    if step in _AFFIXES:
        return [_affixed(step, value)]
    if step == "expand":
        return _expanded(value, expand)
    if not isinstance(value, tuple | _Bytes):
        raise ValueError(f"{step!r} needs a text as its value")
    if step == "cased":
        return [value]
    if step in ("base64", "base64offset"):
        data = value.data if isinstance(value, _Bytes) else _literal(value, step).encode("utf-8", "replace")
        made = [base64.b64encode(data).decode()] if step == "base64" else pattern.base64_offsets(data)
        if step == "base64offset" and len(data) < 2:
            raise ValueError("'base64offset' needs two bytes or more: of fewer, no character is certain")
        return [(one,) if one else () for one in made]
    if isinstance(value, _Bytes):
        raise ValueError(f"{step!r} cannot follow an encoding: base64 or base64offset does")
    if step in _ENCODINGS:
        bom = b"\xff\xfe" if step == "utf16" else b""
        literal = _literal(value, step)
        return [_Bytes(bom + literal.encode(_ENCODINGS[step], "surrogatepass"), literal.isascii() and not bom)]
    if step == "windash":
        return [pattern.dashed(value)]
    if step == "fieldref":
        return [Reference(_literal(value, step))]
    raise ValueError(f"the modifier {step!r} cannot stand here")


def _affixed(step: str, value: _Value) -> _Value:
    if isinstance(value, _Bytes):
        value = _decoded(value)
    if isinstance(value, tuple):
        before = (Wild.ANY,) if step != "startswith" else ()
        after = (Wild.ANY,) if step != "endswith" else ()
        return pattern.tidy((*before, *value, *after))
    if isinstance(value, Regex):  # it is searched for anywhere already: `contains` adds nothing
        return Regex(value.pattern, value.flags, value.start or step == "startswith", value.end or step == "endswith")
    if isinstance(value, Reference):
        return Reference(value.field, step, value.cased)
    raise ValueError(f"{step!r} needs a text as its value")


def _expanded(value: _Value, expand: Values) -> list[_Value]:
    if isinstance(value, tuple):
        return list(pattern.filled(pattern.placeholders(value), expand))
    if not isinstance(value, Regex):
        raise ValueError("'expand' needs a text as its value")
    choices: list[list[str]] = []
    for part in pattern.placeholders((value.pattern,)):
        if isinstance(part, Placeholder):
            found = expand(part.name)
            if found is None:
                raise ValueError(_no_values(part.name))
            choices.append(["".join(_as_regex(p) for p in parts) for parts in found])
        else:
            choices.append([str(part)])
    return [Regex("".join(c), value.flags, value.start, value.end) for c in product(*choices)]


def _as_regex(part: Part) -> str:
    if isinstance(part, str):
        return str(re2.escape(part))
    return ".*" if part is Wild.ANY else "."


def _no_values(name: str) -> str:
    return f"the placeholder %{name}% has no values: give them in a pipeline (`vars`, value_placeholders)"


def _decoded(value: _Bytes) -> Parts:
    """Encoded ASCII as text, zero bytes and all."""
    if not value.ascii:
        raise ValueError("an encoding of other than ASCII text must be followed by base64 or base64offset")
    return (value.data.decode("ascii"),) if value.data else ()


def _somewhere(value: _Value, steps: tuple[str, ...]) -> _Value:
    """A keyword is found anywhere in a value, unless a modifier says where."""
    if isinstance(value, Number):
        value = (text(value.number),)
    if isinstance(value, tuple) and not any(step in _AFFIXES for step in steps):
        return pattern.tidy((Wild.ANY, *value, Wild.ANY))
    return value


def _finished(value: _Value, cased: bool) -> list[Predicate]:
    """The predicates that a value has become."""
    if isinstance(value, _Bytes):
        value = _decoded(value)
    if isinstance(value, Regex):
        return [_checked(Regex(value.pattern, "".join(sorted(set(value.flags))), value.start, value.end))]
    if not isinstance(value, tuple):
        return [value]
    missing = [part.name for part in value if isinstance(part, Placeholder)]
    if missing:
        raise ValueError(_no_values(missing[0]))
    if value == (Wild.ANY,):
        return [Present()]
    return [Text(spelling, cased) for spelling in pattern.spellings(pattern.tidy(value))]


def _literal(parts: Parts, step: str) -> str:
    if any(not isinstance(part, str) for part in parts):
        raise ValueError(f"{step!r} cannot take a value with wildcards")
    return "".join(part for part in parts if isinstance(part, str))


def _string(value: Any, step: str) -> str:
    if value is None or isinstance(value, bool):
        raise ValueError(f"{step!r} needs a text as its value")
    return str(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Ambiguous) and value.lower() in ("yes", "on", "no", "off"):
        return value.lower() in ("yes", "on")
    raise ValueError("'exists' takes true or false, without quotes")


def _comparison(steps: tuple[str, ...], value: Any) -> Compare:
    wanted = number(str(value)) if isinstance(value, Ambiguous) else value
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        raise ValueError(f"{steps[-1]!r} takes a number, without quotes")
    ops = [step for step in steps if step in _COMPARISONS]
    parts = [step for step in steps if step in times.PARTS]
    if len(ops) > 1 or len(parts) > 1 or len(steps) > 2:
        raise ValueError(f"{'|'.join(steps)}: one comparison and one part of a date at most")
    return Compare(ops[0] if ops else "eq", wanted, parts[0] if parts else "")


def _cidr(value: str) -> Cidr:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        try:
            near = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise ValueError(f"{value!r} is no network in CIDR form: {error}") from None
        raise ValueError(f"{value!r} has bits set behind its prefix: probably {near} is meant") from None
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return Cidr(ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}"))
    return Cidr(network)


@lru_cache(maxsize=4096)
def _checked(regex: Regex) -> Regex:
    try:
        re2_compile(regex.source)
    except re2.error as error:
        why = error.args[0] if error.args else ""
        why = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        if re.search(r"\(\?(?:<?[=!]|>)", regex.pattern):
            why = "lookaround and atomic groups are not in RE2, which we use for its linear time"
        elif re.search(r"\\[1-9]|\(\?P=|\\k<", regex.pattern):
            why = "back-references are not in RE2, which we use for its linear time"
        raise ValueError(f"the regular expression {plain(regex.pattern)!r} is refused: {why}") from None
    return regex


def field_key(key: str) -> tuple[str | None, tuple[str, ...]]:
    """`Image|endswith|all` → ("Image", ("endswith", "all")); no field (None) for keywords: `'|all'`."""
    name, *modifiers = key.split("|")
    return (name or None), tuple(modifiers)


__all__ = ["NAMES", "Asked", "Item", "Part", "Values", "field_key", "item"]
