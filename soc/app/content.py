"""Everything that a configuration names and that is read once: source definitions, units, rules, policy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from soc.alert.policy import Policy
from soc.app.config import Config
from soc.app.detecting import Content
from soc.detect import load_rules
from soc.detect.correlate import Correlator
from soc.enrich import Enricher
from soc.event import ContentError, ContentErrors
from soc.normalize import load_sources
from soc.org import Org, load_org, load_units

log = logging.getLogger("soc")

T = TypeVar("T")


def load_content(config: Config) -> Content:
    """Raises ContentErrors with all that is wrong in sources, units and policy; a bad rule is logged and left out."""
    errors: list[ContentError] = []
    sources = collected(lambda: load_sources(existing(config.sources, "sources")), errors)
    org = collected(lambda: load_org(config.org) if config.org else Org(load_units()), errors)
    policy = collected(lambda: Policy.load(existing(config.rules, "rules")), errors)
    rules = collected(
        lambda: load_rules(existing(config.rules, "rules"), pipeline_files(config.sigma_pipelines)), errors
    )
    if errors or sources is None or org is None or policy is None or rules is None:
        raise ContentErrors(errors)
    for refused in rules.refused:
        log.warning("rule refused: %s", refused)
    return Content(
        sources,
        Enricher(org),
        rules,
        policy,
        Correlator(rules.correlations, lateness=config.detect.lateness, fields=rules.names),
        org,
        config.detect.lateness,
    )


def collected(load: Callable[[], T], errors: list[ContentError]) -> T | None:
    """The loaded thing, or None with its errors added."""
    try:
        return load()
    except ContentErrors as wrong:
        errors += wrong.errors
    except ContentError as wrong:
        errors.append(wrong)
    return None


def existing(paths: list[Path], setting: str) -> list[Path]:
    """The paths; one that does not exist is a ContentError that names the setting."""
    for path in paths:
        if not path.exists():
            raise ContentError(path, 0, f"does not exist (setting {setting!r}; paths are relative to {Path.cwd()})")
    return paths


def pipeline_files(folders: list[Path]) -> list[Path]:
    """Files of the Sigma pipelines, in the order of their names."""
    files: list[Path] = []
    for folder in existing(folders, "sigma_pipelines"):
        files += sorted(folder.glob("*.yml")) if folder.is_dir() else [folder]
    return files
