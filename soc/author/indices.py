"""Log sources of rules → the event indices that may hold what such a rule is about."""

from __future__ import annotations

from typing import Final

from soc.detect.rule import contains
from soc.event import LogSource

#: The first line that a rule's log source answers decides; names of classes as the store has them.
_CLASSES: Final[tuple[tuple[LogSource, tuple[str, ...]], ...]] = (
    (LogSource(product="windows"), ("host",)),
    (LogSource(product="macos"), ("host",)),
    (LogSource(product="linux", service="auditd"), ("host",)),
    (LogSource(product="linux", service="auth"), ("host",)),
    (LogSource(product="linux", service="cron"), ("host",)),
    (LogSource(product="linux", service="sshd"), ("host",)),
    (LogSource(product="linux", service="sudo"), ("host",)),
    (LogSource(product="linux", category="process_creation"), ("host",)),
    (LogSource(product="linux", category="file_event"), ("host",)),
    (LogSource(product="linux"), ("host", "network")),  # its packet filter writes into the same log
    (LogSource(product="suricata"), ("network",)),
    (LogSource(product="zeek"), ("network",)),
    (LogSource(product="fortigate"), ("network",)),
    (LogSource(product="fortios"), ("network",)),
    (LogSource(category="webserver"), ("web",)),
    (LogSource(service="apache"), ("web",)),
    (LogSource(service="nginx"), ("web",)),
    (LogSource(service="iis"), ("web",)),
    (LogSource(product="iis"), ("web",)),
    (LogSource(category="proxy"), ("network", "web")),
    (LogSource(category="dns"), ("network",)),
    (LogSource(category="firewall"), ("host", "network")),
    (LogSource(category="antivirus"), ("host", "network")),
)


def indices(logsource: LogSource) -> tuple[str, ...]:
    """Index patterns of every namespace; one of all events where the log source says too little."""
    found = next((classes for asked, classes in _CLASSES if contains(asked, logsource)), ())
    return tuple(f"logs-soc.{name}-*" for name in found) or ("logs-soc.*",)
