"""The sender's names → ECS events, by source definitions in pipelines/sources that are compiled at load."""

from __future__ import annotations

from soc.normalize.sources import Source, Sources, load_sources

__all__ = ["Source", "Sources", "load_sources"]
