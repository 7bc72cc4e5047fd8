"""Enrichment: processor time per event and events per second of one core, by kind of event.

.venv/bin/python -m benchmarks.enrich
"""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from soc.enrich import Enricher
from soc.event import Event
from soc.org import load_org

ORG = Path(__file__).resolve().parent.parent / "deploy" / "sample" / "org"
N = 200_000


def events(kind: str, seed: int = 7) -> list[Event]:
    """N events of known hosts, of unknown hosts with addresses, or of a firewall that sees the whole world."""
    rng = random.Random(seed)
    start = datetime(2026, 11, 20, tzinfo=UTC)
    made = []
    for i in range(N):
        fields: dict[str, Any] = {"host.name": "ys-motcua", "host.ip": ["192.0.2.70"], "event.category": ["process"]}
        if kind == "unknown hosts":
            fields = {"host.name": f"pc-{i % 2000}", "host.ip": [f"192.0.2.{i % 2000 % 256}"]}
        elif kind == "firewall":
            fields = {"host.name": "ttdl-fw01", "event.category": ["network"], "destination.ip": f"192.0.2.{i % 256}"}
            fields["source.ip"] = f"203.0.{rng.randrange(256)}.{rng.randrange(256)}"
        at = start + timedelta(seconds=i)
        made.append(Event(str(i), str(i), at, at, "x", (), fields, "vn:tinh:08@2025-07-01"))
    return made


def main() -> None:
    begin = time.perf_counter()
    org = load_org(ORG)
    print(f"load_org: {time.perf_counter() - begin:.2f} s, {len(org.units):,} units")
    for kind in ("known hosts", "unknown hosts", "firewall"):
        batch = events(kind)
        enricher = Enricher(org)
        begin = time.process_time()
        for i in range(0, N, 2_000):
            enricher.enrich(batch[i : i + 2_000])
        took = time.process_time() - begin
        print(f"{kind:14s} {took / N * 1e6:5.2f} µs/event  {N / took:10,.0f} events/s")


if __name__ == "__main__":
    main()
