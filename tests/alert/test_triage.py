"""Triage: what people decide, on the real store; the history only grows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from soc.alert.triage import Mutes, Triage, TriageError
from soc.event import Alert
from soc.store.sqlite import SqliteStore

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
ID = "a" * 24


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path)
    made.create_alert(
        Alert(
            ID,
            {
                "@timestamp": "2026-03-02T05:00:00.000000Z",
                "event.id": ID,
                "soc.triage.status": "open",
                "soc.triage.history": [],
            },
        )
    )
    yield made
    made.close()


def acting(store: SqliteStore, user: str) -> Triage:
    return Triage(store, user, lambda: NOW)


def test_who_acknowledges_becomes_the_assignee_unless_somebody_is(store: SqliteStore) -> None:
    assert acting(store, "lan").acknowledge(ID).document["soc.triage.assignee"] == "lan"
    assert acting(store, "minh").acknowledge(ID).document["soc.triage.assignee"] == "lan"


def test_the_history_says_who_did_what_when_and_only_grows(store: SqliteStore) -> None:
    acting(store, "lan").acknowledge(ID)
    acting(store, "minh").note(ID, "đã gọi xã")
    acting(store, "minh").close(ID, "false_positive", "quét định kỳ")
    acting(store, "lan").reopen(ID)
    alert = store.alert(ID)
    assert alert is not None
    history = alert.document["soc.triage.history"]
    assert [(h["by"], h["action"], h.get("note")) for h in history] == [
        ("lan", "acknowledge", None),
        ("minh", "note", "đã gọi xã"),
        ("minh", "close", "quét định kỳ"),
        ("lan", "reopen", None),
    ]
    assert history[2]["verdict"] == [None, "false_positive"]
    assert alert.document["soc.triage.verdict"] is None


def test_closing_needs_a_verdict_that_exists(store: SqliteStore) -> None:
    with pytest.raises(TriageError, match="a verdict is one of true_positive"):
        acting(store, "lan").close(ID, "fp")


def test_a_closed_alert_cannot_be_acknowledged(store: SqliteStore) -> None:
    acting(store, "lan").close(ID, "duplicate")
    with pytest.raises(TriageError, match="is closed"):
        acting(store, "lan").acknowledge(ID)


def test_an_alert_that_is_not_there_is_said_so(store: SqliteStore) -> None:
    with pytest.raises(TriageError, match="no alert bbbbbbbb"):
        acting(store, "lan").acknowledge("b" * 24)


class Racing(SqliteStore):
    """Another person writes between our read and our write, once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.other: SqliteStore | None = SqliteStore(folder)

    def update_alert(self, alert_id: str, changes: Mapping[str, object], version: str) -> str:
        if self.other is not None:
            acting(self.other, "minh").note(ID, "trước")
            self.other.close()
            self.other = None
        return super().update_alert(alert_id, changes, version)


def test_two_people_at_once_lose_nothing(store: SqliteStore, tmp_path: Path) -> None:
    racing = Racing(tmp_path)
    acting(racing, "lan").note(ID, "sau")
    racing.close()
    alert = store.alert(ID)
    assert alert is not None
    assert [h["note"] for h in alert.document["soc.triage.history"]] == ["trước", "sau"]


def test_a_mute_covers_its_rule_in_its_unit_and_below_until_it_ends(store: SqliteStore) -> None:
    mute = Mutes(store).add("r", "vn:tinh:08", NOW, timedelta(hours=8), "bảo trì", "lan")
    below = ["vn:trung_uong:VN", "vn:tinh:08", "vn:xa:1"]
    assert mute.covers("r", below, NOW + timedelta(hours=7))
    assert not mute.covers("r", below, NOW + timedelta(hours=8))
    assert not mute.covers("s", below, NOW)
    assert not mute.covers("r", ["vn:trung_uong:VN", "vn:tinh:02"], NOW)
    assert Mutes(store).all() == [mute]


def test_a_mute_can_end_early_once(store: SqliteStore) -> None:
    mute = Mutes(store).add("r", "", NOW, timedelta(hours=8), "bảo trì", "lan")
    Mutes(store).end(mute.id, NOW + timedelta(hours=1))
    (ended,) = Mutes(store).all()
    assert not ended.covers("r", [], NOW + timedelta(hours=2))
    with pytest.raises(TriageError, match="is in force"):
        Mutes(store).end(mute.id, NOW + timedelta(hours=2))


def test_a_mute_needs_a_reason_and_an_end(store: SqliteStore) -> None:
    with pytest.raises(TriageError, match="needs a reason"):
        Mutes(store).add("r", "", NOW, timedelta(hours=8), " ", "lan")
    with pytest.raises(TriageError, match="at most 365 days"):
        Mutes(store).add("r", "", NOW, timedelta(days=366), "x", "lan")
