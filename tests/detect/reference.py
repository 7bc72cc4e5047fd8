"""A slow evaluator of Sigma rules, one rule and one event at a time, written from the specification and not from soc.

Goes in: a rule as plain data (what a YAML reader gives), an event. Comes out: does it match? Shares no code with the
engine: its own case folding, wildcards, encodings, conditions. What it does not know is a KeyError or AssertionError.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

Event = Mapping[str, Any]
ANY, ONE = object(), object()
DASHES = "-/\u2013\u2014\u2015"
MISSING = object()


def matches(rule: dict[str, Any], event: Event, names: Mapping[str, list[str]] | None = None) -> bool:
    """`names`: field → the alternatives that a pipeline maps it to."""
    event = Mapped(event, names or {})
    detection = dict(rule["detection"])
    conditions = detection.pop("condition")
    conditions = conditions if isinstance(conditions, list) else [conditions]
    holds = {name: selection(definition, event) for name, definition in detection.items()}
    return any(condition(text, holds) for text in conditions)


# ---------------------------------------------------------------- conditions


def condition(text: str, holds: dict[str, bool]) -> bool:
    tokens = text.replace("(", " ( ").replace(")", " ) ").split()
    value, rest = disjunction(tokens, holds)
    assert not rest, rest
    return value


def disjunction(tokens: list[str], holds: dict[str, bool]) -> tuple[bool, list[str]]:
    value, tokens = conjunction(tokens, holds)
    while tokens and tokens[0].lower() == "or":
        more, tokens = conjunction(tokens[1:], holds)
        value = value or more
    return value, tokens


def conjunction(tokens: list[str], holds: dict[str, bool]) -> tuple[bool, list[str]]:
    value, tokens = negation(tokens, holds)
    while tokens and tokens[0].lower() == "and":
        more, tokens = negation(tokens[1:], holds)
        value = value and more
    return value, tokens


def negation(tokens: list[str], holds: dict[str, bool]) -> tuple[bool, list[str]]:
    head, *tail = tokens
    if head.lower() == "not":
        value, rest = negation(tail, holds)
        return not value, rest
    if head == "(":
        value, rest = disjunction(tail, holds)
        assert rest[0] == ")"
        return value, rest[1:]
    if tail and tail[0] == "of":
        pattern = "*" if tail[1] == "them" else tail[1]
        shape = re.compile(re.escape(pattern).replace(r"\*", ".*"))
        meant = [v for k, v in holds.items() if shape.fullmatch(k) and (k[0] != "_" or pattern[0] == "_")]
        assert meant
        return (all(meant) if head == "all" else any(meant)), tail[2:]
    return holds[head], tail


# ---------------------------------------------------------------- selections


def selection(definition: Any, event: Mapped) -> bool:
    if isinstance(definition, dict):
        return all(item(key, value, event) for key, value in definition.items())
    if isinstance(definition, list):
        return any(selection(one, event) for one in definition)
    return item("", definition, event)


def item(key: str, value: Any, event: Mapped) -> bool:
    field, *modifiers = key.split("|")
    wanted = value if isinstance(value, list) else [value]
    wanted = wanted or [None]
    linking = all if "all" in modifiers else any
    steps = [m for m in modifiers if m not in ("all", "neq")]
    result = linking(one_value(field, steps, one, event) for one in wanted)
    return not result if "neq" in modifiers else result


def one_value(field: str, steps: list[str], wanted: Any, event: Mapped) -> bool:
    if not field:
        return any(scalar_holds(steps, wanted, scalar, event, keyword=True) for scalar in every_scalar(event))
    found = field_values(event, field)
    if steps == ["exists"]:
        return (found is not MISSING) == wanted
    members = [] if found is MISSING else flattened(found)
    if wanted is None:
        return found is MISSING or not members or None in members
    return any(scalar_holds(steps, wanted, m, event, keyword=False) for m in members if m is not None)


class Mapped(dict[str, Any]):
    """An event and the mapping of field names to look it up with."""

    def __init__(self, event: Event, names: Mapping[str, list[str]]) -> None:
        super().__init__(event)
        self.names = names


def field_values(event: Mapped, name: str) -> Any:
    """The values of the mapped names that hold any, else what stands under the field's own name."""
    found = [lookup(event, target) for target in event.names.get(name, [])]
    held = [one for one in found if one is not MISSING and any(m is not None for m in flattened(one))]
    if held:
        return held
    own = lookup(event, name)
    there = [one for one in found if one is not MISSING]
    return own if own is not MISSING else there[0] if there else MISSING


def lookup(event: Event, name: str) -> Any:
    if name in event:
        return event[name]
    parts = name.split(".")
    for n in range(len(parts) - 1, 0, -1):
        node, rest = event.get(".".join(parts[:n])), ".".join(parts[n:])
        if isinstance(node, dict):
            return lookup(node, rest)
        if isinstance(node, list):
            below = [lookup(one, rest) for one in flattened(node) if isinstance(one, dict)]
            below = [one for one in below if one is not MISSING]
            if below:
                return below
    return MISSING


def flattened(value: Any) -> list[Any]:
    return [m for one in value for m in flattened(one)] if isinstance(value, list) else [value]


def every_scalar(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for one in value.values():
            yield from every_scalar(one)
    elif isinstance(value, list):
        for one in value:
            yield from every_scalar(one)
    elif value is not None:
        yield value


# ---------------------------------------------------------------- one value, one scalar


def scalar_holds(steps: list[str], wanted: Any, actual: Any, event: Mapped, keyword: bool) -> bool:
    if isinstance(actual, dict):  # it has no text: only `*` and what means the same holds
        if set(steps) - {"contains", "startswith", "endswith", "cased", "windash"}:
            return False
        return any(set(tokens) == {ANY} for tokens in spellings(steps, canonical(wanted), keyword))
    cased = "cased" in steps
    if "fieldref" in steps:
        return refers(steps, wanted, actual, event, cased)
    if steps and steps[0] == "re":
        return regex(steps, wanted, canonical(actual))
    if steps and steps[0] == "cidr":
        return in_network(wanted, canonical(actual))
    comparison = next((s for s in steps if s in ("gt", "gte", "lt", "lte")), None)
    part = next((s for s in steps if s in ("minute", "hour", "day", "week", "month", "year")), None)
    if comparison or part:
        return compared(comparison or "eq", part, wanted, actual)
    if not steps and not keyword:
        if not isinstance(wanted, str):
            return same(wanted, actual, cased)
        tokens = tokenized(wanted)
        if ANY not in tokens and ONE not in tokens:
            return same("".join(tokens), actual, cased)
    if steps == ["cased"] and not keyword:
        tokens = tokenized(canonical(wanted))
        if ANY not in tokens and ONE not in tokens:
            return same("".join(tokens), actual, cased)
    return any(fits(tokens, canonical(actual), cased) for tokens in spellings(steps, canonical(wanted), keyword))


def canonical(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    return float(value) if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", value) else None


def same(wanted: Any, actual: Any, cased: bool) -> bool:
    if folded(canonical(wanted), cased) == folded(canonical(actual), cased):
        return True
    both_texts = isinstance(wanted, str) and isinstance(actual, str)
    return not both_texts and number(wanted) is not None and number(wanted) == number(actual)


def folded(text: str, cased: bool) -> str:
    text = "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 else c for c in text)
    text = unicodedata.normalize("NFC", text)
    return text if cased else "".join(simple_fold(c) for c in text)


def simple_fold(char: str) -> str:
    """One character to one: the full folding if that is one, else the lower case if that is one."""
    for candidate in (char.casefold(), char.lower()):
        if len(candidate) == 1:
            return candidate
    return char


# ---------------------------------------------------------------- Sigma strings


def tokenized(text: str) -> list[Any]:
    """Characters and wildcards of a Sigma string, escapes undone."""
    out: list[Any] = []
    chars = list(text)
    while chars:
        char = chars.pop(0)
        if char == "\\" and chars and chars[0] in "\\*?":
            out.append(chars.pop(0))
        else:
            out.append(ANY if char == "*" else ONE if char == "?" else char)
    return out


def spellings(steps: list[str], wanted: str, keyword: bool) -> list[list[Any]]:
    """All forms of a value that its modifiers allow, as tokens."""
    forms: list[list[Any]] = [tokenized(wanted)]
    data: bytes | None = None
    placed = False
    for step in steps:
        if step in ("wide", "utf16le", "utf16be", "utf16"):
            text = "".join(forms[0])
            codec = {"utf16be": "utf-16-be"}.get(step, "utf-16-le")
            data = (b"\xff\xfe" if step == "utf16" else b"") + text.encode(codec)
        elif step == "base64":
            forms = [list(base64.b64encode("".join(forms[0]).encode() if data is None else data).decode())]
        elif step == "base64offset":
            raw = "".join(forms[0]).encode() if data is None else data
            forms = [sure_base64(raw, shift) for shift in range(3)]
        elif step == "windash":
            forms = [spelled for form in forms for spelled in dashes(form)]
        elif step in ("contains", "startswith", "endswith"):
            placed = True
            before = [] if step == "startswith" else [ANY]
            after = [] if step == "endswith" else [ANY]
            forms = [[*before, *form, *after] for form in forms]
        else:
            assert step in ("cased",), step
    return [[ANY, *form, ANY] for form in forms] if keyword and not placed else forms


def sure_base64(data: bytes, shift: int) -> list[str]:
    """The characters of the Base64 of (shift unknown bytes + data + unknown) of which all six bits are data's."""
    encoded = base64.b64encode(b"\0" * shift + data + b"\0\0\0").decode()
    first, last = 8 * shift, 8 * (shift + len(data))
    return [char for k, char in enumerate(encoded) if 6 * k >= first and 6 * k + 6 <= last]


def dashes(form: list[Any]) -> list[list[Any]]:
    word = lambda t: isinstance(t, str) and (t.isalnum() or t == "_")  # noqa: E731
    places = [
        i
        for i, token in enumerate(form)
        if token in ("-", "/") and not (i and word(form[i - 1])) and i + 1 < len(form) and word(form[i + 1])
    ]
    out = []
    for combination in product(DASHES, repeat=len(places)):
        spelled = list(form)
        for place, dash in zip(places, combination, strict=True):
            spelled[place] = dash
        out.append(spelled)
    return out


def fits(tokens: list[Any], text: str, cased: bool) -> bool:
    """Whole text against tokens, `*` as any run, by the set of positions that can be reached."""
    units: list[Any] = []
    run = ""
    for token in [*tokens, None]:
        if isinstance(token, str):
            run += token
            continue
        units += list(folded(run, cased))
        run = ""
        if token is not None:
            units.append(token)
    subject = folded(text, cased)
    reached = {0}
    for unit in units:
        if unit is ANY:
            reached = set(range(min(reached), len(subject) + 1)) if reached else set()
        else:
            reached = {i + 1 for i in reached if i < len(subject) and (unit is ONE or subject[i] == unit)}
    return len(subject) in reached


# ---------------------------------------------------------------- the other modifiers


def refers(steps: list[str], other: str, actual: Any, event: Mapped, cased: bool) -> bool:
    found = field_values(event, other)
    for its in [] if found is MISSING else flattened(found):
        if its is None or isinstance(its, dict):
            continue
        mine, theirs = folded(canonical(actual), cased), folded(canonical(its), cased)
        if (
            ("startswith" in steps and mine.startswith(theirs))
            or ("endswith" in steps and mine.endswith(theirs))
            or ("contains" in steps and theirs in mine)
            or (
                steps[0] == "fieldref"
                and not {"startswith", "endswith", "contains"} & set(steps)
                and same(actual, its, cased)
            )
        ):
            return True
    return False


def regex(steps: list[str], pattern: str, text: str) -> bool:
    """Python's engine, its `$` made RE2's."""
    flags = sum({"i": re.I, "m": re.M, "s": re.S}[s] for s in steps if s in "ims")
    if "m" not in steps:
        pattern = re.sub(r"\$", r"\\Z", pattern)
    return re.search(pattern, folded(text, cased=True), flags) is not None


def in_network(network: str, text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in ipaddress.ip_network(network)


def written(value: Any) -> str:
    """A date as text; an epoch number in s, ms, µs or ns from 1973 on as the UTC date that it is."""
    if isinstance(value, str):
        return value
    for scale in (1, 1e3, 1e6, 1e9):
        if 1e8 <= value / scale < 1e11:
            return datetime.fromtimestamp(value / scale, UTC).isoformat()
    return ""


def compared(operator: str, part: str | None, wanted: float, actual: Any) -> bool:
    value = number(actual)
    if part:
        actual = canonical(actual) if isinstance(actual, bool) else written(actual)
        found = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)", actual)
        if not found:
            return False
        value = int(found[["", "year", "month", "day", "hour", "minute"].index(part)])
    if value is None:
        return False
    return {
        "eq": value == wanted,
        "gt": value > wanted,
        "gte": value >= wanted,
        "lt": value < wanted,
        "lte": value <= wanted,
    }[operator]
