"""The demo: a seeded sample province is written, sent through the real pipeline, and its alerts are shown."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from soc.app.config import Config
from soc.app.ingest import Job, Tell, ingest
from soc.app.paths import shipped
from soc.app.sample import SampleFacts, write_province
from soc.event import Alert
from soc.store.base import Store
from soc.store.query import parse_query


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo lives below its folder."""

    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "soc.yaml"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def config(self) -> Config:
        """The embedded default on the shipped content, with its data in the demo's folder."""
        return Config(
            data_dir=self.folder / "data",
            org=shipped("deploy/sample/org"),
            rules=[shipped("rules")],
            sources=[shipped("pipelines/sources")],
            sigma_pipelines=[shipped("pipelines/sigma")],
        )

    def prepare(self) -> SampleFacts:
        """Start clean: what an earlier demo left is removed, the province's logs and the configuration are written."""
        self.clean()
        self.logs.mkdir(parents=True)
        header = "# Written by `soc demo`; use it with: soc … --config THIS_FILE\n"
        self.config_path.write_text(header + yaml.safe_dump(self.config().model_dump(mode="json")), "utf-8")
        return write_province(self.logs)

    def run(self, facts: SampleFacts, stop: threading.Event, tell: Tell) -> dict[str, Any]:
        """Every file through collectors, bus, workers and store; the counts of `soc ingest`."""
        jobs = [Job([file.path], unit=file.unit) for file in facts.files]
        return ingest(self.config(), jobs, stop, tell)

    def clean(self) -> None:
        """Remove everything that the demo made."""
        shutil.rmtree(self.folder, ignore_errors=True)


def queue(store: Store) -> list[Alert]:
    """All alerts of the queue, newest first."""
    return store.search_alerts(parse_query("soc.mode:live"), limit=1000)[1]


def gravest(alerts: list[Alert]) -> Alert | None:
    """The alert to show in full: the highest risk, then the most events."""
    key = lambda a: (a.document["event.risk_score"], a.document["soc.evidence.count"])  # noqa: E731
    return max(alerts, key=key, default=None)


def by_unit(alerts: list[Alert]) -> Counter[str]:
    """Unit name → alerts."""
    return Counter(str(a.document.get("soc.unit.name") or "chưa xác định") for a in alerts)
