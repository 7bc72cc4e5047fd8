"""`python -m benchmarks [--servers]`: every benchmark, one after the other, with its figures on stdout.

`--servers`: those that start a Kafka and an Elasticsearch of their own, too; half an hour more.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.circumstances import circumstances

NOT_ONE = {"__init__", "__main__", "circumstances", "cluster", "load", "proxy", "trial"} | {
    path.stem for path in Path(__file__).parent.glob("sigma_*.py")
}
ON_SERVERS = {"faults", "outage", "scale"}


def main() -> None:
    print(circumstances())
    left_out = NOT_ONE if "--servers" in sys.argv[1:] else NOT_ONE | ON_SERVERS
    here = sorted(path.stem for path in Path(__file__).parent.glob("*.py"))
    for name in (name for name in here if name not in left_out and not name.startswith("sigma_")):  # parts of sigma
        print(f"\n== python -m benchmarks.{name}", flush=True)
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)


if __name__ == "__main__":
    main()
