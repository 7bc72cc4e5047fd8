"""Log lines of a process: one line a record on stderr, with time, role, level and sentence."""

from __future__ import annotations

import logging
import os
import sys


def configure(role: str, quiet: bool = False) -> None:
    """`quiet`: warnings and errors only. SOC_LOG=debug|info|warning overrides."""
    level = os.environ.get("SOC_LOG", "warning" if quiet else "info").upper()
    logging.basicConfig(
        stream=sys.stderr,
        level=level if level in logging.getLevelNamesMapping() else "INFO",
        format=f"%(asctime)s {role} %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        force=True,
    )
    logging.getLogger("uvicorn").setLevel("WARNING")
    if level != "DEBUG":  # our own sentences say what is wrong with a server, and what to do
        logging.getLogger("kafka").setLevel("CRITICAL")
        logging.getLogger("elastic_transport").setLevel("CRITICAL")
        logging.getLogger("elasticsearch").setLevel("CRITICAL")
