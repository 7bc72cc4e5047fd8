"""Events in; the same events with their unit, agency and asset, in place.

`Enricher(org).enrich(events)` writes `soc.unit.*`, `organization.*` and `soc.asset.*`.
"""

from soc.enrich.place import Enricher

__all__ = ["Enricher"]
