"""Dashboards: a definition and a Space in, the body of `PUT /api/dashboards/{id}` out.

Panels of a row share its height and, where they name no width, its 48 columns. Panels of a view that the Space does not
have are left out, and what is left fills the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from soc.kibana.definitions import Content, Control, Dashboard, Panel
from soc.kibana.item import Item, marked
from soc.kibana.panels import config
from soc.kibana.reading import COLUMNS
from soc.kibana.setup import Setup, Space
from soc.kibana.views import seen, view_id

_TYPES = {"search": "discover_session", "text": "markdown"}


def dashboard(definition: Dashboard, space: Space, content: Content, setup: Setup) -> Item:
    made = _Layout(definition, space, content, setup)
    body: dict[str, Any] = {
        "title": definition.title,
        "description": definition.question,
        "time_range": {"from": f"now-{definition.last}", "to": "now"},
    }
    if definition.refresh_s:
        body["refresh_interval"] = {"pause": False, "value": definition.refresh_s * 1000}
    body["pinned_panels"] = [_control(control, space, definition.view) for control in definition.controls]
    body["panels"] = made.panels()
    dashboard_id = view_id(space, definition.name)
    return Item("dashboard", space.id, dashboard_id, definition.title, marked("dashboard", body))


def _control(control: Control, space: Space, view: str) -> dict[str, Any]:
    return {
        "type": "options_list_control",
        "width": "medium",
        "grow": True,
        "config": {"title": control.title, "data_view_id": view_id(space, view), "field_name": control.field},
    }


@dataclass(slots=True)
class _Layout:
    definition: Dashboard
    space: Space
    content: Content
    setup: Setup

    def panels(self) -> list[dict[str, Any]]:
        """Sections, each with the rows from its name on to the next; rows before the first name stand alone."""
        made: list[dict[str, Any]] = []
        target, y, number = made, 0, 0
        for row in self.definition.rows:
            shown = [panel for panel in row.panels if self._seen(panel)]
            if row.name:
                target, y = [], 0
                made.append({"title": row.name, "collapsed": False, "grid": {"y": len(made)}, "panels": target})
            for panel, x, width in _placed(shown):
                number += 1
                target.append(self._panel(panel, number, {"x": x, "y": y, "w": width, "h": row.height}))
            y += row.height if shown else 0
        return [one for one in made if "panels" not in one or one["panels"]]

    def _seen(self, panel: Panel) -> bool:
        return panel.kind == "text" or seen(self.content.views[panel.view], self.space)

    def _panel(self, panel: Panel, number: int, grid: dict[str, int]) -> dict[str, Any]:
        return {
            "type": _TYPES.get(panel.kind, "vis"),
            "id": f"{self.definition.name}-{number:02d}",
            "grid": grid,
            "config": config(panel, self.space, self.content, self.setup),
        }


def _placed(panels: list[Panel]) -> list[tuple[Panel, int, int]]:
    """Panels with x and width. Those without a width of their own share what is left, the first ones what is over."""
    free = [panel for panel in panels if not panel.width]
    left = COLUMNS - sum(panel.width for panel in panels)
    placed, x, given = [], 0, 0
    for panel in panels:
        width = panel.width
        if not width:
            width = left // len(free) + (1 if given < left % len(free) else 0)
            given += 1
        placed.append((panel, x, width))
        x += width
    return placed
