"""Configuration: one YAML file in, checked settings out; a mistake is named with file, line and the nearest right word.

Precedence: environment (SOC_DATA_DIR) > the file > default. Relative paths are relative to the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import re2
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from soc.alert.policy import duration
from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors


def _duration(value: object) -> object:
    if isinstance(value, str) and value.startswith("P"):  # ISO 8601, as dumped
        return value
    return value if isinstance(value, timedelta) else duration(str(value))


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{value!r} is no address; write 127.0.0.1:5514, or [::1]:5514")
    return value


def _regex(value: str) -> str:
    try:
        re2.compile(value)
    except re2.error as wrong:
        raise ValueError(f"{value!r} is no regular expression (RE2): {wrong}") from None
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Address = Annotated[str, AfterValidator(_listen)]
Regex = Annotated[str, AfterValidator(_regex)]


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are errors, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SqliteBusConfig(Section):
    type: Literal["sqlite"] = "sqlite"
    partitions: int = Field(4, ge=1, le=64)
    retention: Duration = timedelta(days=2)
    #: Unread bytes of a topic from which collectors are held back.
    max_backlog_mb: int = Field(2048, ge=16)


class SqliteStoreConfig(Section):
    type: Literal["sqlite"] = "sqlite"
    #: Days that events are kept; TCVN 14423 asks three months of a level-3 system.
    retention_days: int = Field(90, ge=1)


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
    bus: SqliteBusConfig = SqliteBusConfig()
    store: SqliteStoreConfig = SqliteStoreConfig()
    org: Path | None = None
    rules: list[Path] = [Path("rules")]
    sources: list[Path] = [Path("pipelines/sources")]
    sigma_pipelines: list[Path] = [Path("pipelines/sigma")]
    placeholders: dict[str, list[str]] = {}
    collect: list[CollectConfig] = []
    spool: SpoolConfig = SpoolConfig()
    detect: DetectConfig = DetectConfig()
    console_url: str = ""


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
    loc = [part for part in error["loc"] if part not in {"syslog", "http", "file"} or not isinstance(part, str)]
    line, name = _place(content, loc)
    kind = error["type"]
    if kind == "extra_forbidden":
        return ContentError(path, line, unknown(str(loc[-1]), _known(loc[:-1], content)))
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return ContentError(path, line, f"{name}: type is one of syslog, http, file")
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


def _known(loc: list[Any], content: Mapped) -> list[str]:
    """Names that would have been right where an unknown one stood."""
    model: type[BaseModel] = Config
    if loc and loc[0] == "collect":
        entry = content["collect"][loc[1]]
        types: dict[str, type[BaseModel]] = {"syslog": SyslogConfig, "http": HttpConfig, "file": FileConfig}
        model = types.get(entry.get("type"), SyslogConfig)
    elif loc:
        inner = Config.model_fields[str(loc[0])].annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
