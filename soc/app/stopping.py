"""Signals in, the event that tells workers to stop out."""

from __future__ import annotations

import signal
import threading

from soc.app.notify import STOPPING, notify


def stopping() -> threading.Event:
    """Set by SIGTERM and SIGINT; a second signal ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        notify(STOPPING, "STATUS=stopping")

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
