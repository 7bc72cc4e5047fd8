"""Who reads which partition, and how far: members, leases and committed offsets of all groups, in one file.

    cursor   (topic, grp, partition) → committed offset, and the token of the member that holds the partition
    member   token → topic, grp, name, last heartbeat

No member leads. Each looks at the same rows and reaches the same result: with P partitions and M live members
everybody may hold P // M, and the P % M members who hold most (then by name) one more. Who holds too many lets go,
after it has told its user; who holds too few takes what nobody holds. A partition is taken from another member
only when that member's lease has run out, so it is never read by two at a time.

Heartbeats are on the machine's monotonic clock, which all its processes share and which no clock jump touches; the
boot it belongs to stands beside it, for it starts anew with each. Synchronous NORMAL: a commit that a power cut
takes back is read again, which is what the bus promises anyway.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from soc.bus.sqlite.pragmas import PRAGMAS
from soc.sqlite import connect, failures, transaction

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cursor (
  topic TEXT, grp TEXT, partition INTEGER, committed INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (topic, grp, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member (
  token TEXT PRIMARY KEY, topic TEXT NOT NULL, grp TEXT NOT NULL, name TEXT NOT NULL, boot TEXT NOT NULL,
  beat REAL NOT NULL) WITHOUT ROWID;
"""


def boot_id() -> str:
    """Names the machine's current run, so that monotonic times of an earlier one are told apart."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Share:
    """What a member holds now, and of that what is too much. `alive` is False once its lease went to others."""

    alive: bool
    held: frozenset[int]
    surplus: frozenset[int]


class Groups:
    """The file of groups. Threads of a process may not share one."""

    def __init__(self, path: Path, session_timeout_s: float) -> None:
        self.path = path
        self._timeout_s = session_timeout_s
        self._boot = boot_id()
        self._connection = connect(path, "NORMAL", PRAGMAS)
        with failures(path):
            if self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] < 2:
                with transaction(self._connection):
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)

    # -- membership

    def join(self, topic: str, group: str, name: str, partitions: int) -> str:
        """The new member's token. A name that is there already hands its partitions to the new token at once."""
        token = secrets.token_hex(8)
        with failures(self.path), transaction(self._connection):
            here = (topic, group)
            rows = [(*here, p) for p in range(partitions)]
            self._connection.executemany("INSERT OR IGNORE INTO cursor (topic, grp, partition) VALUES (?, ?, ?)", rows)
            for (old,) in self._connection.execute(
                "SELECT token FROM member WHERE topic = ? AND grp = ? AND name = ? AND name != ''", (*here, name)
            ).fetchall():
                self._connection.execute("UPDATE cursor SET holder = ? WHERE holder = ?", (token, old))
                self._connection.execute("DELETE FROM member WHERE token = ?", (old,))
            self._connection.execute(
                "INSERT INTO member VALUES (?, ?, ?, ?, ?, ?)", (token, *here, name, self._boot, time.monotonic())
            )
        return token

    def beat(self, tokens: Iterable[str]) -> set[str]:
        """Renew the leases; the tokens that are still members."""
        now, alive = time.monotonic(), set()
        with failures(self.path), transaction(self._connection):
            for token in tokens:
                if self._connection.execute("UPDATE member SET beat = ? WHERE token = ?", (now, token)).rowcount:
                    alive.add(token)
        return alive

    def leave(self, token: str) -> None:
        with failures(self.path), transaction(self._connection):
            self._leave(token)

    def _leave(self, token: str) -> None:
        self._connection.execute("UPDATE cursor SET holder = '' WHERE holder = ?", (token,))
        self._connection.execute("DELETE FROM member WHERE token = ?", (token,))

    def share(self, topic: str, group: str, token: str) -> Share:
        """Remove the dead, take what is free and due to us, and say what we hold."""
        with failures(self.path):
            now = time.monotonic()
            if (settled := self._look(topic, group, token, now)) is not None:
                return settled
            with transaction(self._connection):
                for dead in self._dead(topic, group, now):
                    self._leave(dead)
                holders = self._holders(topic, group)
                quotas = self._quotas(topic, group, holders)
                if token not in quotas:
                    return Share(False, frozenset(), frozenset())
                held = [p for p, holder in holders.items() if holder == token]
                free = [p for p, holder in holders.items() if not holder]
                taken = free[: max(0, quotas[token] - len(held))]
                self._connection.executemany(
                    "UPDATE cursor SET holder = ? WHERE topic = ? AND grp = ? AND partition = ?",
                    [(token, topic, group, p) for p in taken],
                )
                return _share(held + taken, quotas[token])

    def _look(self, topic: str, group: str, token: str, now: float) -> Share | None:
        """The share if nothing needs to be written, else None."""
        holders = self._holders(topic, group)
        quotas = self._quotas(topic, group, holders)
        if token not in quotas:
            return Share(False, frozenset(), frozenset())
        held = [p for p, holder in holders.items() if holder == token]
        free = any(not holder or holder not in quotas for holder in holders.values())
        if (free and len(held) < quotas[token]) or self._dead(topic, group, now):
            return None
        return _share(held, quotas[token])

    def release(self, topic: str, group: str, token: str, partitions: Iterable[int]) -> None:
        """Let these partitions go, if they are still held."""
        with failures(self.path), transaction(self._connection):
            self._connection.executemany(
                "UPDATE cursor SET holder = '' WHERE topic = ? AND grp = ? AND partition = ? AND holder = ?",
                [(topic, group, p, token) for p in partitions],
            )

    def name_taken(self, topic: str, group: str, name: str) -> bool:
        """Whether a member of that name is there."""
        with failures(self.path):
            query = "SELECT 1 FROM member WHERE topic = ? AND grp = ? AND name = ?"
            return self._connection.execute(query, (topic, group, name)).fetchone() is not None

    def _dead(self, topic: str, group: str, now: float) -> list[str]:
        rows = self._connection.execute(
            "SELECT token FROM member WHERE topic = ? AND grp = ? AND (boot != ? OR beat < ? OR beat > ?)",
            (topic, group, self._boot, now - self._timeout_s, now + self._timeout_s),
        )
        return [token for (token,) in rows]

    def _holders(self, topic: str, group: str) -> dict[int, str]:
        query = "SELECT partition, holder FROM cursor WHERE topic = ? AND grp = ? ORDER BY partition"
        return dict(self._connection.execute(query, (topic, group)).fetchall())

    def _quotas(self, topic: str, group: str, holders: dict[int, str]) -> dict[str, int]:
        rows = self._connection.execute("SELECT name, token FROM member WHERE topic = ? AND grp = ?", (topic, group))
        held = list(holders.values())
        members = sorted(rows.fetchall(), key=lambda row: (-held.count(row[1]), row))
        if not members:
            return {}
        each, more = divmod(len(holders), len(members))
        return {token: each + (i < more) for i, (_, token) in enumerate(members)}

    # -- offsets

    def committed(self, topic: str, group: str) -> dict[int, int]:
        """Partition → offset of the next record to read; empty for a group that nobody ever joined."""
        with failures(self.path):
            query = "SELECT partition, committed FROM cursor WHERE topic = ? AND grp = ?"
            return dict(self._connection.execute(query, (topic, group)).fetchall())

    def commit(self, topic: str, group: str, token: str, offsets: dict[int, int]) -> None:
        """Record the offsets of the partitions that the token still holds; others are left alone."""
        with failures(self.path), transaction(self._connection):
            self._connection.executemany(
                "UPDATE cursor SET committed = ? WHERE topic = ? AND grp = ? AND partition = ? AND holder = ?",
                [(offset, topic, group, p, token) for p, offset in offsets.items()],
            )

    def slowest(self, topic: str) -> dict[int, int] | None:
        """Partition → least committed offset of all groups; None if the topic has no group."""
        with failures(self.path):
            query = "SELECT partition, min(committed) FROM cursor WHERE topic = ? GROUP BY partition"
            return dict(self._connection.execute(query, (topic,)).fetchall()) or None

    def changes(self) -> int:
        """A number that differs once anything else has written to the file; costs microseconds."""
        with failures(self.path):
            number: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return number

    def close(self) -> None:
        with failures(self.path):
            self._connection.close()


def _share(held: Iterable[int], quota: int) -> Share:
    kept = sorted(held)
    return Share(True, frozenset(kept), frozenset(kept[quota:]))
