"""Where a figure was measured: one line for the top of every benchmark's output."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def circumstances() -> str:
    """Processor, cores, memory, Python and the load just now."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores of {cpu}, {memory} GB, Python {platform.python_version()}, load average {load:.1f}"
