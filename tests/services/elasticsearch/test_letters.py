"""What the server makes of every letter, beside what we make of it: `odd` names exactly where to look twice."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence

import pytest

from soc.store.elasticsearch import Server
from soc.store.elasticsearch.indices import Indices, path
from soc.store.elasticsearch.odd import VALUES, WORDS, Odd, same_value, same_words
from soc.store.fold import fold, keyword, words

pytestmark = pytest.mark.services

#: Every character of the planes in use but surrogates.
CHARS = [chr(point) for point in range(0x80, 0x20000) if not 0xD800 <= point < 0xE000]
VIETNAMESE = [
    "Đăng nhập thất bại từ máy chủ Sở Thông tin và Truyền thông",
    "NGUYỄN THỊ ÁNH, uỷ ban nhân dân phường Đông Hoà",
    "Ðặng Văn Hoà / Đặng Văn Hòa / ĐẶNG VĂN HOÀ",
    "khuỷu tay; quỳnh_trường-7; Ơi! Ưu điểm… “ngoặc” – gạch",
    "email=đinh.tiên.hoàng@hà-nội.example.vn",
]


@pytest.fixture(scope="module")
def index(server: Server, namespace: str) -> str:
    name = f"logs-soc.host-{namespace}-2026.11.24"
    Indices(server).ensure(name)
    server.call("PUT", path(name, "_settings"), {"index": {"analyze": {"max_token_count": 1_000_000}}})
    return name


def analyzed(server: Server, index: str, texts: Sequence[str], analyzer: str) -> list[list[str]]:
    """The server's words of each text."""
    starts, at = [], 0
    for text in texts:
        starts.append(at)
        at += len(text.encode("utf-16-le")) // 2 + 1
    found: list[list[str]] = [[] for _ in texts]
    body = {"analyzer": analyzer, "text": "\n".join(texts)}
    for token in server.call("POST", path(index, "_analyze"), body)["tokens"]:
        found[bisect_right(starts, token["start_offset"]) - 1].append(token["token"])
    return found


@pytest.mark.parametrize("context", ["a{}b", "{}", "A {}-"])
def test_words_of_a_letter_without_a_mark_are_ours(server: Server, index: str, context: str) -> None:
    plain = [char for char in CHARS if same_words(char)]
    assert len(plain) > 2_000
    for start in range(0, len(plain), 5_000):
        texts = [context.format(char) for char in plain[start : start + 5_000]]
        for text, found in zip(texts, analyzed(server, index, texts, "soc_words"), strict=True):
            assert found == words(text), repr(text)


def test_the_case_of_a_letter_without_a_mark_is_ours(server: Server, index: str) -> None:
    plain = [char for char in CHARS if same_value(char) and not char.isspace() and char != "\u2028"]
    for start in range(0, len(plain), 5_000):
        some = plain[start : start + 5_000]
        body = {"normalizer": "soc_case", "text": [f"x{char}X" for char in some]}
        tokens = [token["token"] for token in server.call("POST", path(index, "_analyze"), body)["tokens"]]
        assert tokens == [keyword(f"x{char}X") for char in some]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKD"])
@pytest.mark.parametrize("text", VIETNAMESE)
def test_vietnamese_is_found_by_its_words_in_every_form(server: Server, index: str, text: str, form: str) -> None:
    given = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    for spelled in (given, given.upper(), fold(given)):
        assert analyzed(server, index, [spelled], "soc_words") == [words(text)]
        assert WORDS not in Odd().marks(spelled.encode())


def test_vietnamese_composed_is_compared_on_the_server_alone() -> None:
    for text in VIETNAMESE:
        assert Odd().marks(text.encode()) == ()
        assert Odd().marks(unicodedata.normalize("NFD", text).encode()) == (VALUES,)
