"""Case folding: simple, Unicode's, and the same whichever way round."""

from __future__ import annotations

import unicodedata

import re2
from hypothesis import given
from hypothesis import strategies as st

from soc.detect.fold import fold, plain

letters = st.characters(exclude_categories=["Cs"])


def test_folding_is_simple_case_folding_for_every_character() -> None:
    for code in range(0x20000):
        char = chr(code)
        if 0xD800 <= code < 0xE000 or unicodedata.normalize("NFC", char) != char:
            continue
        full = char.casefold()
        expected = full if len(full) == 1 else char.lower() if len(char.lower()) == 1 else char
        assert fold(char) == expected, hex(code)


@given(st.text(st.one_of(letters, st.sampled_from("ABZÀÖØÞßµΣσςſKİ"))))
def test_text_folds_character_by_character(text: str) -> None:
    assert fold(text) == "".join(fold(char) for char in plain(text))
    assert len(fold(text)) == len(plain(text))


@given(st.sampled_from("AzÀéĐđΣςſsKkßİiıµμ"), st.sampled_from("AzÀéĐđΣςſsKkßİiıµμ"))
def test_regular_expressions_without_case_agree(one: str, other: str) -> None:
    assert (fold(one) == fold(other)) == (re2.fullmatch(f"(?i){one}", other) is not None)


def test_lone_surrogates_become_replacement_characters() -> None:
    assert plain("a\ud800b") == "a\ufffdb"
    assert fold("A\udfff\ud83d\ude00") == "a\ufffd\U0001f600"
