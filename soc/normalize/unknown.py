"""Any bytes → one event of source "unknown": kept and searchable, with the syslog header where there is one."""

from __future__ import annotations

from typing import Any, Final

from soc.event import Event, RawRecord, RecordError
from soc.normalize.recognise import UNKNOWN
from soc.normalize.text import texts
from soc.normalize.times import ZONE_GUESSED, received_moment, time_reader, utc_reader
from soc.normalize.values import long
from soc.parse import DECODERS

_HEADER: Final = DECODERS["syslog"].make(optional=True)
_TEXTS: Final = texts()
#: A stamp without zone could be in any; it is read as what the devices of the province log.
_ZONE: Final = "Asia/Ho_Chi_Minh"
_TIME: Final = time_reader(("syslog",), _ZONE)
_IN_UTC: Final = utc_reader(("syslog",), _ZONE)
_NAMES: Final = (
    ("host", "host.name"),
    ("program", "process.name"),
    ("priority", "log.syslog.priority"),
    ("facility", "log.syslog.facility.code"),
    ("severity", "log.syslog.severity.code"),
    ("msgid", "log.syslog.msgid"),
)


def unknown(record: RawRecord) -> Event:
    """Never raises: what cannot be understood is the message."""
    text, original = _TEXTS(record.data)
    fields: dict[str, Any] = {
        "event.kind": "event",
        "event.dataset": UNKNOWN,
        "event.original": original,
        "message": text,
    }
    moment = received_moment(record.received)
    try:
        header = _HEADER(text)
        if "timestamp" in header:
            moment = _TIME(header["timestamp"], record.received)
            if "file" not in record.facts and _IN_UTC is not None:
                meant = _IN_UTC(header["timestamp"], record.received, moment)
                if meant is not None:
                    moment = meant
                    fields |= {"event.timezone": "UTC", ZONE_GUESSED: True}
    except RecordError:
        header = {}
    if len(header) > 1:
        fields["message"] = header["message"]
        for name, ours in _NAMES:
            if name in header:
                fields[ours] = header[name]
        pid = long(header.get("pid"))
        if pid is not None:
            fields["process.pid"] = pid
        if "host" in header:
            fields["related.hosts"] = [header["host"]]
    fields["@timestamp"] = moment[1]
    return Event(record.id, record.id, moment[0], record.received, UNKNOWN, (), fields, record.unit)
