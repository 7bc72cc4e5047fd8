"""What this process has come to → the service manager's socket, as sd_notify(3) says; nothing where there is none.

https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

log = logging.getLogger("soc.notify")

READY: Final = "READY=1"
ALIVE: Final = "WATCHDOG=1"
STOPPING: Final = "STOPPING=1"

#: For the manager's process and no other: whoever starts processes of its own takes them out of their environment.
VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

_SEND_S: Final = 1.0


def notify(*assignments: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send assignments such as READY=1 or STATUS=…, one datagram; whether the manager's socket took it.

    Without NOTIFY_SOCKET nothing is done. A socket that cannot be written is told in the log: it is no reason to end.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if address[:1] not in {"/", "@"} or len(address) < 2:
        return False
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.settimeout(_SEND_S)
            out.sendto("\n".join(assignments).encode(), address)
    except OSError as error:
        log.warning("the service manager was not told %s: %s", assignments[0], error.strerror or error)
        return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds within which the manager wants to hear WATCHDOG=1 from this process; 0.0 if it does not.

    sd_watchdog_enabled(3): WATCHDOG_PID, where it is set, names whom it is meant for.
    """
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0
