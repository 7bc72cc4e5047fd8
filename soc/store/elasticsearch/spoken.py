"""Conditions on words → queries on text fields: (documents that surely meet it, documents that may)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from soc.store.elasticsearch.dsl import NONE, Dsl, all_of, any_of
from soc.store.elasticsearch.fields import LONGEST_WORD
from soc.store.tree import Wild, Words

Found = tuple[Dsl, Dsl]

_RUN: Final = re.compile("[0-9a-z]+")
_PREFIXES: Final = 5_000  # words that a phrase's last beginning stands for, at most


def words(query: Words, fields: Sequence[str]) -> Found:
    """Words that follow each other in one value of one of the text fields."""
    if not all(word.isascii() for word in query.words):
        return NONE, NONE  # such documents bear a mark
    cut = [word[:LONGEST_WORD] for word in query.words]
    maybe = any_of(*(_phrase(name, cut, query.prefix) for name in fields))
    if any(len(word) >= LONGEST_WORD for word in query.words):
        return NONE, maybe  # the index knows how a longer word begins
    if query.prefix and len(cut) > 1:
        *exact, last = cut
        wider = any_of(*(all_of(_phrase(name, exact, False), {"prefix": {name: {"value": last}}}) for name in fields))
        return maybe, wider
    return maybe, maybe


def _phrase(name: str, found: Sequence[str], prefix: bool) -> Dsl:
    if len(found) == 1:
        return {"prefix": {name: {"value": found[0]}}} if prefix else {"term": {name: {"value": found[0]}}}
    asked = {"query": " ".join(found), "analyzer": "whitespace"}
    if prefix:
        return {"match_phrase_prefix": {name: {**asked, "max_expansions": _PREFIXES}}}
    return {"match_phrase": {name: asked}}


def text_wild(query: Wild, fields: Sequence[str]) -> Found:
    """One word, or one run of other than blanks, fits the pattern. The index holds the words."""
    literals = [part for part in query.parts if part]
    if any(not char.isascii() and char.isalnum() for part in literals for char in part):
        return NONE, NONE  # such documents bear a mark
    plain = all(_RUN.fullmatch(part) for part in literals)
    sure = any_of(*(_word(name, query.parts) for name in fields)) if plain else NONE
    if plain and len(literals) == 1 and None in (query.parts[0], query.parts[-1]) and "" not in query.parts:
        return sure, sure  # a run holds these letters in one word, at its beginning or end if they must stand there
    held = [_part(*found) for found in _runs(query.parts)]
    return sure, any_of(sure, *(all_of(*({kind: {name: {"value": text}}} for kind, text in held)) for name in fields))


def _word(name: str, parts: Sequence[str | None]) -> Dsl:
    pattern = "".join("*" if part is None else part or "?" for part in parts)
    return {"wildcard": {name: {"value": pattern}}}


def _runs(parts: Sequence[str | None]) -> Iterator[tuple[str, bool, bool]]:
    """Letters and digits that stand together in one word of what fits; whether it begins and ends with them."""
    for i, part in enumerate(parts):
        for found in _RUN.finditer(part or ""):
            first = found.start() > 0 or i == 0
            last = found.end() < len(part or "") or i + 1 == len(parts)
            yield found[0], first, last


def _part(text: str, first: bool, last: bool) -> tuple[str, str]:
    """The kind of query, and its value."""
    if first and last and len(text) < LONGEST_WORD:
        return "term", text
    if first:
        return "prefix", text[: LONGEST_WORD - 1]
    return "wildcard", f"*{text}" + "*" * (not last)
