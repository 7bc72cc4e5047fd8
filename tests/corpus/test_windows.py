"""Real Windows recordings in every shape we have: all are read, alike in each shape, and valid ECS.

The golden samples of pipelines/sources/windows are here, too: samples/<stem>.* → expected/<stem>.ndjson.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from evtx import PyEvtxParser

from soc.collect.open import read_path
from soc.content import read_yaml
from soc.event import Event, LogSource, RawRecord, Rejected, nested, text_of
from soc.normalize import Source, Sources, load_sources
from soc.normalize.ecs import invalid
from soc.normalize.golden import RECEIVED
from soc.parse import DECODERS
from soc.parse.windows_strings import NAMES

DATA = "winlog.event_data."
decode = DECODERS["windows_event"].make()


@pytest.fixture(scope="module")
def sources(root: Path) -> Sources:
    return load_sources([root / "pipelines" / "sources"])


@pytest.fixture(scope="module")
def windows(sources: Sources) -> Source:
    return sources.get("windows")


def whole(path: Path) -> list[RawRecord]:
    return [replace(r, received=RECEIVED) for r in read_path(path) if isinstance(r, RawRecord)]


def rendered(path: Path, form: str) -> list[bytes | None]:
    """The records of an EVTX file as "records" (XML) or "records_json"; None for a damaged one."""
    out: list[bytes | None] = []
    records = iter(getattr(PyEvtxParser(str(path)), form)())
    while True:
        try:
            out.append(next(records)["data"].encode())
        except StopIteration:
            return out
        except RuntimeError:
            out.append(None)


def evtx_files(shared_data: Path) -> Iterator[Path]:
    for folder in ("sigma_regression", "evtx_cc0", "evtx_benign_or_damaged"):
        yield from sorted((shared_data / folder).glob("*.evtx"))


def documents(windows: Source, path: Path) -> list[Any]:
    return [nested(event.fields) for record in whole(path) for event in windows.events(record)]


# ---------------------------------------------------------------- golden samples


def samples(root: Path) -> list[Path]:
    return sorted((root / "pipelines" / "sources" / "windows" / "samples").iterdir())


def test_every_sample_gives_the_events_that_stand_beside_it(root: Path, windows: Source) -> None:
    for path in samples(root):
        expected = [orjson.loads(line) for line in (path.parent.parent / "expected" / f"{path.stem}.ndjson").open("rb")]
        found = documents(windows, path)
        assert len(found) == len(expected), path.name
        for one, other in zip(found, expected, strict=True):
            assert orjson.loads(orjson.dumps(one)) == other, path.name


def test_every_sample_is_recognised_and_is_valid_ecs(root: Path, sources: Sources) -> None:
    for path in samples(root):
        assert sources.recognise(path.read_bytes()[:65536], path.name) == "windows", path.name
        for record in whole(path):
            for event in sources.get("windows").events(record):
                assert invalid(event.fields) == [], (path.name, event.fields["event.code"])


def test_every_mapped_event_of_the_samples_is_categorised(root: Path, windows: Source) -> None:
    plain = {("Security", 9999), ("Vidu-Ung-Dung/Operational", 5)}
    for path in samples(root):
        for record in whole(path):
            for event in windows.events(record):
                key = (event.fields["winlog.channel"], event.fields["winlog.event_id"])
                assert ("event.category" in event.fields) == (key not in plain), key


# ---------------------------------------------------------------- recordings


def test_every_record_of_the_recordings_is_an_event_of_valid_ecs(shared_data: Path, windows: Source) -> None:
    count = 0
    for path in evtx_files(shared_data):
        for record in whole(path):
            (event,) = windows.events(record)
            assert invalid(event.fields) == [], (path.name, record.facts["record"])
            assert event.logsources and all(source.product == "windows" for source in event.logsources)
            count += 1
    assert count == 4996


def test_flattened_recordings_are_read_whole_and_valid(shared_data: Path, sources: Sources) -> None:
    count = 0
    for path in sorted((shared_data / "otrf").glob("*.zip")):
        if path.name.startswith("sh_"):  # Linux
            continue
        for record in read_path(path):
            assert isinstance(record, RawRecord)
            (event,) = sources.events(record)
            assert event.source == "windows"
            assert invalid(event.fields) == [], (path.name, record.facts["record"])
            assert event.timestamp.year == 2020
            count += 1
    assert count == 8771


def test_what_is_damaged_is_set_aside_and_the_rest_is_read(shared_data: Path) -> None:
    folder = shared_data / "evtx_benign_or_damaged"
    found = {}
    for path in sorted(folder.glob("*.evtx")):
        records = list(read_path(path))
        damaged = [r for r in records if isinstance(r, Rejected)]
        assert {r.code for r in damaged} <= {"damaged"}
        found[path.name] = (len(records) - len(damaged), len(damaged))
    assert found == {
        "2-vss_0-Microsoft-Windows-TerminalServices-RemoteConnectionManager%4Operational.evtx": (1774, 2),
        "new-user-security.evtx": (4, 0),
        "sample-with-zero-data-size-event.evtx": (335, 1),
        "sample_with_a_bad_chunk_magic.evtx": (270, 2),
        "security.evtx": (2261, 0),
    }


def test_a_record_as_xml_and_as_json_is_the_same_event(shared_data: Path) -> None:
    for path in evtx_files(shared_data):
        for ordinal, (tree, text) in enumerate(
            zip(rendered(path, "records_json"), rendered(path, "records"), strict=True), 1
        ):
            if tree is not None and text is not None:
                assert texts(decode(tree)) == texts(decode(text)), (path.name, ordinal)


def texts(fields: dict[str, Any]) -> dict[str, str]:
    """Values as text, for XML knows no other; an empty element is the empty text there and null in JSON."""
    return {name: "" if value is None else text_of(value) for name, value in fields.items()}


def test_the_json_beside_a_recording_gives_the_same_events(shared_data: Path, windows: Source) -> None:
    for path in sorted((shared_data / "sigma_regression").glob("*.evtx")):
        pairs = zip(whole(path), whole(path.with_suffix(".json")), strict=True)
        for one, other in pairs:
            assert trimmed(windows.events(one)) == trimmed(windows.events(other)), path.name


def trimmed(events: Sequence[Event]) -> list[tuple[Any, Any, Any]]:
    """The event without event.original; whoever made those JSON files cut blanks at the ends of texts."""
    return [
        (e.timestamp, e.logsources, {n: cut(v) for n, v in e.fields.items() if n != "event.original"}) for e in events
    ]


def cut(value: Any) -> Any:
    if isinstance(value, list):
        return [cut(v) for v in value]
    return value.rstrip() if isinstance(value, str) else value


def test_templates_of_bare_values_have_the_order_of_the_recordings(shared_data: Path) -> None:
    seen = set()
    for path in evtx_files(shared_data):
        for tree in rendered(path, "records_json"):
            if tree is None:
                continue
            fields = decode(tree)
            key = (str(fields.get("winlog.provider_name")).lower(), fields["winlog.event_id"])
            if key in NAMES:
                real = tuple(name.removeprefix(DATA) for name in fields if name.startswith(DATA))
                length = min(len(real), len(NAMES[key]))
                assert real[:length] == NAMES[key][:length], (path.name, key)
                seen.add(key)
    assert len(seen) > 35


# ---------------------------------------------------------------- log sources

#: Triples of SigmaHQ that no Windows event can have → why.
UNREACHABLE: dict[LogSource, str] = {}


def wanted(shared_data: Path) -> set[LogSource]:
    found = set()
    for path in (shared_data / "sigmahq").rglob("*.yml"):
        rule = read_yaml(path)
        logsource = rule.get("logsource", {})
        if logsource.get("product") == "windows":
            found.add(LogSource("windows", logsource.get("category"), logsource.get("service")))
    return found


def reached(root: Path, windows: Source) -> set[LogSource]:
    """Log sources of one made event for every channel and event id that the table names."""
    table = read_yaml(root / "pipelines" / "sources" / "_shared" / "windows_logsources.yml")
    found: set[LogSource] = set()
    for channels, block in table["switch"]["cases"].items():
        for channel in channels.split(","):
            inner = block.get("switch", {}).get("cases", {"1": {}})
            for event_id in (number.strip() for ids in inner for number in ids.split(",")):
                shape = {"Event": {"System": {"EventID": event_id, "Channel": channel.strip()}}}
                (event,) = windows.events(RawRecord("1", orjson.dumps(shape), RECEIVED, "windows"))
                found |= set(event.logsources)
    return found


def test_every_windows_log_source_of_sigmahq_is_reached_by_some_event(
    root: Path, shared_data: Path, windows: Source
) -> None:
    missing = {s for s in wanted(shared_data) if not any(contains(s, r) for r in reached(root, windows))}
    assert missing == set(UNREACHABLE)


def contains(rule: LogSource, event: LogSource) -> bool:
    return all(asked is None or asked == has for asked, has in zip(rule, event, strict=True))


def test_a_channel_in_any_letter_case_is_the_same_log_source(windows: Source) -> None:
    for channel in ("Security", "security", "SECURITY"):
        shape = {"Event": {"System": {"EventID": 4688, "Channel": channel}}}
        (event,) = windows.events(RawRecord("1", orjson.dumps(shape), RECEIVED, "windows"))
        assert set(event.logsources) == {
            LogSource("windows", None, "security"),
            LogSource("windows", "process_creation", None),
        }
