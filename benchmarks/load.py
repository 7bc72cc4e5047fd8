"""Log lines of a busy province at a steady rate, each one unlike all others, sent over HTTP until it is taken.

Their times are fixed by their number, so the same load twice gives the same alerts. Every 200 lines hold one guesser of
passwords (12 failures, then a success), a scan of web paths and a sudo that a rule knows.
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))
CYCLE = 200
SENDERS = 8  # addresses of loopback, so that the records spread over partitions


def line(number: int, start: datetime, rate: float) -> str:
    """The line of that number: sshd and sudo as rsyslog writes them, with ISO times."""
    moment = (start + timedelta(seconds=number / rate)).astimezone(VIETNAM)
    cycle, at = divmod(number, CYCLE)
    host = f"web{cycle % 7:02d}"
    stamp = moment.isoformat(timespec="microseconds")
    guesser = f"203.0.113.{cycle % 250}"
    if at % 4 == 0 and at < 48:
        text = f"sshd[{number}]: Failed password for invalid user u{cycle} from {guesser} port {20000 + at} ssh2"
    elif at == 52:
        text = f"sshd[{number}]: Accepted password for root from {guesser} port {20000 + at} ssh2"
    elif at == 100:
        text = f"sudo[{number}]:   ann{cycle} : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/usr/sbin/useradd x{cycle}"
    else:
        ours = f"192.0.2.{number % 200} port {30000 + at} ssh2: ED25519 SHA256:n{number}"
        text = f"sshd[{number}]: Accepted publickey for ops{number % 9} from {ours}"
    return f"{stamp} {host} {text}"


def lines(numbers: Sequence[int], start: datetime, rate: float) -> Iterator[str]:
    return (line(n, start, rate) for n in numbers)


@dataclass
class Load:
    """A thread that sends `total` lines at `rate` per second in requests of `batch`, again and again until each is
    taken. A request that is sent again is the same records for the collector (digest of its body)."""

    address: str
    rate: float
    total: int
    start: datetime = field(default_factory=lambda: datetime.now(UTC))
    batch: int = 50
    sent: int = 0
    refused: int = 0  # answers other than 200, and connections that broke
    longest_s: float = 0.0  # that a request had to wait
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        rng = random.Random(1)
        for first in range(0, self.total, self.batch):
            wait = began + first / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            numbers = range(first, min(self.total, first + self.batch))
            self._send("\n".join(lines(numbers, self.start, self.rate)).encode(), rng.randrange(SENDERS))
            self.sent += len(numbers)

    def _send(self, body: bytes, sender: int) -> None:
        begun = time.monotonic()
        while True:
            connection = http.client.HTTPConnection(
                self.address, timeout=30, source_address=(f"127.0.0.{10 + sender}", 0)
            )
            try:
                connection.request("POST", "/records", body, {"Content-Type": "text/plain"})
                if connection.getresponse().status == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            self.refused += 1
            time.sleep(0.2)
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
