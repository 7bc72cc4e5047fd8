"""Everything that a configuration names and that is read once: source definitions, units, rules, policy."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TypeVar

from soc.alert.policy import Policy
from soc.app.config import Config
from soc.app.detecting import Content
from soc.app.paths import existing, pipeline_files
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
    org = collected(lambda: load_units_of(config), errors)
    policy = collected(lambda: Policy.load(existing(config.rules, "rules")), errors)
    rules = collected(
        lambda: load_rules(
            existing(config.rules, "rules"), pipeline_files(config.sigma_pipelines), config.placeholders
        ),
        errors,
    )
    if errors or sources is None or org is None or policy is None or rules is None:
        raise ContentErrors(errors)
    for refused in rules.refused:
        log.warning("rule refused: %s", refused)
    gc.collect()
    gc.freeze()  # rules live as long as the process: full collections need not walk them
    gc.set_threshold(50_000, 20, 100)  # a batch is thousands of small dicts that refer to no cycle
    return Content(
        sources,
        Enricher(org),
        rules,
        policy,
        Correlator(rules.correlations, lateness=config.detect.lateness, fields=rules.names),
        org,
        config.detect.lateness,
    )


def load_units_of(config: Config) -> Org:
    """Units, agencies and assets; the bare units of the country where no `org` is configured."""
    return load_org(config.org) if config.org else Org(load_units())


def collected(load: Callable[[], T], errors: list[ContentError]) -> T | None:
    """The loaded thing, or None with its errors added."""
    try:
        return load()
    except ContentErrors as wrong:
        errors += wrong.errors
    except ContentError as wrong:
        errors.append(wrong)
    return None
