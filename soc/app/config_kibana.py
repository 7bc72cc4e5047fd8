"""The settings of Kibana: where it is, who we are there, which Spaces and how alerts are promoted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from soc.app.config_backends import NamespaceName
from soc.app.config_types import Section, Url


class KibanaSpaceConfig(Section):
    """What is said of one access group's Space; a group that is not listed gets one all the same."""

    namespace: NamespaceName
    #: Shown in Kibana; else the names of the group's units.
    title: str = ""
    #: Whether its alerts are promoted in its own Space, too, for groups that work in Elastic Security.
    promote: bool = False


class KibanaConfig(Section):
    url: Url | None = None
    api_key_file: Path | None = None
    ca: Path | None = None
    #: Major and minor version that the content is made for.
    version: str = Field("9.5", pattern=r"^\d{1,2}\.\d{1,2}$")
    content: Path = Path("deploy/kibana")
    #: One promotion rule, or one for each rule that may alert; auto: the latter up to 150 of them.
    mode: Literal["auto", "single", "per-rule"] = "auto"
    #: Id of the Space of those who see every access group.
    space: str = Field("soc", pattern=r"^[a-z0-9_-]{1,40}$")
    title: str = "SOC"
    spaces: list[KibanaSpaceConfig] = []
    timeout_s: float = Field(30, gt=0, le=600)
