"""The embedded bus: one SQLite file per topic, one for the groups; processes share them through WAL mode."""

from soc.bus.sqlite.bus import SqliteBus

__all__ = ["SqliteBus"]
