"""What may alert: pack.yaml in, the decision for a rule out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from soc.alert.policy import Policy, duration
from soc.event import ContentErrors


def policy(folder: Path, text: str | None) -> Policy:
    if text is not None:
        (folder / "pack.yaml").write_text(text, "utf-8")
    return Policy.load([folder])


def test_a_pack_without_a_word_is_somebody_elses_and_alerts_from_medium(tmp_path: Path) -> None:
    decision = policy(tmp_path, None).decide("r", tmp_path / "a.yml")
    levels = ("informational", "low", "medium", "critical")
    assert [decision.alerts(level) for level in levels] == [False, False, True, True]


def test_a_rules_own_word_wins_over_its_folders_and_that_over_the_packs(tmp_path: Path) -> None:
    made = policy(
        tmp_path,
        "min_level: low\nepisode: 1h\n"
        "folders: {windows/noisy: {mode: shadow}}\nrules: {r1: {mode: off}, r2: {episode: 2d}}\n",
    )
    assert made.decide("r1", tmp_path / "windows/noisy/a.yml").mode == "off"
    assert made.decide("r9", tmp_path / "windows/noisy/deep/a.yml").mode == "shadow"
    assert made.decide("r9", tmp_path / "linux/a.yml").mode == "live"
    assert made.decide("r2", tmp_path / "linux/a.yml").episode == timedelta(days=2)
    assert not made.decide("r9", tmp_path / "linux/a.yml").alerts("informational")


def test_what_is_off_never_alerts(tmp_path: Path) -> None:
    assert not policy(tmp_path, "mode: off\n").decide("r", tmp_path / "a.yml").alerts("critical")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("mod: live\n", 1, "unknown key 'mod'; did you mean 'mode'?"),
        ("\nmode: loud\n", 2, "mode is one of live, shadow, off, not 'loud'"),
        ("min_level: big\n", 1, "min_level is one of informational, low, medium, high, critical, not 'big'"),
        (
            "rules:\n  r1: {episode: soon}\n",
            2,
            "episode: 'soon' is not a duration; write a number and s, m, h, d or w, such as 8h",
        ),
        ("rules:\n  r1: off\n", 2, "expected a mapping with mode, min_level, episode"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    with pytest.raises(ContentErrors) as caught:
        policy(tmp_path, text)
    assert [(e.line, e.why) for e in caught.value.errors] == [(line, why)]


def test_durations_have_a_unit() -> None:
    assert duration("90s") == timedelta(seconds=90)
    with pytest.raises(ValueError, match="is not a duration"):
        duration("90")
