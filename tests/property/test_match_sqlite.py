"""Where pySigma's SQLite backend can say what a rule means, SQLite's answer and ours are the same.

It knows ASCII letter case alone and SQL's third truth value, so texts are ASCII and every event has every field.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection

from soc.detect import load_rules

FIELDS = ("a", "b", "c")
value = st.one_of(st.text(st.sampled_from("aAbB01-/%_' .*?\\\n"), max_size=5), st.sampled_from(["ab", "AB", "a", "b"]))
event = st.fixed_dictionaries(dict.fromkeys(FIELDS, value))
wanted = st.one_of(value, st.text(st.sampled_from("aB*?\\-%_'"), min_size=1, max_size=5)).filter(bool)


@st.composite
def item(draw: st.DrawFn) -> tuple[str, Any]:
    modifiers = draw(
        st.sampled_from(["", "|contains", "|startswith", "|endswith", "|windash|contains", "|base64|contains"])
    )
    words = st.text(st.sampled_from("aB01- "), min_size=1, max_size=4) if "64" in modifiers else wanted
    words = words.filter(lambda word: word.count("-") + word.count("/") < 3)
    linked = draw(st.sampled_from(["", "|all"])) if modifiers else ""
    return f"{draw(st.sampled_from(FIELDS))}{modifiers}{linked}", draw(st.lists(words, min_size=1, max_size=3))


selection = st.one_of(
    st.lists(item(), min_size=1, max_size=3).map(dict),
    st.lists(st.lists(item(), min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
)
condition = st.sampled_from(
    [
        "s1",
        "s1 and s2",
        "s1 or s2",
        "not s1",
        "s1 and not s2",
        "1 of s*",
        "all of s*",
        "not (s1 or s2)",
        "not 1 of s* or s2",
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


@settings(max_examples=100)
@given(one=selection, two=selection, text=condition, events=st.lists(event, min_size=1, max_size=6))
def test_sqlite_agrees(one: Any, two: Any, text: str, events: list[dict[str, str]], folder: Path) -> None:
    rule = json.dumps(
        {
            "title": "t",
            "id": "00000000-0000-4000-8000-000000000001",
            "logsource": {"product": "p"},
            "detection": {"s1": one, "s2": two, "condition": text},
        }
    )
    [query] = sqliteBackend().convert(SigmaCollection.from_yaml(rule))
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE logs (n INTEGER, {', '.join(f'{f} TEXT COLLATE NOCASE' for f in FIELDS)})")
        database.executemany(
            "INSERT INTO logs VALUES (?, ?, ?, ?)", [(i, *(e[f] for f in FIELDS)) for i, e in enumerate(events)]
        )
        expected = sorted(row[0] for row in database.execute(query.replace("SELECT *", "SELECT n")))
    (folder / "rule.yml").write_text(rule)
    found = load_rules([folder / "rule.yml"]).match(events)
    assert [i for i, detections in enumerate(found) if detections] == expected, query
