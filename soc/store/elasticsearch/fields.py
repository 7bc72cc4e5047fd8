"""The tables of fields → how each is typed in our indices. Knows nothing of the client: converters ask, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from soc.content import read_yaml
from soc.store.tree import TEXT_FIELDS

#: Longer keyword values are not in the index (Lucene takes 32,766 bytes, 4 a character): searches read the documents.
LONGEST: Final = 8_191

_TABLE: Final = Path(__file__).with_name("fields.yml")
_KEYWORD: Final[dict[str, Any]] = {"type": "keyword", "ignore_above": LONGEST}
#: One index in small letters to search, one column as written to count.
_FOLDED: Final[dict[str, Any]] = {
    **_KEYWORD,
    "normalizer": "soc_case",
    "doc_values": False,
    "fields": {"exact": {**_KEYWORD, "index": False}},
}
_FIELD: Final[Mapping[str, dict[str, Any]]] = {
    "keyword": _FOLDED,
    "long": {"type": "long", "coerce": False, "ignore_malformed": True},
    "float": {"type": "double", "coerce": False, "ignore_malformed": True},
    "boolean": {"type": "boolean", "ignore_malformed": True},
    "date": {"type": "date", "format": "strict_date_optional_time", "ignore_malformed": True},
    "ip": {"type": "ip", "ignore_malformed": True},
}

#: Our own fields of every event and alert, and what they are for (docs/elasticsearch.md):
_INDEX: Final[Mapping[str, dict[str, Any]]] = {
    "soc.index.text": {"type": "text", "analyzer": "soc_words", "norms": False},  # values that original does not hold
    "soc.index.ts": {"type": "long", "index": False},  # µs since 1970, for order
    "soc.index.vendor": {"type": "flattened", "ignore_above": LONGEST},  # fields without a type of their own
    "soc.index.odd": {"type": "keyword", "doc_values": False},  # letters whose case or words the server may see apart
    "soc.index.look": {"type": "keyword", "doc_values": False},  # fields that only the document itself tells exactly
    "soc.index.id": {"type": "keyword", "doc_values": False},  # of alerts, for the beginning of an id
    "soc.record.unit": {"type": "keyword"},
    "soc.record.source": {"type": "keyword"},
    "soc.record.registered": {"type": "keyword"},  # on a record's first event only
    "soc.record.received_us": {"type": "long", "index": False},
    "soc.record.late": {"type": "boolean"},
}
_TEXT: Final[dict[str, Any]] = {"type": "text", "analyzer": "soc_words", "norms": False}

#: Letters and digits of the world by blocks, as the server's analyzer takes them. `soc.store.fold` is the measure;
#: where this differs from it, the document bears soc.index.odd.
LETTER: Final = (
    "0-9A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u1fff\u2c00-\u2dff\u3040-\ud7ff"
    "\uf900-\ufdff\ufe70-\ufefe\uff10-\uffdc"
)
LONGEST_WORD: Final = 255  # of a longer one the index knows the beginning


def event_fields(ecs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Every typed field of an index of events → its mapping. `ecs`: field → type, of soc/normalize/ecs.yml."""
    return {**ecs_fields(ecs), **vendor_fields(), **own_fields()}


def field_type(name: str, ecs: Mapping[str, str]) -> str:
    """How an event's field is searched: keyword (in small letters), text, long, double, ip, date, boolean.

    "flattened": below soc.index.vendor, where case counts and there are no wildcards. `text` is words, without marks.
    """
    return str(event_fields(ecs).get(name, {"type": "flattened"})["type"])


def vendor_fields() -> dict[str, dict[str, Any]]:
    return dict(_table("vendor"))


def ecs_fields(ecs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Text is what searches take by words; other prose is compared as a whole, as `soc.store.evaluate` does."""
    table = read_yaml(_TABLE)
    made: dict[str, dict[str, Any]] = {"@timestamp": {"type": "date"}}
    for name, kind in ecs.items():
        if name in TEXT_FIELDS:
            words = {**_FOLDED, "fields": {**_FOLDED["fields"], "words": _TEXT}}
            made[name] = words if name == "event.reason" else _TEXT  # it is short, and rules look for parts of it
        elif name in table["plain"]:
            made[name] = _KEYWORD
        elif name in table["counted"]:
            made[name] = {key: value for key, value in _FOLDED.items() if key != "doc_values"}
        elif kind in ("keyword", "text"):
            made[name] = _FOLDED
        elif kind in _FIELD and name != "@timestamp":
            made[name] = _FIELD[kind]
    return made


def own_fields() -> dict[str, dict[str, Any]]:
    """What the pipeline adds, and what only the store writes."""
    return {**{name: _unfolded(field) for name, field in _table("own")}, **_INDEX}


def alert_fields(ecs: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Alerts are read by people and counted: every keyword as it is written."""
    return {**{name: _unfolded(field) for name, field in ecs_fields(ecs).items()}, **own_fields()}


def _unfolded(field: dict[str, Any]) -> dict[str, Any]:
    if "normalizer" not in field:
        return field
    words = field["fields"].get("words")
    return {**_KEYWORD, "fields": {"words": words}} if words else _KEYWORD


def _table(part: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, parents in read_yaml(_TABLE)[part].items():
        for parent, names in parents.items():
            for name in names:
                yield f"{parent}.{name}", dict(_FIELD[kind])
