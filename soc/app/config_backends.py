"""The settings of bus and store: files of this machine, or Kafka and Elasticsearch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from soc.app.config_types import Address, Duration, Section, Url

#: Stands in index names: `logs-soc.host-<namespace>-2026.11.24`.
NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$")]


class SqliteBusConfig(Section):
    type: Literal["sqlite"] = "sqlite"
    partitions: int = Field(4, ge=1, le=64)
    retention: Duration = timedelta(days=2)
    #: Unread bytes of a topic from which collectors are held back.
    max_backlog_mb: int = Field(2048, ge=16)


class KafkaBusConfig(Section):
    type: Literal["kafka"]
    bootstrap: list[Address] = Field(min_length=1)
    #: Before every topic and group name, where several provinces share a cluster.
    prefix: str = Field("", pattern=r"[a-z0-9._-]{0,40}")
    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    topics: Path = Path("deploy/kafka/topics.yaml")
    #: Records that every group has committed are deleted after so long; topics.yaml says how long the rest is kept.
    retention: Duration = timedelta(days=2)
    #: A member that dies unseen keeps its partitions for so long.
    session_timeout_s: float = Field(15, ge=1, le=300)


class SqliteStoreConfig(Section):
    type: Literal["sqlite"] = "sqlite"
    #: Days that events are kept; TCVN 14423 asks three months of a level-3 system.
    retention_days: int = Field(90, ge=1)


class NamespaceConfig(Section):
    """An access group: what is of these units, of systems from this level on, goes to indices of its own."""

    name: NamespaceName
    units: list[str] = []
    system_level: int = Field(0, ge=0, le=5)
    retention_days: int | None = Field(None, ge=1)


class ElasticsearchStoreConfig(Section):
    type: Literal["elasticsearch"]
    hosts: list[Url] = Field(min_length=1)
    #: Of everything that no access group takes.
    namespace: NamespaceName = "tinh"
    namespaces: list[NamespaceConfig] = []
    api_key_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    ca: Path | None = None
    replicas: int = Field(0, ge=0, le=3)
    #: How soon events can be searched.
    refresh: Duration = timedelta(seconds=5)
    retention_days: int = Field(90, ge=1)


def _type(section: Any) -> str:
    """The embedded one is meant where a section names no type."""
    return str(section.get("type", "sqlite") if isinstance(section, dict) else getattr(section, "type", "sqlite"))


BusConfig = Annotated[
    Annotated[SqliteBusConfig, Tag("sqlite")] | Annotated[KafkaBusConfig, Tag("kafka")], Discriminator(_type)
]
StoreConfig = Annotated[
    Annotated[SqliteStoreConfig, Tag("sqlite")] | Annotated[ElasticsearchStoreConfig, Tag("elasticsearch")],
    Discriminator(_type),
]

BUSES: Final[dict[str, type[Section]]] = {"sqlite": SqliteBusConfig, "kafka": KafkaBusConfig}
STORES: Final[dict[str, type[Section]]] = {"sqlite": SqliteStoreConfig, "elasticsearch": ElasticsearchStoreConfig}
