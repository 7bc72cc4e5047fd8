"""soc hunt: the answer keys, through the command."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from tests.app.conftest import Ran, Soc

pytestmark = pytest.mark.timeout(240)


def fired(ran: Ran) -> dict[str, dict[str, list[int]]]:
    """File name → rule id → records."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for line in ran.lines:
        found[Path(line["file"]).name][line["rule"]["id"]].append(line["record"])
    return found


def test_every_regression_rule_fires_from_evtx_and_json_and_nothing_else_does(
    soc: Soc, shared_data: Path, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.json"
    folder = shared_data / "sigma_regression"
    found = fired(soc("hunt", folder, "--rules", shared_data / "sigmahq", "--json", "--stats", stats))
    for key in json.loads((folder / "EXPECTED.json").read_text()):
        for file in (key["file"], key["file"].replace(".evtx", ".json")):
            assert len(found[file][key["rule_id"]]) >= key["min_matches"], (file, key["title"])
            assert set(found[file]) == set(key["all_rules_expected"]), (file, key["title"])
    figures = json.loads(stats.read_text())
    assert figures["rules_loaded"] == 3752 and figures["rejected"] == 0
    assert len([r for r in figures["rules_refused"] if "rules-placeholder" not in r["file"]]) == 2


def test_the_attack_recordings_give_their_pairs_of_rule_and_record(soc: Soc, shared_data: Path) -> None:
    folder = shared_data / "evtx_cc0"
    found = fired(soc("hunt", folder, "--rules", shared_data / "sigmahq", "--json", "--jobs", "2"))
    for key in json.loads((folder / "EXPECTED.json").read_text()):
        assert {r: sorted(n) for r, n in found[key["file"]].items()} == key["expected_rule_record"], key["file"]


def test_ordinary_hosts_raise_nothing_grave_and_damage_is_counted(soc: Soc, shared_data: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.json"
    ran = soc(
        "hunt", shared_data / "evtx_benign_or_damaged", "--rules", shared_data / "sigmahq", "--json",
        "--min-level", "high", "--stats", stats,
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, "")
    figures = json.loads(stats.read_text())
    assert figures["events"] >= 4600 and figures["rejected"] >= 4


def test_a_line_names_file_record_and_why(soc: Soc, tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(
        b"\n".join(
            b"Mar  2 05:00:0%d web01 sshd[1]: Failed password for root from 203.0.113.5 port 1 ssh2" % n
            for n in range(3)
        )
    )
    rule = tmp_path / "r.yml"
    rule.write_text(
        "title: Guess\nid: 6f6f4d4a-0b0b-4c1d-9a52-0000000000aa\nstatus: test\nlevel: low\n"
        "logsource: {product: linux, service: sshd}\n"
        "detection: {s: {user.name: root}, k: ['Failed password'], condition: s and k}\n"
    )
    lines = soc("hunt", log, "--rules", rule, "--json").lines
    assert [line["record"] for line in lines] == [1, 2, 3]
    assert lines[0]["file"] == str(log)
    assert {"field": "user.name", "ecs": "user.name", "op": "equals", "pattern": "root", "actual": "root"} in lines[0][
        "matched"
    ]


def test_standard_input_is_read(soc: Soc) -> None:
    line = (
        b'203.0.113.9 - - [02/Mar/2026:05:00:00 +0700] "GET /a?id=1%27%20UNION%20SELECT%201-- HTTP/1.1" 200 5 "-" "x"\n'
    )
    lines = soc("hunt", "-", "--json", stdin=line).lines
    assert lines and {line["source"] for line in lines} <= {"nginx_access", "apache_access"}


def test_no_rule_at_all_is_an_error_of_content(soc: Soc, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = soc("hunt", tmp_path, "--rules", tmp_path / "empty")
    assert (ran.code, "no rule loads" in ran.err) == (3, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_said(soc: Soc, tmp_path: Path) -> None:
    closed = tmp_path / "logs" / "closed"
    closed.mkdir(parents=True)
    closed.chmod(0)
    ran = soc("hunt", tmp_path / "logs", "--json")
    closed.chmod(0o700)
    assert (ran.code, f"{closed}: damaged: cannot be read: Permission denied" in ran.err) == (0, True)
