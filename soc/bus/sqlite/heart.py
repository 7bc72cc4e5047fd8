"""Tokens of live members → their leases renewed in the background, so that a long batch loses no partition."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from soc.bus.sqlite.group import Groups
from soc.event import TransportError


class Heart:
    """One thread per bus. It renews a lease only while its member polls at least every `max_poll_interval_s`."""

    def __init__(self, path: Path, session_timeout_s: float, max_poll_interval_s: float) -> None:
        self._groups = Groups(path, session_timeout_s)
        self._interval_s = session_timeout_s / 4
        self._max_poll_interval_s = max_poll_interval_s
        self._lock = threading.Lock()
        self._polled: dict[str, float] = {}
        self._renewed: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus heartbeat", daemon=True)
        self._thread.start()

    def add(self, token: str) -> None:
        with self._lock:
            self._polled[token] = self._renewed[token] = time.monotonic()

    def remove(self, token: str) -> None:
        with self._lock:
            self._polled.pop(token, None)
            self._renewed.pop(token, None)

    def polled(self, token: str) -> None:
        """The member is at work."""
        self._polled[token] = time.monotonic()

    def renewed(self, token: str) -> float:
        """Monotonic time from which the member's lease runs."""
        return self._renewed.get(token, 0.0)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._groups.close()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            now = time.monotonic()
            with self._lock:
                tokens = [t for t, polled in self._polled.items() if now - polled < self._max_poll_interval_s]
            try:
                alive = self._groups.beat(tokens) if tokens else set()
            except TransportError:
                continue  # the lease runs on; poll notices when it has run out, and says why
            with self._lock:
                self._renewed.update((token, now) for token in alive if token in self._renewed)
