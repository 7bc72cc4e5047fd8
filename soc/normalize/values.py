"""A sender's value → the value of an ECS type, or None when it does not fit. Called from compiled sources."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from soc.event import Fields, text_of
from soc.normalize.stamps import moment_of

_LONG: Final = 2**63


class _Addresses(dict[str, str | None]):
    """Text → address as ECS wants it, or None: no zone index, no brackets, IPv4 in IPv6 as IPv4 (one host, one text).

    Remembers; bounded.
    """

    def __missing__(self, text: str) -> str | None:
        if len(text) >= 80:
            return None
        plain = text.strip().removeprefix("[").removesuffix("]").partition("%")[0]
        try:
            address = ipaddress.ip_address(plain)
        except ValueError:
            found = None
        else:
            mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
            found = plain if mapped is None else str(mapped)
        if len(self) >= 100_000:
            self.clear()
        self[text] = found
        return found


class _Longs(dict[str, int | None]):
    """Text → whole number within signed 64 bits (decimal or 0x), or None. Remembers; bounded."""

    def __missing__(self, given: str) -> int | None:
        text = given.strip() if len(given) < 64 else ""
        digits = text[1:] if text[:1] in ("-", "+") else text
        found = None
        if digits.isascii() and digits.isdigit() and len(digits) < 21:
            found = int(text)
        elif digits[:2] in ("0x", "0X") and len(digits) < 19 and digits[2:].isalnum() and digits.isascii():
            try:
                found = int(text, 16)
            except ValueError:
                return None
        if found is not None and not -_LONG <= found < _LONG:
            found = None
        if len(self) >= 20_000:
            self.clear()
        if text:
            self[given] = found
        return found


ADDRESSES: Final = _Addresses()
LONGS: Final = _Longs()


def ip(value: Any) -> str | None:
    return ADDRESSES[value] if value.__class__ is str else None


def long(value: Any) -> int | None:
    """Whole numbers within signed 64 bits: ints, decimal and 0x texts, floats without fraction."""
    if value.__class__ is str:
        return LONGS[value]
    if value.__class__ is float and value.is_integer():
        value = int(value)
    return value if value.__class__ is int and -_LONG <= value < _LONG else None


def number(value: Any) -> float | int | None:
    """A finite number, or the number that a text holds."""
    if value.__class__ is int or value.__class__ is float:
        return value
    if value.__class__ is not str or not value.isascii() or "_" in value:
        return None
    whole = long(value)
    if whole is not None:
        return whole
    try:
        made = float(value)
    except ValueError:
        return None
    return made if made - made == 0 else None


def boolean(value: Any) -> bool | None:
    if value.__class__ is bool:
        return value
    return {"true": True, "false": False}.get(value.lower()) if value.__class__ is str else None


def keyword(value: Any) -> str | None:
    """Canonical text of a scalar; of a list, its first member that is there."""
    if value.__class__ is str:
        return value
    if value.__class__ is int:
        return str(value)
    if value.__class__ is list:
        return next((keyword(v) for v in value if v is not None), None)
    return None if value is None or value.__class__ is dict else text_of(value)


def date(value: Any) -> str | None:
    """RFC 3339 text of a moment; a text without zone, or what is no moment, does not fit."""
    try:
        moment = datetime.fromisoformat(value)
        return moment_of(moment, UTC)[1] if moment.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None


def thing(value: Any) -> Any:
    return value if value.__class__ in (dict, list) else None


CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "ip": ip,
    "long": long,
    "float": number,
    "boolean": boolean,
    "keyword": keyword,
    "text": keyword,
    "date": date,
    "object": thing,
}


def listed(value: Any, convert: Callable[[Any], Any]) -> list[Any] | None:
    """The members that fit, each once, in order; None if there are none."""
    values = value if value.__class__ is list else (value,)
    made = list(dict.fromkeys(v for v in map(convert, values) if v is not None))
    return made or None


def summed(values: Iterable[Any]) -> float | int | None:
    """Sum of the numbers that are there; None without any."""
    numbers = [n for n in map(number, values) if n is not None]
    return sum(numbers) if numbers else None


def joined(values: Sequence[Any], skip: tuple[str, ...]) -> str | None:
    """All of them in one text; None when one of them is not there."""
    texts = [keyword(v) for v in values]
    return None if any(t is None or t in skip for t in texts) else "".join(t for t in texts if t is not None)


def picked(value: Any, member: str) -> list[Any] | None:
    """That member of each object of a list; None if there is none."""
    if value.__class__ is not list:
        return None
    return [item[member] for item in value if item.__class__ is dict and member in item] or None


def scaled(value: Any, factor: float | int) -> float | int | None:
    """The number times the factor; whole if the factor is."""
    found = number(value)
    if found is None:
        return None
    product = found * factor
    return round(product) if isinstance(factor, int) else product


def conformed(
    fields: Fields,
    names: Iterable[str],
    kinds: Mapping[str, tuple[Callable[[Any], Any], bool]],
    closed: Mapping[str, frozenset[str]],
    aside: str,
) -> None:
    """Give the sender's own ECS fields their ECS type, in place; a value that does not fit moves to `aside` + name.

    `names`: those of `fields` that stand in `kinds`.
    `kinds`: ECS name → (conversion, whether ECS wants a list). `closed`: name → all values that ECS allows.
    """
    misfits = []
    for name in names:
        convert, many = kinds[name]
        value = fields[name]
        if (value.__class__ is str and convert is keyword and not many and name not in closed) or value is None:
            continue
        made = listed(value, convert) if many else convert(value)
        if made is None or (name in closed and not closed[name].issuperset(made if many else (made,))):
            misfits.append(name)
        else:
            fields[name] = made
    for name in misfits:
        fields[aside + name] = fields.pop(name)
