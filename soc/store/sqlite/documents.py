"""Flat documents in a file: written with their index, found again by query.

    item    n, time, id, combination of rolled-up fields, and the fields that are counted most
    body    n → the document as JSON, compressed by a dictionary of its source
    words   FTS5 over three texts (see `terms`)
    combo   each different combination of the rolled-up fields

The day files of events and the file of alerts both hold these tables.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from soc.event import Fields, text_of
from soc.store.evaluate import matches, members, scalars
from soc.store.sqlite import bodies, terms
from soc.store.sqlite.bodies import Bodies
from soc.store.sqlite.plan import Plan, Planner
from soc.store.tree import Query

#: Fields of few different values: counts of them, in any combination, come from the roll-up.
ROLLED: Final = (
    "event.dataset",
    "event.kind",
    "event.category",
    "event.outcome",
    "log.level",
    "soc.unit.uid",
    "soc.unit.level",
    "organization.id",
)

#: Fields that are counted often and have many values, as columns of `item`: the texts of their values.
COUNTED: Final = {
    "host.name": "host",
    "user.name": "user",
    "source.ip": "source_ip",
    "destination.ip": "destination_ip",
    "event.action": "action",
    "event.code": "code",
}

#: Of the files; another one is needed when SCHEMA, ROLLED, COUNTED or `terms` change, for they say what is in them.
FORMAT: Final = 2

_JOIN: Final = "\x1f"  # between the texts of a list in a column

SCHEMA: Final = f"""
CREATE TABLE item (n INTEGER PRIMARY KEY, ts INTEGER NOT NULL, combo INTEGER NOT NULL, id BLOB NOT NULL,
  {", ".join(f"{column} TEXT" for column in COUNTED.values())});
CREATE UNIQUE INDEX item_id ON item (id);
CREATE INDEX item_ts ON item (ts);
{bodies.SCHEMA};
CREATE TABLE combo (number INTEGER PRIMARY KEY, fields BLOB NOT NULL UNIQUE);
CREATE VIRTUAL TABLE words USING fts5 (
  original, message, rest, content = '', columnsize = 0, detail = full, tokenize = 'ascii');
INSERT INTO words (words, rank) VALUES ('automerge', 16);
INSERT INTO words (words, rank) VALUES ('crisismerge', 32);
INSERT INTO words (words, rank) VALUES ('hashsize', 33554432);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, row)
"""

_PARENTS: Final = frozenset(name[:at] for name in (*ROLLED, *COUNTED) for at in range(len(name)) if name[at] == ".")


@dataclass(frozen=True, slots=True)
class Document:
    """What is written: `packed` is the JSON of `fields`, `source` chooses the dictionary."""

    id: bytes | str
    ts: int
    source: str
    fields: Fields
    packed: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A document with all that can be made of it before its file is locked. For one file: see `Documents.prepare`."""

    document: Document
    combo: bytes  # as it stands in the table of combinations
    counted: list[str | None]
    texts: tuple[str, str, str]
    body: tuple[int, bytes] | None  # the number of the dictionary and the document; None if its dictionary is unknown


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    """Where a document is, and its place in time."""

    ts: int
    n: int


def packed(fields: Fields) -> bytes:
    """The JSON of a document. Raises TypeError for what JSON cannot say."""
    return orjson.dumps(fields, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS)


def chunks(ids: Sequence[bytes | str]) -> Iterator[Sequence[bytes | str]]:
    """Parts small enough for SQLite's parameters, of which some builds take no more than 32,766."""
    return (ids[start : start + 10_000] for start in range(0, len(ids), 10_000))


class Documents:
    """The documents of one open file. Raises sqlite3.Error; transactions are the caller's."""

    def __init__(self, connection: sqlite3.Connection, complete: Callable[[Fields, bytes | str], None]) -> None:
        """`complete(fields, id)` adds what a document holds besides what was written."""
        self._connection = connection
        self._complete = complete
        self._combo_numbers: dict[bytes, int] = {}
        self._combo_fields: dict[int, Fields] = {}
        self._bodies = Bodies(connection)
        self._planner = Planner(connection, frozenset(ROLLED), self.combos)

    # -- writing

    def existing(self, ids: Sequence[bytes | str]) -> set[bytes | str]:
        """Those of the ids that are there."""
        found: set[bytes | str] = set()
        for some in chunks(ids):
            marks = ",".join("?" * len(some))
            found.update(row[0] for row in self._connection.execute(f"SELECT id FROM item WHERE id IN ({marks})", some))
        return found

    def forget_unwritten(self) -> None:
        """A transaction was rolled back: what was noted of it is void."""
        self._combo_numbers.clear()
        self._combo_fields.clear()
        self._bodies.forget_unwritten()

    def prepare(self, documents: Sequence[Document]) -> list[Ready]:
        """What `add` of these same Documents takes. Neither reads nor writes the file."""
        return [
            Ready(
                document,
                _combo(document.fields),
                _counted(document.fields),
                terms.index_texts(document.fields),
                self._bodies.compressed(document.source, document.packed),
            )
            for document in documents
        ]

    def add(self, documents: Sequence[Ready]) -> list[tuple[int, int]]:
        """Write those whose ids are not there yet, the first of several with one id: (index, number of its
        combination) of each document written."""
        row = self._connection.execute("SELECT coalesce(max(n), 0) FROM item").fetchone()
        first = row[0] + 1
        combos = [self._combo_number(ready.combo) for ready in documents]
        marks = ",".join("?" * (4 + len(COUNTED)))
        items = [
            (n, ready.document.ts, combo, ready.document.id, *ready.counted)
            for n, (ready, combo) in enumerate(zip(documents, combos, strict=True), first)
        ]
        written = self._connection.executemany(f"INSERT OR IGNORE INTO item VALUES ({marks})", items).rowcount
        if written == len(documents):
            new = list(enumerate(documents, first))
        else:
            there = {n for (n,) in self._connection.execute("SELECT n FROM item WHERE n >= ?", (first,))}
            new = [(n, ready) for n, ready in enumerate(documents, first) if n in there]
        self._bodies.add([(n, ready.document.source, ready.document.packed, ready.body) for n, ready in new])
        self._connection.executemany(
            "INSERT INTO words (rowid, original, message, rest) VALUES (?, ?, ?, ?)",
            [(n, *ready.texts) for n, ready in new],
        )
        return [(n - first, combos[n - first]) for n, _ in new]

    def replace(self, n: int, document: Document) -> None:
        """Write another version of a document."""
        old = terms.index_texts(self.read(n))
        self._connection.execute(
            "INSERT INTO words (words, rowid, original, message, rest) VALUES ('delete', ?, ?, ?, ?)", (n, *old)
        )
        texts = terms.index_texts(document.fields)
        self._connection.execute("INSERT INTO words (rowid, original, message, rest) VALUES (?, ?, ?, ?)", (n, *texts))
        columns = ", ".join(f"{column} = ?" for column in COUNTED.values())
        self._connection.execute(
            f"UPDATE item SET ts = ?, combo = ?, {columns} WHERE n = ?",
            (document.ts, self._combo_number(_combo(document.fields)), *_counted(document.fields), n),
        )
        self._connection.execute("DELETE FROM body WHERE n = ?", (n,))
        self._bodies.add([(n, document.source, document.packed, None)])

    def _combo_number(self, key: bytes) -> int:
        number = self._combo_numbers.get(key)
        if number is None:
            select = "SELECT number FROM combo WHERE fields = ?"
            row = self._connection.execute(select, (key,)).fetchone()
            if row is None:
                self._connection.execute("INSERT INTO combo (fields) VALUES (?)", (key,))
                row = self._connection.execute(select, (key,)).fetchone()
            number = self._combo_numbers[key] = int(row[0])
        return number

    # -- reading

    def combos(self) -> Mapping[int, Fields]:
        """Number → the rolled-up fields that it stands for."""
        known = len(self._combo_fields)
        for number, key in self._connection.execute("SELECT number, fields FROM combo WHERE number > ?", (known,)):
            values = zip(ROLLED, orjson.loads(key), strict=True)
            self._combo_fields[number] = {name: value for name, value in values if value is not None}
        return self._combo_fields

    def number(self, packed_id: bytes | str) -> int | None:
        """Where the document of an id is."""
        row = self._connection.execute("SELECT n FROM item WHERE id = ?", (packed_id,)).fetchone()
        return None if row is None else int(row[0])

    def read(self, n: int) -> Fields:
        """The document there."""
        row = self._connection.execute(
            "SELECT item.id, body.dictionary, body.document FROM body JOIN item USING (n) WHERE n = ?", (n,)
        ).fetchone()
        packed_id, dictionary, body = row
        return self._document(packed_id, self._bodies.json(dictionary, body))

    def _document(self, packed_id: bytes | str, document: bytes) -> Fields:
        fields: Fields = orjson.loads(document)
        self._complete(fields, packed_id)
        return fields

    def plan(self, query: Query) -> Plan:
        return self._planner.plan(query)

    def search(
        self,
        query: Query,
        plan: Plan,
        span: tuple[int | None, int | None],
        limit: int,
        oldest_first: bool = False,
        total: int | None = None,
    ) -> tuple[int, list[Hit]]:
        """(how many meet the query, the first `limit` of them by time). `span` is since <= ts < until.

        `total` if it is known already.
        """
        if not plan.exact:
            return self._sift(query, plan, span, limit, oldest_first)
        if total is None:
            total = int(self._connection.execute(f"SELECT count(*) {_from(plan, span)}").fetchone()[0])
        direction = "" if oldest_first else "DESC"
        order = f"ORDER BY item.ts {direction}, item.n {direction} LIMIT ?"
        rows = self._connection.execute(f"SELECT item.ts, item.n {_from(plan, span, ts=True)} {order}", (limit,))
        return total, [Hit(ts, n) for ts, n in rows]

    def _sift(
        self, query: Query, plan: Plan, span: tuple[int | None, int | None], limit: int, oldest_first: bool
    ) -> tuple[int, list[Hit]]:
        total = 0

        def met() -> Iterator[Hit]:
            nonlocal total
            for ts, n, _ in self.met(query, plan, span):
                total += 1
                yield Hit(ts, n)

        first = heapq.nsmallest(limit, met()) if oldest_first else heapq.nlargest(limit, met())
        return total, first

    def met(self, query: Query, plan: Plan, span: tuple[int | None, int | None]) -> Iterator[tuple[int, int, Fields]]:
        """(time, number, document) of all that meet the query, in no order."""
        columns = "item.ts, item.n, item.id, body.dictionary, body.document"
        rows = self._connection.execute(f"SELECT {columns} {_from(plan, span, body=True, ts=True)}")
        for ts, n, packed_id, dictionary, body in rows:
            fields = self._document(packed_id, self._bodies.json(dictionary, body))
            if plan.exact or matches(query, fields):
                yield ts, n, fields

    def count_by(self, query: Query, plan: Plan, name: str, span: tuple[int | None, int | None]) -> Counter[str]:
        """Value of the field → documents that hold it, among those that meet the query."""
        counts: Counter[str] = Counter()
        if plan.exact and name in ROLLED:
            rows = self._connection.execute(f"SELECT combo, count(*) {_from(plan, span, ts=True)} GROUP BY combo")
            return self.texts_of_combos(dict(rows.fetchall()), name)
        if plan.exact and name in COUNTED:
            column = COUNTED[name]
            rows = self._connection.execute(f"SELECT {column}, count(*) {_from(plan, span, ts=True)} GROUP BY {column}")
            for joined, count in rows:
                for text in () if joined is None else joined.split(_JOIN):
                    counts[text] += count
        else:
            for _, _, fields in self.met(query, plan, span):
                counts.update(_texts(fields, name))
        return counts

    def texts_of_combos(self, counts: Mapping[int, int], name: str) -> Counter[str]:
        """Value of a rolled-up field → the sum over the combinations that hold it."""
        out: Counter[str] = Counter()
        combos = self.combos()
        for combo, count in counts.items():
            for text in _texts(combos[combo], name):
                out[text] += count
        return out

    def count_by_time(self, query: Query, plan: Plan, span: tuple[int, int], step: int) -> Counter[int]:
        """Index of the step from the span's start → documents, among those that meet the query."""
        if plan.exact:
            group = f"(item.ts - {span[0]}) / {step}"
            rows = self._connection.execute(f"SELECT {group}, count(*) {_from(plan, span, ts=True)} GROUP BY 1")
            return Counter(dict(rows.fetchall()))
        return Counter((ts - span[0]) // step for ts, _, _ in self.met(query, plan, span))


def _from(plan: Plan, span: tuple[int | None, int | None], body: bool = False, ts: bool = False) -> str:
    """FROM and WHERE of a plan within a span of time; `ts`: item is needed even where FTS5 alone would do."""
    since, until = span
    held = [f"({plan.where})"] if plan.where else []
    # with a match, its rows come first: "+" keeps SQLite from walking the index of times instead
    column = "+item.ts" if plan.match else "item.ts"
    held += [] if since is None else [f"{column} >= {since}"]
    held += [] if until is None else [f"{column} < {until}"]
    if plan.match and not held and not ts and not body:
        source = "words"
    elif plan.match:
        source = "words CROSS JOIN item ON item.n = words.rowid"
    else:
        source = "item"
    if plan.match:
        held.insert(0, "words MATCH '" + plan.match.replace("'", "''") + "'")
    if body:
        source += " CROSS JOIN body ON body.n = item.n"
    return f"FROM {source}" + (f" WHERE {' AND '.join(held)}" if held else "")


def _texts(fields: Fields, name: str) -> list[str]:
    """The different texts of a field's values."""
    value = fields.get(name)
    if value.__class__ is str:
        return [value] if isinstance(value, str) else []
    return list(dict.fromkeys(text_of(member) for member in members(fields, name)))


def _combo(fields: Fields) -> bytes:
    if _PARENTS.isdisjoint(fields):
        values = [fields.get(name) for name in ROLLED]
    else:
        values = [fields[name] if name in fields else (list(members(fields, name)) or None) for name in ROLLED]
    return orjson.dumps(values)


def _counted(fields: Fields) -> list[str | None]:
    nested = not _PARENTS.isdisjoint(fields)
    out: list[str | None] = []
    for name in COUNTED:
        value = list(members(fields, name)) if nested and name not in fields else fields.get(name)
        if value is None or value.__class__ is str:
            out.append(value)
        else:
            texts = dict.fromkeys(text_of(member) for member in scalars(value))
            out.append(_JOIN.join(texts) if texts else None)
    return out
