"""The side-by-side benchmark of Sigma engines gives every engine the same, and says truly where they differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import sigma_correlation, sigma_lanes
from benchmarks.peers import sqlite
from benchmarks.sigma_differences import differences, explained
from benchmarks.sigma_engine import matching
from benchmarks.sigma_job import Figures, job_of
from benchmarks.sigma_lanes import Lane
from benchmarks.sigma_peers import best, together
from benchmarks.sigma_report import verdict
from benchmarks.sigma_rules import of_size
from soc.detect import load_rules
from soc.event import LogSource

WINDOWS = LogSource("windows", "process_creation")
ID = "00000000-0000-4000-8000-00000000000{}"


def figures(**given: Any) -> Figures:
    plain: dict[str, Any] = {
        "rules": 1,
        "refused": 0,
        "load_s": 1.0,
        "passes_s": [2.0, 1.0],
        "events": 10,
        "matches": {},
        "rss_mb": 100,
    }
    return Figures(**plain | given)


def rule(folder: Path, number: int, detection: dict[str, Any], **more: Any) -> str:
    document = {
        "title": f"rule {number}",
        "id": ID.format(number),
        "logsource": {"product": "windows", "category": "process_creation"},
        "detection": {**detection, "condition": "selection"},
        **more,
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{number}.yml").write_text(yaml.safe_dump(document))
    return str(folder)


@pytest.mark.parametrize("name", list(sigma_lanes.RECIPES))
def test_a_lane_has_a_route_for_every_line(name: str, shared_data: Path, tmp_path: Path) -> None:
    [lane] = sigma_lanes.lanes(shared_data, tmp_path, 300, [name])
    lines = lane.events.read_bytes().splitlines()
    routes = [int(number) for number in lane.routes.read_text().split()]
    sources = json.loads(lane.sources.read_text())
    assert len(lines) == len(routes) == lane.count == 300
    assert set(routes) == set(range(len(sources)))
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_unique_command_lines_are_unique(shared_data: Path, tmp_path: Path) -> None:
    [lane] = sigma_lanes.lanes(shared_data, tmp_path, 1_000, ["starts-unique"])
    lines = [json.loads(line)["CommandLine"] for line in lane.events.read_bytes().splitlines()]
    assert len(set(lines)) == 1_000


def test_a_correlation_lane_holds_1800_distinct_values_in_a_window(tmp_path: Path) -> None:
    [lane] = sigma_correlation.lanes(tmp_path, 4_000, ["values-above"])
    events = [json.loads(line) for line in lane.events.read_bytes().splitlines()]
    last = events[-1]["epoch"]
    assert 1_800 <= len({event["User"] for event in events if event["epoch"] >= last - 300}) <= 1_806
    told = sigma_correlation.correlating(job_of(lane, [], 1))
    assert list(told.matches.values()) == [[999]]  # the thousandth user


def test_our_engine_and_sqlite_find_the_same_lines(tmp_path: Path) -> None:
    rules = rule(tmp_path / "rules", 1, {"selection": {"CommandLine|contains": "whoami", "User|endswith": "an"}})
    rule(tmp_path / "rules", 2, {"selection": {"Image": r"C:\\*\cmd.exe"}})
    rule(tmp_path / "rules", 3, {"selection": {"nested.Deep|re": "^a.c$"}}, logsource={"product": "linux"})
    events: list[tuple[dict[str, Any], LogSource]] = [
        ({"CommandLine": f"WhoAmI /all {n}", "User": "an" if n % 2 else "binh", "nested": {"Deep": "abc"}}, WINDOWS)
        for n in range(5)
    ]
    events.append(({"Image": r"c:\windows\CMD.EXE", "nested": {"Deep": "abc"}}, LogSource("linux")))
    events.append(({"Image": r"c:\windows\CMD.EXE", "flag": True, "n": (1 << 64) - 1}, WINDOWS))
    lane = sigma_lanes.written("lane", "", events, tmp_path)
    mine = matching(job_of(lane, [rules], 2))
    settings = {"lines": 100, "cache": str(tmp_path), "index": True}
    theirs = sqlite.run(job_of(lane, [rules], 1, settings))
    assert mine.matches == theirs.matches == {ID.format(1): [1, 3], ID.format(2): [6], ID.format(3): [5]}
    assert len(mine.passes_s) == 2
    assert {"parse", "fill", "evaluate", "detail"} == mine.stages_s.keys()


def test_shares_of_several_processes_add_up_to_the_whole(tmp_path: Path) -> None:
    rules = rule(tmp_path / "rules", 1, {"selection": {"CommandLine|contains": "whoami"}})
    events = [({"CommandLine": "whoami" if n % 3 else "hostname"}, WINDOWS) for n in range(11)]
    job = job_of(sigma_lanes.written("lane", "", events, tmp_path), [rules], 1)
    whole = matching(job)
    shares = [matching(job | {"share": [i, 2]}) for i in range(2)]
    assert together(shares).matches == whole.matches
    assert together(shares).events == whole.events == 11


def test_together_takes_the_slowest_and_best_the_fastest() -> None:
    one, two = figures(passes_s=[2.0, 1.0]), figures(passes_s=[1.5, 3.0])
    assert together([one, two]).passes_s == [2.0, 3.0]
    assert best([one, two]).first == 10 / 1.5
    assert best([one, two]).later == 10 / 1.0
    assert verdict(one, two, 1.2) == ("0.75 / 3.00", "1.2: later passes only")


@pytest.mark.parametrize(
    ("detection", "event", "why"),
    [
        ({"Image|endswith": r"\a*b.exe"}, {"Image": r"\axb.exe"}, "wrong end"),
        ({"CommandLine": "a*b"}, {"CommandLine": "a\nb"}, "newline"),
        ({"|all": ["one", "two"]}, {"a": "one", "b": "two"}, "in one value"),
        ({"ThreatName": "x"}, {"Threat Name": "x"}, "spaces"),
        ({"Image": "x"}, {"Image": "x"}, ""),
    ],
)
def test_a_difference_is_told_with_its_reason(
    detection: dict[str, Any], event: dict[str, Any], why: str, tmp_path: Path
) -> None:
    rules = rule(tmp_path / "rules", 1, {"selection": detection})
    lane: Lane = sigma_lanes.written("lane", "", [({}, WINDOWS), (event, WINDOWS)], tmp_path)
    found = differences(figures(matches={ID.format(1): [1]}), figures())
    [one] = explained("rsigma", found, lane.events, [rules])
    assert (one.ours, one.theirs, one.only_ours) == (1, 0, (1,))
    assert why in one.why if why else "NOT EXPLAINED" in str(one)


def test_rules_that_a_peer_cannot_express_are_no_difference() -> None:
    assert differences(figures(matches={"a": [1]}), figures(unable={"a": "why"})) == []
    assert len(differences(figures(matches={"a": [1, 70]}), figures(matches={"a": [1]}))) == 1
    assert differences(figures(matches={"a": [1, 70]}), figures(matches={"a": [1]}), limit=50) == []


def test_a_rule_set_can_have_any_size(tmp_path: Path) -> None:
    given = [rule(tmp_path / "rules", n, {"selection": {"CommandLine|contains": f"whoami{n}"}}) for n in range(4)][:1]
    for size in (3, 4, 11):
        loaded = load_rules(of_size(size, given, tmp_path / f"of-{size}"))
        assert not loaded.refused
        assert len(loaded.rules) == size
    found = [rule.raw.partition("whoami")[2].split()[0] for rule in loaded.rules.values()]
    assert len(set(found)) == 11
