"""Invariants of parsing: any bytes make a dict, events or a RecordError, never anything else; values survive."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.event import RawRecord, RecordError, flat, parse_rfc3339
from soc.normalize import Sources, load_sources
from soc.normalize.ecs import invalid
from soc.normalize.times import time_reader
from soc.normalize.unknown import unknown
from soc.parse import DECODERS
from soc.parse.base import Names
from soc.parse.kv import _plain
from soc.parse.windows_ecs import _flattened, _Paths

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(p.parent for p in (ROOT / "pipelines" / "sources").glob("*/source.yml"))
SAMPLES = {f.name: [s.read_bytes() for s in sorted((f / "samples").iterdir())] for f in FOLDERS}
RECEIVED = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

#: Options for those decoders that need some.
OPTIONS: dict[str, dict[str, Any]] = {
    "csv": {"columns": ["a", "b", "c"]},
    "regex": {"patterns": r"(?P<a>\w+) (?P<b>.*)"},
}
#: Pieces that lead deeper into the decoders than noise does.
HINTS = [
    "<189>",
    "1 ",
    "Nov 24 08:00:00 ",
    "host ",
    "prog[1]: ",
    "CEF:0|a|b|c|d|e|5|",
    "LEEF:2.0|a|b|c|d|^|",
    "x=1 ",
    'y="',
]
HINTS += [
    "type=A msg=audit(1.1:1): ",
    "#Fields: ",
    "#fields\t",
    '{"a":',
    "[1,",
    "}",
    "\\",
    '"',
    "=",
    "|",
    "\t",
    "\x00",
    "\ufeff",
]
TEXTS = st.lists(st.one_of(st.sampled_from(HINTS), st.text(max_size=12)), max_size=12).map("".join)


@pytest.fixture(scope="module")
def sources() -> Sources:
    return load_sources(FOLDERS)


@pytest.mark.parametrize("name", sorted(DECODERS))
@settings(max_examples=150)
@given(text=TEXTS)
def test_any_text_is_a_dict_or_a_record_error(name: str, text: str) -> None:
    decoder = DECODERS[name]
    decode = decoder.make(**OPTIONS.get(name, {}))
    data = text.encode("utf-8", "surrogatepass")
    arguments = {"text": (text,), "bytes": (data,), "stream": (text, "a stream")}[decoder.takes]
    try:
        found = decode(*arguments)
    except RecordError as error:
        assert error.code == "bad_format"
        return
    assert isinstance(found, dict) or (found is None and decoder.takes == "stream")


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A sample line with some bytes overwritten, cut or doubled."""
    lines = [line for line in data.split(b"\n") if line] or [b""]
    line = bytearray(draw(st.sampled_from(lines))[:2000])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(line) - 1, 0)))
        what = draw(st.sampled_from(["set", "cut", "copy"]))
        if what == "set" and line:
            line[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del line[at : at + draw(st.integers(1, 30))]
        else:
            line[at:at] = line[at : at + draw(st.integers(1, 30))]
    return bytes(line)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
@settings(max_examples=60)
@given(drawn=st.data())
def test_any_record_makes_valid_events_or_a_record_error(sources: Sources, folder: Path, drawn: st.DataObject) -> None:
    sample = drawn.draw(st.sampled_from(SAMPLES[folder.name]))
    data = drawn.draw(st.one_of(st.binary(max_size=60), damaged(sample)))
    record = RawRecord("20261124-0", data, RECEIVED, folder.name, sender="s", stream="x")
    try:
        events = sources.events(record)
    except RecordError:
        return
    for event in events:
        assert invalid(event.fields) == []
        assert event.timestamp == parse_rfc3339(event.fields["@timestamp"])
        orjson.dumps(event.fields)


@given(data=st.binary(max_size=200))
def test_unknown_keeps_any_bytes(data: bytes) -> None:
    event = unknown(RawRecord("20261124-0", data, RECEIVED))
    assert invalid(event.fields) == []
    assert event.fields["event.original"] == data.decode("utf-8", "backslashreplace")


NAMES = st.text(st.characters(exclude_characters=".", exclude_categories=["Cs"]), max_size=6)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(tree=st.dictionaries(NAMES, JSON_VALUES, max_size=5))
def test_json_keeps_every_leaf_exactly(tree: dict[str, Any]) -> None:
    def leaves(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in node.items():
            out |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
        return out

    expected = leaves(tree)
    try:
        found = DECODERS["json"].make()(json.dumps(tree))
    except RecordError as error:  # "a" > "b.c" and "a.b" > "c" are one dotted name
        assert "dotted and nested" in error.detail
        return
    assert found == expected


def test_json_refuses_what_a_lenient_reader_would_change() -> None:
    decode = DECODERS["json"].make()
    refused = ['{"a":1,"a":2}', '{"x":[{"a":1,"a":2}]}', '{"a":18446744073709551616}', '{"a":[-9223372036854775809]}']
    refused += ['{"a":NaN}', '{"a":1e999}', "[1]", "7", "", "{", '{"a":' * 70 + "1" + "}" * 70, '{"a" : 1, "a" : 2}']
    for text in refused:
        with pytest.raises(RecordError, match="bad_format"):
            decode(text)


WORDS = st.text(st.characters(categories=["L", "N"], max_codepoint=0x1EFF), min_size=1, max_size=6)
VALUES = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="\\"), max_size=10)


@given(pairs=st.dictionaries(WORDS, VALUES, min_size=1, max_size=8))
def test_kv_gives_back_what_was_written(pairs: dict[str, str]) -> None:
    line = " ".join(f'{k}="{v.replace(chr(34), chr(92) + chr(34))}"' for k, v in pairs.items())
    assert DECODERS["kv"].make()(line) == pairs


@settings(max_examples=300)
@given(
    line=st.lists(st.sampled_from(["a", "b=", "c", "=", '"', " ", "x", "\t", "é", "\u00a0", "1"]), max_size=14).map(
        "".join
    )
)
def test_the_quick_way_of_kv_equals_the_thorough_one(line: str) -> None:
    quick = _plain(line, Names())
    if quick is None:
        return
    # an escape character somewhere sends decode the thorough way; it stands in a pair of its own
    thorough = DECODERS["kv"].make()(line + ' zz="\\\\"')
    assert thorough.pop("zz") == "\\"
    assert quick == thorough


NAMES_KV = st.sampled_from(["a", "bb", "c.d", "e"])
VALUES_KV = st.text('xy1 =,;\t"\\\u00a0é', max_size=6)
PAIRS_KV = st.lists(st.tuples(NAMES_KV, st.sampled_from(['"', ""]), VALUES_KV), min_size=1, max_size=5)


@settings(max_examples=200, deadline=None)
@given(first=PAIRS_KV, others=st.lists(PAIRS_KV, max_size=4), values=st.lists(VALUES_KV, min_size=5, max_size=5))
def test_kv_reads_a_line_the_same_however_many_it_saw_of_its_layout(
    first: list[tuple[str, str, str]], others: list[list[tuple[str, str, str]]], values: list[str]
) -> None:
    def line(pairs: list[tuple[str, str, str]]) -> str:
        return " ".join(f"{name}={quote}{value}{quote}" for name, quote, value in pairs)

    def outcome(decode: Any, text: str) -> Any:
        try:
            return decode(text)
        except RecordError as error:
            return error.code

    decode = DECODERS["kv"].make()
    ordinary = [(name, quote, "v") for name, quote, _ in first]
    for _ in range(40):
        outcome(decode, line(ordinary))
    same = [(name, quote, value) for (name, quote, _), value in zip(first, values, strict=False)]
    for text in (line(first), line(same), *map(line, others), line(ordinary) + "\n", " " + line(ordinary)):
        assert outcome(decode, text) == outcome(DECODERS["kv"].make(), text)


@given(days_ago=st.integers(0, 300), second=st.integers(0, 86_399), ahead=st.integers(0, 80_000))
def test_a_stamp_without_year_is_the_latest_possible_one(days_ago: int, second: int, ahead: int) -> None:
    received = datetime(2027, 1, 10, tzinfo=UTC) + timedelta(seconds=second)
    happened = (received - timedelta(days=days_ago) + timedelta(seconds=ahead)).replace(microsecond=0)
    stamp = happened.strftime("%b %d %H:%M:%S")
    assert time_reader(("syslog",), "UTC")(stamp, received)[0] == happened


@given(moment=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)), zone=st.sampled_from(["Z", "+07:00", "-0530"]))
def test_rfc3339_stamps_keep_their_microsecond(moment: datetime, zone: str) -> None:
    stamp = moment.isoformat(timespec="microseconds") + zone
    found, text = time_reader(("rfc3339",), "")(stamp, RECEIVED)
    assert found == datetime.fromisoformat(stamp)
    assert parse_rfc3339(text) == found and len(text) == 27


@given(micros=st.integers(0, 4_000_000_000_000_000))
def test_unix_times_agree_whatever_their_unit(micros: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    assert time_reader(("unix_us",), "")(str(micros), RECEIVED)[0] == expected
    assert time_reader(("unix_ns",), "")(micros * 1000, RECEIVED)[0] == expected
    assert time_reader(("unix",), "")(f"{micros // 1_000_000}.{micros % 1_000_000:06d}", RECEIVED)[0] == expected


PARTS = [
    "winlog",
    "event_data",
    "user_data",
    "xml_name",
    "a b",
    "@metadata",
    "@version",
    "x",
    "winlog.event_data",
    "y.z",
]
TREES = st.recursive(
    st.none() | st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(PARTS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(trees=st.lists(st.dictionaries(st.sampled_from(PARTS), TREES, max_size=5), max_size=3), full=st.booleans())
def test_elastics_tree_is_flattened_by_its_rules_whatever_was_read_before(
    trees: list[dict[str, Any]], full: bool
) -> None:
    remembered = _Paths.remembered
    _Paths.remembered = 10**9 if full else remembered
    try:
        for tree in trees:
            leaves = flat(tree)
            found = _flattened(tree)
            data, plain = "winlog.event_data.", {}
            for path, value in leaves.items():
                if path.startswith(data):
                    plain[path.replace(" ", "")] = value
                elif path.startswith("winlog.user_data.") and path != "winlog.user_data.xml_name":
                    name = data + path.rpartition(".")[2].replace(" ", "")
                    held = found[name]
                    assert value == held or (isinstance(held, list) and (value in held or value == []))
                elif path.startswith("winlog.") or (
                    value is not None and not path.startswith(("@metadata.", "@version"))
                ):
                    plain[path] = value
            assert {n: v for n, v in found.items() if not n.startswith(data)} == {
                n: v for n, v in plain.items() if not n.startswith(data)
            }
            assert plain.keys() <= found.keys()
    finally:
        _Paths.remembered = remembered
