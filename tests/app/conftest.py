"""The program as its users start it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Soc = Callable[..., Ran]


@pytest.fixture
def soc(root: Path, tmp_path: Path) -> Soc:
    """Runs `soc …` in the checkout, with its data in a folder of the test."""

    def run(*arguments: str | Path, stdin: bytes = b"", timeout_s: float = 110) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "soc.app", *map(str, arguments)],
            cwd=root,
            env=os.environ | {"SOC_DATA_DIR": str(tmp_path / "data"), "SOC_QUIET": "1", "COLUMNS": "160"},
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
