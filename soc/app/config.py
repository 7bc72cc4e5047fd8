"""Configuration: one YAML file in, checked settings out; a mistake is named with file, line and the nearest right word.

Precedence: environment (SOC_DATA_DIR) > the file > default. Relative paths are relative to the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from soc.app.config_backends import BUSES, STORES, BusConfig, SqliteBusConfig, SqliteStoreConfig, StoreConfig
from soc.app.config_kibana import KibanaConfig
from soc.app.config_types import Address, Duration, Regex, Section
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors


class SyslogConfig(Section):
    type: Literal["syslog"]
    listen: Address = "127.0.0.1:5514"
    transport: list[Literal["udp", "tcp", "tls"]] = ["udp", "tcp"]
    source: str = "auto"
    unit: str = ""
    priority: Literal["critical", "normal", "low"] = "normal"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None


class HttpConfig(Section):
    type: Literal["http"]
    listen: Address = "127.0.0.1:8514"
    source: str = "auto"
    unit: str = ""
    priority: Literal["critical", "normal", "low"] = "normal"
    tokens_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_ca: Path | None = None
    max_body_mb: int = Field(32, ge=1)


class FileConfig(Section):
    type: Literal["file"]
    paths: list[str] = Field(min_length=1)
    source: str = "auto"
    unit: str = ""
    priority: Literal["critical", "normal", "low"] = "normal"
    #: The machine that writes these files, for formats that do not say (an nginx access log).
    host: str = ""
    #: Regular expression that a record's first line matches; following lines belong to it.
    multiline: Regex | None = None


COLLECTORS: Final[dict[str, type[Section]]] = {"syslog": SyslogConfig, "http": HttpConfig, "file": FileConfig}
CollectConfig = Annotated[SyslogConfig | HttpConfig | FileConfig, Field(discriminator="type")]


class SpoolConfig(Section):
    max_mb: int = Field(1024, ge=1)
    #: Below this free share of the disk, records are shed by priority.
    min_free_percent: float = Field(5, ge=0, le=90)


class DetectConfig(Section):
    workers: int = Field(2, ge=1, le=64)
    batch: int = Field(2000, ge=1, le=50_000)
    lateness: Duration = timedelta(minutes=5)


class Config(Section):
    data_dir: Path = Path("var")
    lang: Literal["vi", "en"] = "vi"
    bus: BusConfig = SqliteBusConfig()
    store: StoreConfig = SqliteStoreConfig()
    org: Path | None = None
    rules: list[Path] = [Path("rules")]
    sources: list[Path] = [Path("pipelines/sources")]
    sigma_pipelines: list[Path] = [Path("pipelines/sigma")]
    placeholders: dict[str, list[str]] = {}
    collect: list[CollectConfig] = []
    spool: SpoolConfig = SpoolConfig()
    detect: DetectConfig = DetectConfig()
    console_url: str = ""
    kibana: KibanaConfig = KibanaConfig()


#: pydantic's words → ours.
_WHY: Final = {
    "missing": "is missing",
    "int_parsing": "is not a whole number",
    "int_type": "is not a whole number",
    "float_parsing": "is not a number",
    "list_type": "is not a list",
    "string_type": "is not a text",
    "bool_parsing": "is neither true nor false",
    "path_type": "is not a path",
    "too_short": "is empty",
    "dict_type": "is not a mapping",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
}


def load_config(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """The settings of a file (None: the defaults). Raises ContentErrors with every mistake."""
    content = read_yaml(path) if path is not None else None
    if content is None:
        content = Mapped()
    where = path or Path("configuration")
    if not isinstance(content, Mapped):
        raise ContentErrors([ContentError(where, 0, "expected a mapping of settings")])
    if data_dir := environment.get("SOC_DATA_DIR"):
        content["data_dir"] = data_dir
    try:
        return Config.model_validate(content)
    except ValidationError as wrong:
        mistakes = [_mistake(where, content, error) for error in wrong.errors()]
        raise ContentErrors(sorted(mistakes, key=lambda mistake: mistake.line)) from wrong


def _mistake(path: Path, content: Mapped, error: Mapping[str, Any]) -> ContentError:
    loc = [part for n, part in enumerate(error["loc"]) if not _is_type(error["loc"], n)]
    line, name = _place(content, loc)
    kind = error["type"]
    if kind == "extra_forbidden":
        return ContentError(path, line, unknown(str(loc[-1]), _known(loc[:-1], content)))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return ContentError(path, line, f"{name}: type is one of {', '.join(_types(loc))}")
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ").replace("should be", "must be")
    why = _WHY.get(kind) or message
    return ContentError(path, line, f"{name} {why}")


def _place(content: Mapped, loc: list[Any]) -> tuple[int, str]:
    """Line of the deepest part of a location that exists, and the location as dotted text."""
    node: Any = content
    line = content.line
    for part in loc:
        if isinstance(node, Mapped):
            line = node.at(str(part))
            node = node.get(str(part))
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
            line = node.line if isinstance(node, Mapped) else line
    return line, ".".join(str(part) for part in loc)


def _types(loc: Sequence[Any]) -> Mapping[str, type[Section]]:
    """The types that a section may be of, by their names; none for a section that has no type."""
    if list(loc[:1]) == ["collect"] and len(loc) > 1:
        return COLLECTORS
    return {"bus": BUSES, "store": STORES}.get(str(loc[0]) if loc else "", {})


def _is_type(loc: Sequence[Any], n: int) -> bool:
    """Whether a part of pydantic's location is the type of a section, which is not a key of ours."""
    return n == (2 if loc[0] == "collect" else 1) and loc[n] in _types(loc[:n])


def _known(loc: list[Any], content: Mapped) -> list[str]:
    """Names that would have been right where an unknown one stood."""
    section: type[BaseModel] = Config
    node: Any = content
    for n, part in enumerate(loc):
        node = node[part]
        if types := _types(loc[: n + 1]):
            named = str(node.get("type", "sqlite")) if isinstance(node, Mapped) else ""
            section = types.get(named, section)
        elif isinstance(part, str):
            section = _inner(section, part)
    return list(section.model_fields)


def _inner(section: type[BaseModel], key: str) -> type[BaseModel]:
    """The section that a key of a section holds, alone or in a list."""
    annotation = section.model_fields[key].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return section
