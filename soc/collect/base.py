"""The collectors of a configuration in, all of them running in one process until told to stop.

    files    ── intents, positions ─────────────────────────────▶ bus
    syslog ┐
    http   ┴─ event loop ─▶ intake ─▶ spool ─▶ forwarding thread ─▶ bus

Everything they write is in one folder: `files.db`, `spool.db`. What they received, shed and set aside is read from
there with `soc.collect.counts.counts`, what the watched files are doing with `soc.collect.state.watched`.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from soc.bus.base import Bus
from soc.collect.file import FileCollector, FileSource
from soc.collect.forward import forward
from soc.collect.http import HttpListener, HttpServer
from soc.collect.intake import Intake
from soc.collect.open import FramingOf
from soc.collect.pulse import Pulse
from soc.collect.spool import Spool
from soc.collect.state import FileState
from soc.collect.syslog import SyslogListener, SyslogServer
from soc.event import ContentError, ContentErrors

log = logging.getLogger(__name__)

CollectorConfig = FileSource | SyslogListener | HttpListener

#: Files that were not read for so long are forgotten: longer than logs are kept anywhere (TCVN 14423: a year).
_REMEMBERED: Final = timedelta(days=400)
_FREE_LOOK_S: Final = 1.0
_LOOK_S: Final = 0.2


class Server(Protocol):
    """A listener with its sockets bound, served in the event loop."""

    async def serve(self, intake: Intake, stop: asyncio.Event) -> None: ...

    def close(self) -> None: ...


class Collecting:
    """All collectors of a configuration.

    Creating it binds every socket and opens the folder, so whatever is wrong is raised here: ContentErrors, or
    TransportError for a port that is taken. `run` then blocks until `stop` is set. The bus is used by two threads.
    `min_free_percent`: floor of free disk below which what is less than critical is not taken.
    """

    def __init__(
        self,
        collectors: Sequence[CollectorConfig],
        *,
        bus: Bus,
        folder: Path,
        framing_of: FramingOf | None = None,
        max_spool_bytes: int = 1 << 30,
        min_free_percent: float = 0.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._bus = bus
        self._now = now
        self._pulse = Pulse()
        with ExitStack() as opened:
            folder.mkdir(parents=True, exist_ok=True)
            min_free = int(shutil.disk_usage(folder).total * min_free_percent / 100)
            self._floor = _Floor(folder, min_free)
            self._state = FileState(folder, now)
            opened.callback(self._state.close)
            self._files = self._file_collector([c for c in collectors if isinstance(c, FileSource)], framing_of)
            self._spool = Spool(folder, max_bytes=max_spool_bytes, min_free=min_free, now=now)
            opened.callback(self._spool.close)
            self._servers = self._bind(collectors, opened)
            self._opened = opened.pop_all()

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; then store what was read, and end. Raises what a collector died of."""
        ended, stored = threading.Event(), threading.Event()
        with ThreadPoolExecutor(3, "collect") as pool:
            readers = [pool.submit(self._files.run, ended)]
            if self._servers:
                readers.append(pool.submit(asyncio.run, self._serve(ended)))
            forwarding = pool.submit(forward, self._spool, self._bus, stored, partial(self._pulse.beat, "forward"))
            try:
                while not stop.is_set() and not any(f.done() for f in (*readers, forwarding)):
                    stop.wait(_LOOK_S)
            finally:
                ended.set()
                wait(readers)
                stored.set()
                self._spool.arrived.set()
                wait([forwarding])
                self.close()
        for future in (*readers, forwarding):
            future.result()

    def idle_s(self) -> float:
        """Seconds for which one of the loops has not turned: those that wait for a bus or a disk turn all the same."""
        return self._pulse.idle_s()

    def close(self) -> None:
        """Close sockets and databases; `run` does it."""
        self._opened.close()

    def addresses(self) -> dict[str, int]:
        """Transport → port that was bound, of each kind the last one: for listeners on port 0."""
        ports: dict[str, int] = {}
        for server in self._servers:
            for kind in ("udp", "tcp"):
                if sock := getattr(server, kind, None):
                    ports["http" if isinstance(server, HttpServer) else kind] = sock.getsockname()[1]
        return ports

    # ------------------------------------------------------------ making

    def _file_collector(self, sources: Sequence[FileSource], framing_of: FramingOf | None) -> FileCollector:
        self._state.forget(self._now() - _REMEMBERED)
        return FileCollector(
            sources,
            self._state,
            self._bus,
            framing_of,
            now=self._now,
            paused=self._floor.why,
            turned=partial(self._pulse.beat, "files"),
        )

    def _bind(self, collectors: Sequence[CollectorConfig], opened: ExitStack) -> list[Server]:
        servers: list[Server] = []
        errors: list[ContentError] = []
        for config in collectors:
            server: Server
            try:
                if isinstance(config, SyslogListener):
                    server = SyslogServer(config, self._now)
                elif isinstance(config, HttpListener):
                    server = HttpServer(config, self._now)
                else:
                    continue
            except ContentError as e:
                errors.append(e)
                continue
            except ContentErrors as e:
                errors += e.errors
                continue
            opened.callback(server.close)
            servers.append(server)
        if errors:
            raise ContentErrors(errors)
        return servers

    async def _serve(self, stop: threading.Event) -> None:
        stopping = asyncio.Event()
        intake = Intake(self._spool)
        writing = asyncio.create_task(intake.run())
        serving = [asyncio.create_task(server.serve(intake, stopping)) for server in self._servers]
        watch = asyncio.create_task(self._until(stop))
        await asyncio.wait({writing, watch, *serving}, return_when=asyncio.FIRST_COMPLETED)
        stopping.set()
        if writing.done():
            await writing
        await asyncio.gather(*serving)
        await intake.close()
        watch.cancel()

    async def _until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._pulse.beat("network")
            await asyncio.sleep(0.1)


class _Floor:
    """Whether the disk has room, looked at once a second."""

    def __init__(self, folder: Path, min_free: int) -> None:
        self._folder = folder
        self._min_free = min_free
        self._looked = float("-inf")
        self._free = 0
        self._said = False

    def why(self, priority: str) -> str:
        """Why files of this priority wait; "" = they do not."""
        if not self._min_free:
            return ""
        if time.monotonic() - self._looked >= _FREE_LOOK_S:
            self._looked = time.monotonic()
            self._free = shutil.disk_usage(self._folder).free
        floor = self._min_free / 2 if priority == "critical" else self._min_free
        if self._free >= floor:
            self._said = False
            return ""
        why = f"only {self._free >> 20} MB of disk are free; the floor is {self._min_free >> 20} MB"
        if not self._said:
            log.error("files wait: %s; make room", why)
            self._said = True
        return why
