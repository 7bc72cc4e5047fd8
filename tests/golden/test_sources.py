"""Every shipped source makes of its samples what its expected files say, in valid ECS, and is recognised by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from soc.event import RecordError
from soc.normalize import Sources, load_sources
from soc.normalize.golden import RECEIVED, differences, outcomes, sample_records

SOURCES = Path(__file__).resolve().parents[2] / "pipelines" / "sources"
#: The Windows sources' records are no lines; they have their own tests.
FOLDERS = sorted(p.parent for p in SOURCES.glob("*/source.yml") if not p.parent.name.startswith("windows"))
SAMPLES = [(f.name, s) for f in FOLDERS for s in sorted((f / "samples").glob("*.log"))]


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources(FOLDERS)


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{n}/{s.stem}" for n, s in SAMPLES])
def test_samples_make_the_expected_valid_events(sources: Sources, name: str, sample: Path) -> None:
    assert differences(sources.get(name), sample) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_every_source_has_six_samples_and_a_readme(sources: Sources, folder: Path) -> None:
    source = sources.get(folder.name)
    assert sum(len(outcomes(source, sample)) for sample in source.samples) >= 6
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{n}/{s.stem}" for n, s in SAMPLES])
def test_auto_finds_the_source_of_its_own_samples(sources: Sources, name: str, sample: Path) -> None:
    assert sources.recognise(sample.read_bytes(), str(sample)) == name


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{n}/{s.stem}" for n, s in SAMPLES])
def test_timestamp_text_and_datetime_agree(sources: Sources, name: str, sample: Path) -> None:
    for record in sample_records(sample, "auto"):
        try:
            events = sources.events(record)
        except RecordError:
            continue
        for event in events:
            assert event.fields["@timestamp"] == event.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            assert event.received == RECEIVED
            assert event.id.startswith(record.id)
