"""`python -m benchmarks`: every benchmark, one after the other, with its figures on stdout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.circumstances import circumstances

NOT_ONE = {"__init__", "__main__", "circumstances"}


def main() -> None:
    print(circumstances())
    for name in sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_ONE):
        print(f"\n== python -m benchmarks.{name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
