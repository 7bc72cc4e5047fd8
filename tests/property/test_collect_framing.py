"""Any bytes, any chunking, any restart: a framer gives the same pieces, and none of the good ones is lost."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.collect.framing import Framer, Joined, Lines, Piece
from soc.collect.framing_json import Json
from soc.collect.framing_xml import Xml

LIMIT = 60  # small, so that records of every kind meet it

Make = Callable[[int, int, bytes], Framer]
FRAMERS: dict[str, Make] = {
    "lines": lambda offset, number, before: Lines(offset, number, LIMIT),
    "joined": lambda offset, number, before: Joined("^[0-9]", offset, number, LIMIT),
    "json": lambda offset, number, before: Json(offset, number, LIMIT, before=before),
    "xml": lambda offset, number, before: Xml(offset, number, LIMIT),
}
TOKENS = [
    *[b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\n", b"\r\n", b"  ", b'"a"', b'{"a":1}', b'{"a":"}{"}'],
    *[b'{"a":1,"b', b"tru", b"12", b"\n{", b"}\n{", b"\n}\n", b"<Event ", b"<Event>", b"</Event>", b"<Events>", b"<"],
    *[b"<?xml?>", b"x" * 25, b"\xff", b"\0", b"\t", b" 1"],
]
streams = st.lists(st.sampled_from(TOKENS), max_size=25).map(b"".join)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in itertools.pairwise([0, *at, len(data)])]


def pieces(framer: Framer, parts: list[bytes]) -> list[Piece]:
    return [p for part in parts for p in framer.feed(part)] + framer.finish()


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=200)
@given(data=streams, cuts=st.lists(st.integers(0, 500), max_size=8))
def test_chunking_changes_nothing(name: str, data: bytes, cuts: list[int]) -> None:
    make = FRAMERS[name]
    assert pieces(make(0, 0, b""), [data]) == pieces(make(0, 0, b""), chunks(data, cuts))


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=80)
@given(data=streams, which=st.integers(0, 30))
def test_a_restart_at_the_end_of_any_piece_gives_the_rest(name: str, data: bytes, which: int) -> None:
    make = FRAMERS[name]
    whole = pieces(make(0, 0, b""), [data])
    if not whole:
        return
    last = whole[which % len(whole)]
    again = pieces(make(last.end, last.number, data[: last.end]), [data[last.end :]])
    expected = whole[which % len(whole) + 1 :]
    assert [p._replace(number=0) for p in again] == [p._replace(number=0) for p in expected]


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=80)
@given(data=streams)
def test_pieces_are_in_order_and_are_what_stands_there(name: str, data: bytes) -> None:
    at = 0
    for piece in pieces(FRAMERS[name](0, 0, b""), [data]):
        assert at <= piece.offset < piece.end <= len(data)
        assert data[piece.offset : piece.end].strip(b" \t\r\n,").startswith(piece.data.strip(b" \t\r\n,"))
        at = piece.end


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(max_size=4), values, max_size=4), min_size=1, max_size=6)
full_objects = st.lists(st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=3), min_size=1, max_size=6)
STYLES: dict[str, Callable[[list[dict[str, object]]], str]] = {
    "lines": lambda xs: "\n".join(json.dumps(x) for x in xs),
    "lines with blank ones": lambda xs: "\n\n" + " \n\n".join(json.dumps(x, ensure_ascii=False) for x in xs) + "\n",
    "pretty": lambda xs: "\n".join(json.dumps(x, indent=2) for x in xs),
    "pretty without indent": lambda xs: "\n".join(json.dumps(x, indent=0) for x in xs),
    "concatenated": lambda xs: "".join(json.dumps(x) for x in xs),
    "array": lambda xs: json.dumps(xs),
    "pretty array": lambda xs: json.dumps(xs, indent=4),
    "array by line": lambda xs: "[\n" + ",\n".join(json.dumps(x) for x in xs) + "\n]\n",
    "text sequence": lambda xs: "".join("\x1e" + json.dumps(x) + "\n" for x in xs),
}


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=40)
@given(xs=objects, cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_json_of_every_style_gives_its_objects(style: str, xs: list[dict[str, object]], cuts: list[int]) -> None:
    found = pieces(Json(), chunks(STYLES[style](xs).encode("utf-8", "surrogatepass"), cuts))
    assert [p.code for p in found] == [""] * len(xs)
    assert [json.loads(p.data) for p in found] == xs


def rest_after(make: Make, data: bytes, fed: int) -> tuple[list[Piece], list[Piece]]:
    """What a framer that was fed so many bytes still gives, and what one started again after its last piece gives."""
    first = make(0, 0, b"")
    given = first.feed(data[:fed])
    number, end = first.number, given[-1].end if given else 0
    rest = first.feed(data[fed:]) + first.finish()
    return rest, pieces(make(end, number, data[:end]), [data[end:]])


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=40)
@given(xs=full_objects, fed=st.integers(0, 500))
def test_a_restart_goes_on_with_the_numbers(style: str, xs: list[dict[str, object]], fed: int) -> None:
    data = STYLES[style](xs).encode("utf-8", "surrogatepass")
    rest, again = rest_after(lambda offset, number, before: Json(offset, number, before=before), data, fed)
    assert again == rest


@settings(max_examples=80)
@given(
    lines=st.lists(st.sampled_from([b"1 begins", b"2", b"  goes on", b"", b"\r"]), max_size=12), fed=st.integers(0, 99)
)
def test_a_restart_of_joined_lines_goes_on_with_the_lines(lines: list[bytes], fed: int) -> None:
    rest, again = rest_after(FRAMERS["joined"], b"\n".join(lines), fed)
    assert again == rest


@pytest.mark.parametrize("name", ["lines", "joined", "xml"])
@settings(max_examples=80)
@given(data=streams, fed=st.integers(0, 300))
def test_a_restart_of_text_goes_on_with_the_lines(name: str, data: bytes, fed: int) -> None:
    rest, again = rest_after(FRAMERS[name], data, fed)
    assert again == rest


@pytest.mark.parametrize("style", ["lines", "pretty", "pretty array", "array by line"])
@settings(max_examples=80)
@given(data=st.data(), count=st.integers(2, 5))
def test_a_cut_json_object_costs_only_itself(style: str, data: st.DataObject, count: int) -> None:
    xs = [{"n": n, "deep": {"list": [1, {"text": "a } { [ b"}]}} for n in range(count)]
    texts = [STYLES[style]([x]).strip("[]\n") for x in xs]
    hurt = data.draw(st.integers(0, count - 1))
    brace = texts[hurt].index("{")
    cut = data.draw(st.integers(brace + 1, len(texts[hurt].rstrip()) - 1))
    texts[hurt] = texts[hurt][:cut]
    separator = ",\n" if "array" in style else "\n"
    found = pieces(Json(), [b"[\n" * ("array" in style) + separator.join(t.strip("\n") for t in texts).encode()])
    read = [parsed(p) for p in found]
    assert [n for n in read if n is not None] == [n for n in range(count) if n != hurt]
    assert read.count(None) == 1


def parsed(piece: Piece) -> int | None:
    """The object's number; None where the framer or the parser will set it aside."""
    try:
        return None if piece.code else int(json.loads(piece.data)["n"])
    except json.JSONDecodeError:
        return None
