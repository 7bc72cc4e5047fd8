"""`soc run all`: one process per role, started, watched, started again, stopped together.

A role that dies is started again after a pause that doubles while it keeps dying. A role whose loop has not turned for
two minutes is ended and started again: that is the watchdog for calls that hang. A service manager that asks for it
(sd_notify) is told by whoever it started: by the supervisor, or by a role that runs alone. Where nobody watches a role
(a container), SOC_WATCHDOG_S lets it end itself, and say where it hung, after so many seconds without a turn.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from soc.app.notify import ALIVE, READY, VARIABLES, notify, watchdog_s

log = logging.getLogger("soc.run")

#: Exit codes after which starting again is pointless: wrong usage, wrong content.
_FINAL_CODES: Final = (2, 3)
_STUCK_S: Final = 120.0
_STOP_S: Final = 30.0
_STEADY_S: Final = 30.0
_LONGEST_PAUSE_S: Final = 30.0
#: A beat is written, and told, at most so often: once a second, or twice in the time that a watchdog allows.
_BEAT_S: Final = 1.0


@dataclass(slots=True)
class Role:
    """One supervised process."""

    member: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause_s: float = 0.5
    due: float = 0.0
    restarts: int = 0


@dataclass(slots=True)
class Supervisor:
    """`roles` are (member, arguments after `soc`)."""

    data_dir: Path
    roles: list[Role] = field(default_factory=list)
    log_level: str = ""  # of the roles; "" = their own
    ended: bool = False

    def run(self, stop: threading.Event) -> int:
        """Until `stop` is set or a role cannot run at all; the exit code."""
        code = 0
        told = Manager()
        try:
            while not stop.is_set():
                if (code := self._turn()) != 0:
                    break
                told.turn(ready=self._all_turn())
                stop.wait(0.2)
        finally:
            self._stop_all()
            self.ended = True
        return code

    def _turn(self) -> int:
        now = time.monotonic()
        for role in self.roles:
            if role.process is None:
                if now >= role.due:
                    self._start(role, now)
                continue
            code = role.process.poll()
            if code is None:
                if now - role.started > _STUCK_S and _idle_s(self.data_dir, role.member) > _STUCK_S:
                    log.error("%s has not moved for %.0f s; starting it again", role.member, _STUCK_S)
                    role.process.kill()
                elif now - role.started > _STEADY_S:
                    role.pause_s = 0.5
                continue
            if code in _FINAL_CODES:
                log.error("%s cannot run (exit code %s): see the sentence above", role.member, code)
                return code
            role.process = None
            role.restarts += 1
            role.due = now + role.pause_s
            log.warning("%s ended with code %s; starting it again in %.1f s", role.member, code, role.pause_s)
            role.pause_s = min(_LONGEST_PAUSE_S, role.pause_s * 2)
        return 0

    def _all_turn(self) -> bool:
        """Whether every role's loop has turned since it was started."""
        now = time.monotonic()
        return all(
            role.process is not None and _idle_s(self.data_dir, role.member) < now - role.started for role in self.roles
        )

    def _start(self, role: Role, now: float) -> None:
        beat_path(self.data_dir, role.member).parent.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        environment |= {"SOC_PARENT": str(os.getpid()), "SOC_DATA_DIR": str(self.data_dir)}
        if self.log_level:
            environment.setdefault("SOC_LOG", self.log_level)
        role.process = subprocess.Popen(
            [sys.executable, "-m", "soc.app", *role.arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the roles in order
        )
        role.started = now

    def _stop_all(self) -> None:
        """Collectors first, so that nothing new arrives while the others finish their batch."""
        for role in self.roles:
            if role.process is not None and role.process.poll() is None:
                role.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_S
        for role in self.roles:
            if role.process is None:
                continue
            try:
                role.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("%s did not stop within %.0f s; ended it", role.member, _STOP_S)
                role.process.kill()
                role.process.wait()


def beat_path(data_dir: Path, member: str) -> Path:
    return data_dir / "run" / f"{member}.beat"


class Manager:
    """The service manager that started this process, if one did: told that we are ready and that we live."""

    def __init__(self) -> None:
        self._watched = watchdog_s() > 0
        self.every_s = min(_BEAT_S, watchdog_s() / 2 or _BEAT_S)
        self._ready = False
        self._last = 0.0

    def turn(self, *, ready: bool = True) -> None:
        """The loop has turned; `ready`: and does its work. May be called as often as one likes."""
        now = time.monotonic()
        if ready and not self._ready:
            self._ready = notify(READY, "STATUS=running")
        if now - self._last >= self.every_s:
            self._last = now
            if self._watched:
                notify(ALIVE)


class Beat:
    """Touched by a worker once a turn, at most once a second on disk; also ends a worker whose supervisor is gone."""

    def __init__(self, data_dir: Path, member: str, stop: threading.Event) -> None:
        self._path = beat_path(data_dir, member)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._stop = stop
        self._last = 0.0
        self._parent = int(os.environ.get("SOC_PARENT", "0"))
        self._manager = Manager()
        self._fuse_s = float(os.environ.get("SOC_WATCHDOG_S") or 0)

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last < self._manager.every_s:
            return
        self._manager.turn()
        if self._fuse_s:  # a thread of its own that needs no interpreter; set anew at each turn
            faulthandler.dump_traceback_later(self._fuse_s, exit=True)
        self._last = now
        self._path.touch()
        if self._parent and os.getppid() != self._parent:
            log.warning("the supervisor is gone; stopping")
            self._stop.set()


def _idle_s(data_dir: Path, member: str) -> float:
    try:
        return time.time() - beat_path(data_dir, member).stat().st_mtime
    except FileNotFoundError:
        return float("inf")
