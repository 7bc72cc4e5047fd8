"""Who takes part in a correlation: a detection in; its group and the item that is counted out, or None.

Group-by and value fields are Sigma names of the referenced rules. A name is looked up in an event under its mapped
names first, then as it stands; the flat key first, then the nested path; of a list the first member counts. A
missing or null field means that the detection does not take part. Values keep their case: `Admin` and `admin` are two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from soc.detect.correlation import NUMERIC, TEMPORAL, Correlation
from soc.detect.correlation_condition import exact
from soc.detect.measure import Item, ahead, rising
from soc.event import Detection, text_of

#: (rule id, Sigma field name) → names of that field in an event, best first.
FieldNames = Callable[[str, str], tuple[str, ...]]
Group = tuple[str, ...]
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field to read: its Sigma name and its names in the event."""

    sigma: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read from the detections of one rule; `bit` stands for the rule in temporal correlations."""

    group: tuple[Wanted, ...]
    values: tuple[Wanted, ...]
    bit: int


class Plan:
    """A resolved correlation made ready to run: times in µs, fields to read, bounds.

    `reach` is how far back entries are kept: an event within the lateness needs the window before it, and a `not`
    that looks ahead one timespan more. `limit` is the most entries of one window.
    """

    def __init__(self, correlation: Correlation, lateness: timedelta, names: FieldNames, limit: int) -> None:
        self.correlation = correlation
        self.temporal = correlation.type in TEMPORAL
        self.numeric = correlation.type in NUMERIC
        self.span = correlation.timespan // _MICROSECOND
        self.lateness = lateness // _MICROSECOND
        self.ahead = self.span if ahead(correlation) else 0
        self.reach = self.lateness + self.span + self.ahead
        self.rising = rising(correlation)
        thresholds = [int(abs(n)) for _, n in correlation.condition.compare] if not self.numeric else []
        self.limit = max(limit, 2 * max(thresholds, default=0))
        self.readings = {rule: self._reading(rule, i, names) for i, rule in enumerate(correlation.rules)}
        asked = {rule for term in correlation.condition.alternatives for rule in term.present} or correlation.rules
        #: Bits of rules that are only ever asked to be absent: their events are not counted.
        self.shunned = sum(1 << i for i, rule in enumerate(correlation.rules) if rule not in asked)

    def _reading(self, rule: str, index: int, names: FieldNames) -> Reading:
        def wanted(field: str) -> Wanted:
            sigma = self.correlation.aliases.get(field, {}).get(rule, field)
            return Wanted(sigma, tuple(dict.fromkeys((*names(rule, sigma), sigma))))

        return Reading(
            tuple(wanted(field) for field in self.correlation.group_by),
            tuple(wanted(field) for field in self.correlation.condition.fields),
            1 << index,
        )

    def group(self, detection: Detection) -> Group | None:
        """Texts of the group-by fields, or None if the detection does not take part."""
        reading = self.readings.get(detection.rule_id)
        if reading is None or not detection.count:  # a withdrawn episode counts nothing
            return None
        values: list[str] = []
        for want in reading.group:
            value = _value(detection, want)
            if value is None:
                return None
            values.append(value if type(value) is str else _text(value))
        return tuple(values)

    def item(self, detection: Detection) -> tuple[Item] | None:
        """What is counted (a rule's bit, a number, values, None) in a tuple; None if the detection has none."""
        reading = self.readings[detection.rule_id]
        if self.temporal:
            return (reading.bit,)
        if not reading.values:
            return (None,)
        values = [_value(detection, want) for want in reading.values]
        if self.numeric:
            number = exact(values[0])
            return None if number is None else (number,)
        if None in values:
            return None
        return (tuple(_text(value) for value in values),)


def key_of(correlation_id: str, group: Group) -> bytes:
    """Correlation and group as a bus key; different groups never share one."""
    parts = (correlation_id, *group)
    return "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")


def _value(detection: Detection, want: Wanted) -> Any:
    if detection.kind == "correlation" and (known := detection.group.get(want.sigma)) is not None:
        return known
    fields = detection.fields
    for name in want.names:
        value = fields.get(name)
        if value is None and "." in name:
            value = _nested(fields, name)
        if isinstance(value, (list, tuple)):
            value = value[0] if value else None
        if value is not None and not isinstance(value, (Mapping, list)):
            return value
    return None


def _nested(fields: Mapping[str, Any], name: str) -> Any:
    """The value at a path whose steps may themselves hold dots: `a.b.c` is found as a → b.c, too."""
    head, _, rest = name.partition(".")
    while rest:
        inner = fields.get(head)
        if isinstance(inner, Mapping):
            value = inner.get(rest)
            if value is None and "." in rest:
                value = _nested(inner, rest)
            if value is not None:
                return value
        step, _, rest = rest.partition(".")
        head = f"{head}.{step}"
    return None


def _text(value: Any) -> str:
    """Canonical text; 1.0 is 1."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else text_of(value)
