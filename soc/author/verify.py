"""Runs rule tests: a case in; what the real parser, matcher and correlator made of it, and whether it was expected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from soc.alert.entity import entity, named_entity
from soc.alert.episodes import Episode, Episodes
from soc.alert.policy import duration
from soc.author.cases import Case
from soc.author.tree import tree
from soc.detect import RuleSet
from soc.detect.correlate import Correlator, correlated
from soc.detect.wire import completed
from soc.event import Detection, Event, RawRecord, RecordError, record_id, rfc3339, text_of
from soc.normalize import Sources

#: When every case happens: a fixed Monday morning in Vietnam, so that a test has no clock.
START: Final = datetime(2026, 3, 2, 2, 0, 0, tzinfo=UTC)
_TIME: Final = re.compile(r"\{t(?:([+-])(\d+[smhdw]))?(?:\|([^}]*))?\}")
_LATENESS: Final = timedelta(minutes=5)
_QUIET: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`why` is empty when the case passed; `explanation` then too."""

    case: Case
    alerts: int
    why: str = ""
    explanation: str = ""

    @property
    def passed(self) -> bool:
        return not self.why


def verify(case: Case, rules: RuleSet, sources: Sources) -> Outcome:
    """Run one case. Nothing of it reads a clock, a disk or a network."""
    try:
        events = list(events_of(case, sources))
    except KeyError:
        return Outcome(case, 0, f"no source {case.source!r}; `soc sources list` shows those there are")
    unparsed = next((e for e in events if isinstance(e, str)), None)
    if unparsed is not None:
        return Outcome(case, 0, unparsed)
    real = [e for e in events if isinstance(e, Event)]
    episodes = list(_alerts(case, real, rules))
    if len(episodes) != case.alerts:
        why = f"{len(episodes)} alerts, {case.alerts} expected"
        return Outcome(case, len(episodes), why, _explained(case, real, rules))
    for episode, detection in episodes:
        if why := _unlike(case, episode, detection):
            return Outcome(case, len(episodes), why)
    return Outcome(case, len(episodes))


def events_of(case: Case, sources: Sources) -> Iterator[Event | str]:
    """What a case puts in, as events; a text says what the parser refused. Raises KeyError for an unknown source."""
    source = sources.get(case.source)
    return _from_raw(case, source, sources) if case.raw else _from_fields(case, source)


def rendered(text: str, at: datetime, formats: Iterable[str], zone: str, number: int) -> str:
    """A raw line with its times and number filled in; the first of `formats` is the source's own."""
    own = next(iter(formats), "rfc3339")

    def time_text(found: re.Match[str]) -> str:
        sign, span, given = found.groups()
        offset = duration(span) if span else timedelta(0)
        return _formatted(at - offset if sign == "-" else at + offset, given or own, zone)

    return _TIME.sub(time_text, text).replace("{n}", str(number))


def _formatted(moment: datetime, form: str, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone or "UTC"))
    if form in {"unix", "unix_ms", "unix_us", "unix_ns"}:
        factor = {"unix": 1, "unix_ms": 1_000, "unix_us": 1_000_000, "unix_ns": 1_000_000_000}[form]
        return str(int(moment.timestamp()) * factor)
    if form == "syslog":
        return f"{local:%b} {local.day:2d} {local:%H:%M:%S}"
    if form == "httpdate":
        return f"{local:%d/%b/%Y:%H:%M:%S %z}"
    return local.strftime(form) if "%" in form else rfc3339(moment)


def _from_raw(case: Case, source: Any, sources: Sources) -> Iterator[Event | str]:
    for turn in range(case.times):
        at = START + turn * case.every
        for number, text in enumerate(case.raw):
            line = rendered(text, at, source.time_formats, source.time_zone, turn + 1).encode()
            record = RawRecord(
                id=record_id(START, case.name, turn, number),
                data=line,
                received=at,
                source=case.source,
                stream=case.name,
                facts={"file": case.name},  # as from a file: stamps are read in the source's zone
            )
            try:
                yield from sources.events(record)
            except RecordError as error:
                yield f"the parser {case.source} refused {line[:200]!r}: {error}"


def _from_fields(case: Case, source: Any) -> Iterator[Event]:
    for turn in range(case.times):
        at = START + turn * case.every
        for number, fields in enumerate(case.events):
            made = {"@timestamp": rfc3339(at), "event.dataset": case.source, **fields}
            event_id = record_id(START, case.name, turn, number)
            yield Event(event_id, event_id, at, at, case.source, tuple(source.logsources), made)


def _alerts(case: Case, events: list[Event], rules: RuleSet) -> Iterator[tuple[Episode, Detection]]:
    """The rule's alerts as the workers would make them: match, correlate (chains too), suppress by episode."""
    correlator = Correlator(rules.correlations, lateness=_LATENESS, fields=rules.names)
    found: list[Detection] = []
    matches = rules.match([e.fields for e in events], [e.logsources for e in events])
    for event, detections in zip(events, matches, strict=True):
        found += [completed(match, event) for match in detections]
    rule = rules.rules.get(case.rule_id)
    named = named_entity(rule.custom if rule else {})
    episodes = Episodes(lambda rule_id: _QUIET)
    own = [d for d in [*found, *correlated(correlator, found)] if d.rule_id == case.rule_id]
    for change in episodes.add((d, "", entity(d, named)) for d in own):
        yield change.episode, change.detection


def _unlike(case: Case, episode: Episode, detection: Detection) -> str:
    group = dict(episode.key[2])
    for name, value in case.group.items():
        actual = group.get(name, text_of(detection.fields.get(name)) if name in detection.fields else None)
        if actual != value:
            return f"group {name} is {actual!r}, {value!r} expected"
    if case.level and detection.level != case.level:
        return f"level is {detection.level}, {case.level} expected"
    if case.title and detection.title != case.title:
        return f"title is {detection.title!r}, {case.title!r} expected"
    return ""


def _explained(case: Case, events: list[Event], rules: RuleSet) -> str:
    """The rule's condition tree on the first event, or the counts that a correlation saw."""
    if not events:
        return "the parser made no event of the raw lines"
    if case.rule_id in rules.rules:
        return tree(rules.explain(case.rule_id, events[0].fields))
    fed = {r: 0 for c in rules.correlations if c.id == case.rule_id for r in c.rules}
    matches = rules.match([e.fields for e in events], [e.logsources for e in events])
    for detections in matches:
        for match in detections:
            if match.rule_id in fed:
                fed[match.rule_id] += 1
    return "detections that fed the correlation: " + ", ".join(f"{rule}: {n}" for rule, n in fed.items())
