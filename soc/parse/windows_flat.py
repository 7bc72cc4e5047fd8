"""Windows event as one flat JSON object (NXLog, Fluent Bit, Vector, osquery, PowerShell, …) → canonical `winlog.*`.

System's fields and the event data stand side by side there; a table per writer (windows_tables) says which is which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from soc.event import RecordError
from soc.parse.windows_names import (
    DATA,
    DATA_NAMES,
    integer,
    number_or_text,
    put_channel,
    put_data,
    put_event_id,
    put_guid,
    put_keywords,
    put_time,
    put_user_data,
)
from soc.parse.windows_strings import NAMES
from soc.parse.windows_tables import (
    CHANNEL,
    DATA_SECTION,
    GUID,
    ID,
    KEYWORDS,
    NXLOG,
    NXLOG_EVENT_TYPES,
    SNAKE,
    STRINGS,
    TIME,
    USER_SECTION,
    table_for,
)

#: Sysmon renders every item as its own line `Name: value`, in English everywhere; the first of a name is Sysmon's,
#: for what a user can write (command lines) comes after the names it could imitate.
_SYSMON_LINE: Final = re.compile(r"^([A-Za-z0-9]+): (.*?)\r?$", re.MULTILINE)
#: Sysmon events with an item EventType, which NXLog's own field of that name hides.
_WITH_EVENT_TYPE: Final = frozenset({12, 13, 14, 17, 18, 19, 20, 21})
_ZONE: Final = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
#: Words of the tables for what more than one member can hold, or needs a form of its own.
_MADE: Final = frozenset({CHANNEL, DATA_SECTION, GUID, ID, KEYWORDS, STRINGS, TIME, USER_SECTION})
#: NXLog's severity of what is no audit event → Windows' level; INFO is 0 or 4, so it stays a word
#: (https://docs.nxlog.co/refman/current/im/msvistalog.html#fields, Severity).
_LEVELS: Final[Mapping[str, int]] = {"CRITICAL": 1, "ERROR": 2, "WARNING": 3, "DEBUG": 5}
_QUARTER: Final = timedelta(minutes=15)


def from_flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical fields. Raises RecordError where no table knows the record or it has no event id."""
    table = table_for(record)
    if table is None:
        raise RecordError("bad_format", f"no Windows event: members {', '.join(list(record)[:8]) or 'none'}")
    out: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name, value in record.items():
        path = table.get(name)
        if path is None:
            if name == "EventType" and table is NXLOG and str(value) in NXLOG_EVENT_TYPES:
                out["nxlog.EventType"] = value
            elif value.__class__ is dict or value.__class__ is list:
                put_data(out, {name: value})
            elif table is SNAKE:
                out[f"winlog.{name}"] = value
            else:
                out[DATA_NAMES[name]] = value
        elif path in _MADE:
            made.setdefault(path, value)
        elif path:
            if value.__class__ is dict:  # PowerShell writes some values as objects of one Value
                value = value.get("Value")
            if value is not None and value != "":
                out[path] = value
    put_event_id(out, made.get(ID))
    if table is SNAKE and CHANNEL not in made:
        made[CHANNEL] = out.pop("winlog.source", None)
    put_channel(out, made.get(CHANNEL))
    put_keywords(out, made.get(KEYWORDS))
    put_guid(out, "winlog.provider_guid", made.get(GUID))
    if "winlog.level" not in out and (number := integer(out.get("winlog.level_name"))) is not None:
        out["winlog.level"] = number  # osquery has the number where others have the word
        del out["winlog.level_name"]
    elif (
        "winlog.level" not in out
        and (level := _LEVELS.get(str(out.get("nxlog.Severity")))) is not None
        and str(out.get("nxlog.EventType"))[:6] != "AUDIT_"
    ):
        out["winlog.level"] = level
    _put_numbers(out)
    _put_sections(out, _opened(made.get(DATA_SECTION)), made.get(USER_SECTION))
    _put_strings(out, made.get(STRINGS))
    if out.get("winlog.event_id") == 7045 and "winlog.user.name" in out:
        out.setdefault(
            DATA + "AccountName", out["winlog.user.name"]
        )  # the service's account; NXLog has one name for both
    if "sysmon" in str(out.get("winlog.channel", "")).lower():
        _put_sysmon_lines(out)
    _put_time(out, made.get(TIME))
    return out


def _put_numbers(out: dict[str, Any]) -> None:
    for path in (
        "winlog.record_id",
        "winlog.process.pid",
        "winlog.process.thread.id",
        "winlog.version",
        "winlog.level",
        "winlog.task",
        "winlog.opcode",
    ):
        value = out.get(path)
        if value is not None and value.__class__ is not int:
            out[path] = number_or_text(value)
    for path in ("winlog.activity_id", "winlog.related_activity_id"):
        if path in out:
            put_guid(out, path, out.pop(path))


def _opened(data: Any) -> Any:
    """Event data that stand as JSON text in one member (osquery)."""
    if data.__class__ is str and data[:1] == "{":
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise RecordError("bad_format", f"event data as JSON text: {error}") from error
    return data


def _put_sections(out: dict[str, Any], data: Any, user_data: Any) -> None:
    """Event data and user data; osquery names which of the two it has below `data`."""
    if data.__class__ is dict and ("EventData" in data or "UserData" in data):
        data, user_data = data.get("EventData"), data.get("UserData")
    put_data(out, data)
    put_user_data(out, user_data)


def _put_strings(out: dict[str, Any], values: Any) -> None:
    """Values whose names the writer dropped: by the names of the event's template, else the list `Data`."""
    if values.__class__ is not list or not values or any(path.startswith(DATA) for path in out):
        return
    texts = [v.get("Value") if v.__class__ is dict else v for v in values]
    names = NAMES.get((str(out.get("winlog.provider_name", "")).lower(), out["winlog.event_id"]))
    if names is not None:
        out.update({DATA + name: value for name, value in zip(names, texts, strict=False)})
    else:
        out[DATA + "Data"] = texts[0] if len(texts) == 1 else texts


def _put_sysmon_lines(out: dict[str, Any]) -> None:
    """Items that only the message has (names dropped by the agent, or hidden by a name of its own)."""
    if DATA + "UtcTime" in out and (DATA + "EventType" in out or out["winlog.event_id"] not in _WITH_EVENT_TYPE):
        return
    message = out.get("message")
    if message.__class__ is str:
        for name, value in _SYSMON_LINE.findall(message):
            out.setdefault(DATA + name, value)


def _put_time(out: dict[str, Any], created: Any) -> None:
    """When it happened: the sender's time with a zone, else the one whose zone can be known, else as it is.

    NXLog writes EventTime and EventReceivedTime in local time without zone. Beside Logstash's @timestamp (UTC, taken
    within seconds of the receipt) the zone shows; Sysmon's UtcTime needs none.
    """
    local, received = out.get("nxlog.EventTime"), out.get("nxlog.EventReceivedTime")
    stamp = out.pop("@timestamp", None)
    for value in (created, local):
        if value is not None and (value.__class__ is not str or _ZONE.search(value[-7:]) or value[:1] == "/"):
            put_time(out, value)
            return
    utc = out.get(DATA + "UtcTime")
    if local.__class__ is str and (shift := _offset(received, stamp)) is not None:
        put_time(out, f"{local}{shift}")
    elif utc.__class__ is str and _parsed(f"{utc}Z") is not None:
        put_time(out, f"{utc}Z")
    else:
        put_time(out, next((v for v in (created, local, stamp) if v is not None), None))


def _parsed(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text.__class__ is str else None
    except ValueError:
        return None


def _offset(received: Any, stamp: Any) -> str | None:
    """`+07:00` where local receipt and UTC stamp are a whole number of quarters apart, within five minutes."""
    there, here = _parsed(received), _parsed(stamp)
    if there is None or here is None or there.tzinfo is not None or here.tzinfo is None:
        return None
    apart = there - here.replace(tzinfo=None)
    quarters = round(apart / _QUARTER)
    if abs(apart - quarters * _QUARTER) > timedelta(minutes=5) or abs(quarters) > 56:
        return None
    sign, minutes = ("-" if quarters < 0 else "+"), abs(quarters) * 15
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
