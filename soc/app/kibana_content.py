"""A configuration in; what its Kibana should hold, and what of it is not so, out."""

from __future__ import annotations

from pathlib import Path

from soc.alert.policy import Policy
from soc.app.config import Config
from soc.app.config_backends import ElasticsearchStoreConfig
from soc.app.content import load_units_of
from soc.app.paths import existing, pipeline_files
from soc.content import unknown
from soc.detect import load_rules
from soc.event import ContentError
from soc.kibana import (
    DOING,
    Change,
    Group,
    Item,
    Kibana,
    Setup,
    alerting,
    everything,
    load_content,
    plan,
    spaces,
    too_old,
    version_of,
)
from soc.kibana.setup import Mode


def wanted(config: Config, lang: str, mode: Mode | None = None) -> tuple[list[Item], Setup]:
    """All objects that the configuration asks for; `mode` in place of its own. Raises ContentErrors, ContentError."""
    content = load_content(config.kibana.content)
    setup = setup_of(config, lang, mode)
    packs = existing(config.rules, "rules")
    rules = load_rules(packs, pipeline_files(config.sigma_pipelines), config.placeholders)
    return everything(content, alerting(rules, Policy.load(packs)), setup), setup


def setup_of(config: Config, lang: str, mode: Mode | None = None) -> Setup:
    """The Spaces of a configuration's access groups. Raises ContentErrors, ContentError."""
    store, own = config.store, config.kibana
    if not isinstance(store, ElasticsearchStoreConfig):
        raise ContentError("store", 0, "Kibana shows what is in Elasticsearch, and store.type is sqlite")
    version = version_of(own.version)
    if why := too_old(version):
        raise ContentError("kibana.version", 0, why)
    said = {space.namespace: space for space in own.spaces}
    names = [namespace.name for namespace in store.namespaces]
    for name in said:
        if name not in names:
            raise ContentError("kibana.spaces", 0, unknown(name, names, "namespace"))
    units = load_units_of(config).units if names else None
    groups = []
    for namespace in store.namespaces:
        labels = [unit.label for uid in namespace.units if units is not None and (unit := units.get(uid)) is not None]
        words = said.get(namespace.name)
        title = (words.title if words else "") or ", ".join(labels)
        groups.append(Group(namespace.name, title, words is not None and words.promote))
    made = spaces(own.space, own.title, store.namespace, groups, Path("kibana.spaces"))
    return Setup(made, store.namespace, version, mode or own.mode, config.console_url, lang)


def opened(config: Config) -> Kibana:
    """Raises ContentError where the configuration names no Kibana, or its key cannot be read. Asks nothing yet."""
    own = config.kibana
    if own.url is None:
        raise ContentError("kibana", 0, "kibana.url is not set: where does Kibana answer?")
    if own.api_key_file is None:
        raise ContentError("kibana", 0, "kibana.api_key_file is not set: a file with the API key that applies content")
    try:
        key = own.api_key_file.read_text("utf-8").strip()
    except (OSError, ValueError) as wrong:
        raise ContentError(own.api_key_file, 0, f"the secret cannot be read: {wrong}") from wrong
    return Kibana(own.url, key, ca=own.ca, timeout_s=own.timeout_s)


def drift(config: Config) -> list[Change]:
    """What `soc kibana apply` would do, and what was edited in Kibana. Raises as `wanted`, `opened` and `plan` do."""
    kibana = opened(config)
    items, setup = wanted(config, config.lang)
    return [change for change in plan(kibana, items, setup) if change.action in DOING or change.action == "edited"]
