"""The demo: a seeded sample province is written, sent through the real pipeline, and its alerts are shown."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from soc.app.config import Config
from soc.app.ingest import Job, Tell, ingest
from soc.app.paths import shipped
from soc.app.sample import SampleFacts, write_province
from soc.event import Alert, SocError
from soc.store.base import Store
from soc.store.query import parse_query


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo in its folder, which is its data directory, too; logs and configuration lie in it."""

    folder: Path

    @property
    def config_path(self) -> Path:
        return self.folder / "soc.yaml"

    @property
    def marker(self) -> Path:
        """Says that the folder is the demo's, so that nothing else is ever removed."""
        return self.folder / "made-by-soc-demo"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def config(self) -> Config:
        """The embedded default on the shipped content, with its data in the demo's folder."""
        return Config(
            data_dir=self.folder,
            org=shipped("deploy/sample/org"),
            rules=[shipped("rules")],
            sources=[shipped("pipelines/sources")],
            sigma_pipelines=[shipped("pipelines/sigma")],
        )

    def prepare(self) -> SampleFacts:
        """Start clean: what an earlier demo left is removed, the province's logs and the configuration are written.

        Raises SocError where the folder holds something else.
        """
        self.clean()
        self.logs.mkdir(parents=True)
        self.marker.touch()
        header = "# Written by `soc demo`; use it with: soc … --config THIS_FILE\n"
        self.config_path.write_text(header + yaml.safe_dump(self.config().model_dump(mode="json")), "utf-8")
        return write_province(self.logs)

    def run(self, facts: SampleFacts, stop: threading.Event, tell: Tell) -> dict[str, Any]:
        """Every file through collectors, bus, workers and store; the counts of `soc ingest`."""
        jobs = [Job([file.path], unit=file.unit) for file in facts.files]
        return ingest(self.config(), jobs, stop, tell)

    def clean(self) -> None:
        """Remove everything that the demo made. Raises SocError where the folder is not the demo's."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self.marker.exists():
            raise SocError(f"{self.folder} holds something else than the demo; name another folder with --folder")
        shutil.rmtree(self.folder, ignore_errors=True)


def queue(store: Store) -> list[Alert]:
    """All alerts of the queue, newest first."""
    return store.search_alerts(parse_query("soc.mode:live"), limit=1000)[1]


def gravest(alerts: list[Alert]) -> Alert | None:
    """The alert to show in full: the highest risk, then the most events."""
    key = lambda a: (a.document["event.risk_score"], a.document["soc.evidence.count"])  # noqa: E731
    return max(alerts, key=key, default=None)
