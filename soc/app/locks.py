"""Which roles run on a data directory: a lock file each, held while its process lives, so that none runs twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from soc.event import SocError, TransportError


class AlreadyRunningError(SocError):
    """Another process has that role on this data directory."""


class RoleLock:
    """Held until closed, or until the process ends, however it ends."""

    def __init__(self, data_dir: Path, member: str) -> None:
        folder = data_dir / "run"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = (folder / f"{member}.lock").open("a+")
        except OSError as error:
            raise TransportError(f"data_dir {data_dir} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            pid = self._file.read().strip()
            self._file.close()
            raise AlreadyRunningError(f"{member} is running already on {data_dir} (process {pid})") from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def is_running(data_dir: Path, member: str) -> bool:
    """Whether a live process holds the role."""
    try:
        RoleLock(data_dir, member).close()
    except AlreadyRunningError:
        return True
    return False
