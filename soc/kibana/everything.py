"""Content, rules that may alert and a setup in; every object that Kibana should hold out, Space by Space."""

from __future__ import annotations

from collections.abc import Sequence

from soc.event import ContentError, ContentErrors
from soc.kibana.access import role_item, space_item
from soc.kibana.dashboards import dashboard
from soc.kibana.definitions import Content
from soc.kibana.item import Item
from soc.kibana.promotion import Alerting, promotion
from soc.kibana.schema import problems
from soc.kibana.setup import Setup
from soc.kibana.views import data_view, discover_session, seen


def everything(content: Content, rules: Sequence[Alerting], setup: Setup) -> list[Item]:
    """Raises ContentErrors for objects that are not of the shape that Kibana takes (soc/kibana/schema.py)."""
    made: list[Item] = []
    for space in setup.spaces:
        access = content.staff if space.staff else content.group
        made += [space_item(space), role_item(space, access, setup)]
        views = [view for view in content.views.values() if seen(view, space)]
        made += [data_view(view, space, content, setup) for view in views]
        made += [
            discover_session(search, space)
            for search in content.searches.values()
            if seen(content.views[search.view], space)
        ]
        made += [dashboard(one, space, content, setup) for one in content.dashboards]
        if space.promote:
            made += promotion(space, rules, content.attack, setup)
    wrong = [ContentError(f"{item.kind} {item.id}", 0, why) for item in made for why in problems(item.kind, item.body)]
    if wrong:
        raise ContentErrors(wrong)
    return made
