"""The sample province: the same bytes from the same arguments, as many lines as told, nothing of the real world."""

from __future__ import annotations

import ipaddress
import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from soc.app.sample import SampleFacts, write_province
from soc.org import load_org

DOCUMENTATION = [
    ipaddress.ip_network(n)
    for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "127.0.0.0/8", "2001:db8::/32", "0.0.0.0/32")
]
ADDRESS = re.compile(rb"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> SampleFacts:
    return write_province(tmp_path_factory.mktemp("province"))


def test_the_same_arguments_write_the_same_bytes(province: SampleFacts, tmp_path: Path) -> None:
    again = write_province(tmp_path)
    for one, other in zip(province.files, again.files, strict=True):
        assert one.path.read_bytes() == other.path.read_bytes()
    assert (province.folder / "stories.yml").read_bytes() == (tmp_path / "stories.yml").read_bytes()


def test_another_seed_or_day_writes_other_bytes(province: SampleFacts, tmp_path: Path) -> None:
    seed = write_province(tmp_path / "seed", seed=1)
    moved = write_province(tmp_path / "moved", end=date(2027, 1, 4))
    for one, other, third in zip(province.files, seed.files, moved.files, strict=True):
        assert len({f.path.read_bytes() for f in (one, other, third)}) == 3


def test_every_file_has_the_lines_that_the_facts_tell(province: SampleFacts) -> None:
    for file in province.files:
        assert file.path.read_bytes().count(b"\n") == file.lines > 0
    assert 40_000 <= province.lines <= 60_000


def test_five_units_send_and_every_registered_unit_is_known(province: SampleFacts, root: Path) -> None:
    org = load_org(root / "deploy" / "sample" / "org")
    assert len({a.unit for a in org.agencies}) == 5
    assert {f.unit for f in province.files} | {s.unit for s in province.stories} <= {a.unit for a in org.agencies}
    hosts = {name for asset in org.assets for name in asset.hostnames}
    assert {host for story in province.stories for host in story.hosts} <= hosts


def test_all_addresses_are_reserved_for_documentation(province: SampleFacts) -> None:
    for file in province.files:
        for text in set(ADDRESS.findall(file.path.read_bytes())):
            if all(int(part) < 256 for part in text.split(b".")):
                address = ipaddress.ip_address(text.decode())
                versions = text.startswith((b"10.0.19041", b"142.0", b"144.0", b"4.18"))
                assert versions or any(address in n for n in DOCUMENTATION), (file.path.name, text)


def test_nights_are_quiet_and_mornings_busy(province: SampleFacts) -> None:
    log = next(f.path for f in province.files if f.path.parent.name == "cong-dvc01" and f.path.name == "access.log")
    hours = re.findall(rb"\[18/Nov/2026:(\d\d)", log.read_bytes())
    assert hours.count(b"09") > 10 * hours.count(b"03") > 0


def test_vietnamese_text_is_there_to_prove_encodings(province: SampleFacts) -> None:
    text = "".join(f.path.read_text("utf-8") for f in province.files)
    assert "Giấy mời họp khẩn.docm" in text
    assert "Cập nhật mẫu nhận diện" in text


def test_the_answer_key_says_what_the_facts_say(province: SampleFacts, root: Path) -> None:
    key = yaml.safe_load((province.folder / "stories.yml").read_text("utf-8"))
    assert [s["id"] for s in key["stories"]] == [s.id for s in province.stories]
    for told, story in zip(key["stories"], province.stories, strict=True):
        assert tuple(told["rules"]) == story.rules
        assert province.first <= story.first < story.last < province.last
        for rule in story.rules:
            assert (root / "rules" / f"{rule}.yml").is_file(), rule


def test_fewer_than_three_days_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 days"):
        write_province(tmp_path, days=2)
