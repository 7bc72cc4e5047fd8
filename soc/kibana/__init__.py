"""Kibana content: definitions of views, dashboards and access in; API objects, files and an applied Kibana out.

deploy/kibana ── load_content ──▶ Content ── everything ──▶ [Item] ── files ──▶ a folder to review
                                                                 └── plan ──▶ [Change] ── apply ──▶ Kibana
"""

from soc.kibana.apply import apply
from soc.kibana.client import AnswerError, Kibana
from soc.kibana.content import load_content
from soc.kibana.definitions import Content
from soc.kibana.everything import everything
from soc.kibana.export import files, write
from soc.kibana.item import Item
from soc.kibana.plan import DOING, Change, plan
from soc.kibana.promotion import Alerting, alerting
from soc.kibana.setup import Group, Setup, Space, spaces, too_old, version_of

__all__ = [
    "DOING",
    "Alerting",
    "AnswerError",
    "Change",
    "Content",
    "Group",
    "Item",
    "Kibana",
    "Setup",
    "Space",
    "alerting",
    "apply",
    "everything",
    "files",
    "load_content",
    "plan",
    "spaces",
    "too_old",
    "version_of",
    "write",
]
