"""A source's samples → what its definition makes of them, compared with its expected/*.ndjson (or written there).

    python -m soc.normalize.golden [--update] FOLDER...

One line of expected per record, in order: `{"record": 1, "logsources": [["linux", null, "sshd"]], "fields": {…}}`, with
`"event": "-1"` for the second event of a record; `{"record": 2, "error": "bad_format"}`;
`{"record": 3, "filtered": true}`. Records are the lines of samples/*.log; a source whose records are no lines has its
own tests. Exit 0 = equal, 1 = not, 3 = the definition does not load.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from soc.event import ContentErrors, RawRecord, RecordError
from soc.normalize.ecs import invalid
from soc.normalize.sources import Source, load_sources

#: All samples are received at this moment.
RECEIVED: Final = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def sample_records(sample: Path, source: str) -> Iterator[RawRecord]:
    """The lines of a sample file as a file collector would send them; empty lines are none."""
    for number, line in enumerate(sample.read_bytes().split(b"\n"), 1):
        if line.strip():
            facts = {"file": sample.name, "record": str(number)}
            yield RawRecord(f"20261124-{number:024x}", line, RECEIVED, source, "", "sample", sample.name, facts)


def outcomes(source: Source, sample: Path) -> list[dict[str, Any]]:
    """What becomes of each record of a sample, as plain JSON values."""
    made: list[dict[str, Any]] = []
    for number, record in enumerate(sample_records(sample, source.name), 1):
        try:
            events = source.events(record)
        except RecordError as error:
            made.append({"record": number, "error": error.code})
            continue
        if not events:
            made.append({"record": number, "filtered": True})
        for event in events:
            suffix = event.id.removeprefix(record.id)
            line: dict[str, Any] = {"record": number, "event": suffix} if suffix else {"record": number}
            line["logsources"] = [list(logsource) for logsource in event.logsources]
            line["fields"] = event.fields
            made.append(line)
    return made


def expected_path(sample: Path) -> Path:
    """samples/x.log → expected/x.ndjson"""
    return sample.parent.parent / "expected" / f"{sample.stem}.ndjson"


def encoded(lines: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(line, option=orjson.OPT_SORT_KEYS) + b"\n" for line in lines)


def differences(source: Source, sample: Path) -> list[str]:
    """Sentences on what differs from the expected file, and on what is not valid ECS."""
    path = expected_path(sample)
    made = outcomes(source, sample)
    found = [
        f"{sample}: record {line['record']}: {wrong}"
        for line in made
        for wrong in (invalid(line["fields"]) if "fields" in line else ())
    ]
    if not path.is_file():
        return [*found, f"{path}: is missing; look at the events and write it with --update"]
    expected = path.read_bytes().splitlines()
    actual = encoded(made).splitlines()
    for number, (want, have) in enumerate(zip(expected, actual, strict=False), 1):
        if want != have:
            found.append(f"{path}:{number}: expected {want.decode()}\n  but made {have.decode()}")
    if len(expected) != len(actual):
        found.append(f"{path}: {len(expected)} lines expected, {len(actual)} made")
    return found


def main(arguments: Sequence[str]) -> int:
    update = "--update" in arguments
    folders = [Path(a) for a in arguments if a != "--update"]
    try:
        sources = load_sources(folders)
    except ContentErrors as errors:
        print(errors, file=sys.stderr)
        return 3
    found: list[str] = []
    for source in sources:
        for sample in source.samples:
            if sample.suffix != ".log":
                continue
            if update:
                path = expected_path(sample)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(encoded(outcomes(source, sample)))
            found += differences(source, sample)
    print("\n".join(found) or f"{len(sources)} sources as expected")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
