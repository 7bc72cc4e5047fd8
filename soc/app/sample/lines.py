"""What happened → the raw line that the device writes about it, one function for each log format.

Formats follow their vendors: OpenSSH and sudo through rsyslog (RFC 3164 or ISO 8601 time), nginx `combined`
(https://nginx.org/en/docs/http/ngx_http_log_module.html), FortiOS traffic logs (FortiOS Log Message Reference),
Suricata EVE (https://docs.suricata.io/en/latest/output/eve/eve-json-format.html), CEF (ArcSight CEF v25).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from soc.app.sample.cast import FIREWALL, SENSOR

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def syslog(at: datetime, host: str, tag: str, text: str, *, iso: bool) -> str:
    """A line of rsyslog's auth.log: traditional time (no year, no zone) or ISO 8601 as on newer systems."""
    stamp = at.isoformat(timespec="microseconds") if iso else f"{_MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S}"
    return f"{stamp} {host} {tag}: {text}"


def nginx(at: datetime, ip: str, request: str, status: int, size: int, referer: str, agent: str) -> str:
    """log_format combined."""
    stamp = f"{at.day:02d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S %z}"
    return f'{ip} - - [{stamp}] "{request}" {status} {size} "{referer}" "{agent}"'


def fortigate(at: datetime, session: int, fields: dict[str, Any]) -> str:
    """A FortiOS log line; numbers bare, texts in quotes, as the device writes them."""
    head: dict[str, Any] = {
        "date": f"{at:%Y-%m-%d}",
        "time": f"{at:%H:%M:%S}",
        "devname": FIREWALL.name,
        "devid": "FGT60FSAMPLE0001",
        "eventtime": int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000,
        "tz": "+0700",
    }
    bare = {"date", "time", "srcip", "dstip", "mastersrcmac"}
    parts = []
    for name, value in (head | fields | {"sessionid": session}).items():
        parts.append(f"{name}={value}" if isinstance(value, int) or name in bare else f'{name}="{value}"')
    return " ".join(parts)


def traffic(action: str, src: tuple[str, int], dst: tuple[str, int], *, proto: int, service: str, **more: Any) -> Any:
    """Fields of a FortiOS forward-traffic log: log id 0000000013, action accept, deny, close, timeout, …"""
    inward = not src[0].startswith("192.0.2.")
    near, far = ("wan1", "internal") if inward else ("internal", "wan1")
    return {
        "logid": "0000000013",
        "type": "traffic",
        "subtype": "forward",
        "level": "notice",
        "vd": "root",
        "srcip": src[0],
        "srcport": src[1],
        "srcintf": near,
        "srcintfrole": "wan" if inward else "lan",
        "dstip": dst[0],
        "dstport": dst[1],
        "dstintf": far,
        "dstintfrole": "lan" if inward else "wan",
        "proto": proto,
        "action": action,
        "policyid": 0 if action == "deny" else 12,
        "policytype": "policy",
        "service": service,
        **more,
    }


def eve(
    at: datetime, kind: str, flow_id: int, src: tuple[str, int], dst: tuple[str, int], proto: str, **more: Any
) -> str:
    """A Suricata EVE record of an event type; `more` holds the type's own object."""
    record = {
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.%f%z"),
        "flow_id": flow_id,
        "host": SENSOR.name,
        "in_iface": "eth1",
        "event_type": kind,
        "src_ip": src[0],
        "src_port": src[1],
        "dest_ip": dst[0],
        "dest_port": dst[1],
        "proto": proto,
        **more,
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def cef(at: datetime, host: str, signature: str, name: str, severity: int, **fields: Any) -> str:
    """A CEF line of the (invented) antivirus server; extension values escaped as the format asks."""
    fields = {"rt": int(at.timestamp() * 1000), **fields}
    text = " ".join(
        f"{k}={str(v).replace(chr(92), chr(92) * 2).replace('=', chr(92) + '=')}" for k, v in fields.items()
    )
    header = f"CEF:0|Example Security|Example Endpoint Antivirus|7.2|{signature}|{name}|{severity}|"
    return f"{_MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S} {host} {header}{text}"


def utc(at: datetime) -> str:
    """2026-11-20T01:02:03.123456Z"""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
