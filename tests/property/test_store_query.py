"""The embedded store's search and `soc.store.evaluate` read every query alike; the parser survives any text."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.event import Fields, rfc3339, text_of
from soc.store.evaluate import matches, members
from soc.store.fold import fold, keyword, spaced, words
from soc.store.query import Query, QueryError, parse_query
from soc.store.sqlite.documents import SCHEMA, Document, Documents, packed

START = 1_795_000_000_000_000  # µs, in November 2026

TEXTS = [
    "PC-0001",
    "pc-0002.example.vn",
    "root",
    "Đăng nhập thất bại từ 10.1.2.3",
    "dang nhap",
    "Ðặng Văn Hoà",
    "failed password for root",
    "Failed",
    "C:\\Windows\\System32\\cmd.exe",
    "/var/log/*.log?",
    'say "hi" (twice)',
    "10.1.2.3",
    "10.1.200.3",
    "192.0.2.255",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "::ffff:10.1.2.3",
    "2026-11-24",
    "2026-11-24T10:00:00.000000Z",
    "2026-11-24T17:00:00+07:00",
    "73",
    "73.0",
    "073",
    "-5",
    "1e3",
    "true",
    "",
    "-",
    "a\x00b",
    "x\ue02ey x.y",
    "\x85\x80",
    "Straße İstanbul",
    "10 \u212aelvin",
    "C:\\Tools\\bcdedit.exe /set recoveryenabled no",
    "ΣΑΣ",
    "word " * 30,
    "w" * 95,
    "w" * 96 + "a",
    "w" * 96 + "b",
    "10.1.2.3/8",
    "AND",
]
FIELDS = [
    "host.name",
    "source.ip",
    "destination.port",
    "event.code",
    "tags",
    "process.executable",
    "soc.rules",
    "event.category",
    "event.outcome",
    "event.dataset",
    "user.name",
    "message",
    "event.original",
    "event.reason",
    "vendor.name",
    "vendor.srcip",
    "vendor.count",
]
#: Names within objects: searched as soc.match.field, host.name and so on.
PARENTS = {"soc.match": ["field", "op"], "host": ["name", "ip"], "event": ["original", "category"]}
NUMBERS = [0, 73, 4624, -5, 1000, 10**17, 73.0, 0.5, 1e22, True, False, None]
BOUNDS = ["*", "0", "73", "74", "1000", "10.0.0.0", "10.1.255.255", "2026-11-24", "2026-11-24T10:00", "m", "z"]
NETWORKS = ["10.0.0.0/8", "10.1.0.0/17", "10.1.128.0/17", "10.1.2.0/30", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/25"]
NETWORKS += ["2001:db8::/33", "::/0", "10.1.192.0/18"]

PUNCTUATION = {c: " " for c in range(128) if not chr(c).isalnum()}
MIXED = st.one_of(
    st.sampled_from("abZ09_ .-\u0301\u0323\u0315đĐÐéỆİΣσςßŁ\uff3f\ufb01\u1e9e\u13a0\uab70가"),
    st.characters(codec="utf-8"),
)
scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.text(max_size=6))


class Case:
    """Documents and queries about them, from a seed: most conditions ask for what some document has."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.docs = [self.document() for _ in range(self.random.randint(2, 12))]
        self.pairs = [(name, text_of(m)) for doc in self.docs for name in doc for m in members(doc, name)]
        for parent, inner in PARENTS.items():
            names = [f"{parent}.{name}" for name in inner]
            self.pairs += [(name, text_of(m)) for doc in self.docs for name in names for m in members(doc, name)]
        self.queries = [self.query(2) for _ in range(30)]

    def scalar(self) -> Any:
        kind = self.random.randrange(8)
        if kind < 5:
            return self.random.choice(TEXTS)
        if kind < 7:
            return self.random.choice(NUMBERS)
        return "".join(
            self.random.choices("ab 1.-/\\*đĐÐéE\u0301\x00\x80\ue02e\uf8ff\u2013😀", k=self.random.randrange(6))
        )

    def value(self) -> Any:
        return [self.scalar() for _ in range(self.random.randrange(4))] if self.random.random() < 0.3 else self.scalar()

    def document(self) -> Fields:
        fields: Fields = {name: self.value() for name in self.random.sample(FIELDS, self.random.randint(1, 10))}
        if self.random.random() < 0.3:
            parent = self.random.choice(sorted(PARENTS))
            fields[parent] = [
                {name: self.value() for name in PARENTS[parent]} for _ in range(self.random.randint(1, 2))
            ]
        return fields

    def query(self, depth: int) -> str:
        kind = self.random.randrange(8)
        if depth == 0 or kind < 4:
            return self.clause()
        if kind == 4:
            return f"NOT ({self.query(depth - 1)})"
        return f"({self.query(depth - 1)}{[' AND ', ' OR ', ' '][kind - 5]}{self.query(depth - 1)})"

    def clause(self) -> str:
        """One condition."""
        name, text = self.random.choice(self.pairs or [("absent", "x")])
        if self.random.random() < 0.15:
            name = self.random.choice(["", "", "event.reason", "source.ip", "absent"])
        if self.random.random() < 0.15:
            text = self.random.choice(TEXTS)
        kind = self.random.randrange(10)
        if not name or kind < 5:
            return (f"{name}:" if name else "") + self.term(text)
        if kind == 5:
            low, high = self.bound(text), self.bound(text)
            return f"{name}:{self.random.choice('[{')}{low} TO {high}{self.random.choice(']}')}"
        if kind == 6:
            return f"{name}:{self.random.choice(['>', '>=', '<', '<='])}{self.bound(text)}"
        if kind == 7:
            return f"{name}:{self.random.choice(NETWORKS)}"
        return self.random.choice([f"_exists_:{name}", f"{name}:*", "*:*", f"-{name}:*"])

    def bound(self, text: str) -> str:
        return escaped(text) if text and self.random.random() < 0.5 else self.random.choice(BOUNDS)

    def term(self, text: str) -> str:
        """A value as an analyst may type it: quoted, escaped, in other letters, with wildcards, a part of it."""
        found = words(text)
        if found and self.random.random() < 0.3:
            start = self.random.randrange(len(found))
            text = " ".join(found[start : start + self.random.randint(1, 3)])
        text = self.random.choice([text, text, text, text.upper(), fold(text), text[: len(text) // 2]])
        shape = self.random.randrange(5)
        if shape == 0 or not text.strip():
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if shape == 1:
            return escaped(text)
        if shape == 2:
            return escaped(text) + "*"
        cut = self.random.randrange(len(text))
        return escaped(text[:cut]) + self.random.choice("*?") + escaped(text[cut + 1 :])


def escaped(text: str) -> str:
    return "".join(c if c.isalnum() else f"\\{c}" for c in text)


def filled(docs: list[Fields]) -> Documents:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    made = Documents(connection, lambda fields, packed_id: None)
    for i, doc in enumerate(docs):
        doc["@timestamp"] = rfc3339(datetime.fromtimestamp((START + i * 60_000_000) // 1_000_000, UTC))
    ready = [Document(str(i), START + i * 60_000_000, "s", doc, packed(doc)) for i, doc in enumerate(docs)]
    made.add(made.prepare(ready))
    return made


def parsed(text: str) -> Query | None:
    try:
        return parse_query(text)
    except QueryError:
        return None


seeds = st.integers(0, 2**48)


@given(seeds, st.sampled_from([*FIELDS, "soc.match.field", "host.ip", "absent"]))
@settings(max_examples=100)
def test_the_store_finds_what_the_reference_finds(seed: int, name: str) -> None:
    case = Case(seed)
    docs, store = case.docs, filled(case.docs)
    for text in case.queries:
        query = parsed(text)
        if query is None:
            continue
        wanted = [i for i, doc in enumerate(docs) if matches(query, doc)]
        plan = store.plan(query)
        total, hits = store.search(query, plan, (None, None), 100)
        assert (total, [hit.n - 1 for hit in hits]) == (len(wanted), wanted[::-1]), text
        middle = START + len(docs) // 2 * 60_000_000
        late = [i for i in wanted if i >= len(docs) // 2]
        total, hits = store.search(query, plan, (middle, None), 2, oldest_first=True)
        assert (total, [hit.n - 1 for hit in hits]) == (len(late), late[:2]), text
        counts = Counter(value for i in wanted for value in {text_of(v) for v in members(docs[i], name)})
        assert store.count_by(query, plan, name, (None, None)) == counts, (text, name)
        steps = Counter(i // 2 for i in wanted)
        assert store.count_by_time(query, plan, (START, START + 10**9), 120_000_000) == steps, text


@given(seeds)
@settings(max_examples=30)
def test_a_replaced_document_is_found_by_what_it_is_now(seed: int) -> None:
    case = Case(seed)
    *before, new = case.docs
    store = filled(before)
    at = seed % len(before)
    now = {**new, "@timestamp": before[at]["@timestamp"]}
    store.replace(at + 1, Document(str(at), START + at * 60_000_000, "s", now, packed(now)))
    current = [*before[:at], now, *before[at + 1 :]]
    for text in case.queries:
        if (query := parsed(text)) is not None:
            wanted = sum(matches(query, doc) for doc in current)
            assert store.search(query, store.plan(query), (None, None), 100)[0] == wanted, text
    assert store.read(at + 1) == now


def test_generated_queries_are_worth_asking() -> None:
    """Most can be read, and many find some documents and leave some, with an exact plan and without."""
    seen: Counter[object] = Counter()
    for seed in range(40):
        case = Case(seed)
        store = filled(case.docs)
        for query in map(parsed, case.queries):
            if query is not None:
                found = sum(matches(query, doc) for doc in case.docs)
                seen[0 < found < len(case.docs), store.plan(query).exact] += 1
    assert sum(seen.values()) > 1000
    assert min(seen[True, True], seen[True, False]) > 200


@given(st.one_of(st.text(max_size=40), st.text(alphabet='ab:"()[]{}<>=*?\\-+! TOANDR0.1/', max_size=40)))
@settings(max_examples=250)
def test_any_text_is_a_query_or_an_error_with_a_position(text: str) -> None:
    try:
        query = parse_query(text)
    except QueryError as e:
        assert 0 <= e.position <= len(text)
        assert f"character {e.position + 1}" in str(e)
    else:
        assert matches(query, {"a": "b", "message": text}) in (True, False)


@given(st.text())
@settings(max_examples=150)
def test_folding_is_stable_and_keywords_of_one_form_have_the_same_words(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert keyword(keyword(text)) == keyword(text)
    assert words(keyword(text)) == words(text)
    assert spaced(text).lower().replace("_", " ").translate(PUNCTUATION).split() == words(text)


@given(st.text(MIXED, max_size=12))
@settings(max_examples=300)
def test_a_text_folds_run_by_run_as_it_does_in_one_piece(text: str) -> None:
    whole = text
    for _ in range(2):
        whole = "".join(c for c in unicodedata.normalize("NFKD", whole) if not "\u0300" <= c <= "\u036f")
        whole = "".join(
            "d" if c in "đĐÐðƉɖ" else "l" if c in "łŁ" else "o" if c in "øØ" else c for c in whole
        ).casefold()
    assert fold(text) == whole


@given(
    st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    )
)
@settings(max_examples=100)
def test_any_json_value_can_be_written_and_read(value: Any) -> None:
    doc: Fields = {"tags": value, "host": [{"name": value}]}
    try:
        packed(doc)
    except TypeError:
        return
    assert filled([doc]).read(1) == doc
