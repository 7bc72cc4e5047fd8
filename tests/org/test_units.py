"""The shipped tree of administrative units: facts with dates, followed through reforms."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from soc.event import ContentErrors
from soc.org import UNKNOWN, UnitTree, fold, load_units

BEFORE, AFTER = date(2025, 6, 30), date(2025, 7, 1)


@pytest.fixture(scope="module")
def units() -> UnitTree:
    return load_units()


def test_code_15_is_yen_bai_until_june_2025_and_lao_cai_from_july(units: UnitTree) -> None:
    assert units.at("tinh", "15", BEFORE).label == "Tỉnh Yên Bái"
    assert units.at("tinh", "15", AFTER).label == "Tỉnh Lào Cai"


@pytest.mark.parametrize(
    ("day", "provinces", "districts", "communes"),
    [
        (date(2024, 9, 1), 63, 704, 10_542),
        (date(2024, 11, 1), 63, 704, 10_472),
        (date(2025, 1, 1), 63, 696, 10_039),
        (BEFORE, 63, 696, 10_035),
        (AFTER, 34, 0, 3_321),
    ],
)
def test_the_country_has_as_many_units_as_its_law_says(
    units: UnitTree, day: date, provinces: int, districts: int, communes: int
) -> None:
    counts = Counter(u.level for u in units if u.covers(day))
    assert (counts["tinh"], counts["huyen"], counts["xa"]) == (provinces, districts, communes)


def test_a_parent_covers_its_children_all_their_days(units: UnitTree) -> None:
    for unit in units:
        parent = units.get(unit.parent)
        if parent:
            assert parent.valid_from <= unit.valid_from
            assert parent.valid_to is None or (unit.valid_to is not None and unit.valid_to <= parent.valid_to)
        else:
            assert unit.level == "trung_uong"


def test_the_shipped_facts_are_those_of_the_collected_data(units: UnitTree, shared_data: Path) -> None:
    with (shared_data / "admin_units" / "units.csv").open(encoding="utf-8", newline="") as file:
        rows = {(r["uid"], r["kind"], r["name_vi"], r["parent_uid"], r["valid_to"]) for r in csv.DictReader(file)}
    assert rows == {(u.uid, u.kind, u.name, u.parent, str(u.valid_to or "")) for u in units}


def test_a_merged_unit_is_followed_to_the_one_that_absorbed_it(units: UnitTree) -> None:
    assert units.follow("vn:tinh:15@2024-09-01", AFTER).uid == "vn:tinh:15@2025-07-01"
    assert units.follow("vn:tinh:10@2024-09-01", AFTER).uid == "vn:tinh:15@2025-07-01"
    assert units.follow("vn:tinh:15@2024-09-01", BEFORE).label == "Tỉnh Yên Bái"


def test_a_split_commune_is_followed_nowhere(units: UnitTree) -> None:
    cam_gia = units.at("xa", units.find("Phường Cam Giá", BEFORE)[0].code, BEFORE)
    assert units.follow(cam_gia.uid, AFTER) is None
    assert {s.kind for s in units.successors(cam_gia.uid)} == {"split"}


def test_a_district_ends_with_the_district_level(units: UnitTree) -> None:
    assert units.follow("vn:huyen:070@2024-09-01", AFTER) is None
    assert units.get("vn:huyen:070@2024-09-01").level_label == "cấp huyện (đến 30/06/2025)"


def test_a_new_unit_of_several_old_ones_has_no_place_before_it_began(units: UnitTree) -> None:
    assert units.follow("vn:tinh:15@2025-07-01", BEFORE) is None


def test_the_first_known_state_stands_in_for_the_time_before_it(units: UnitTree) -> None:
    assert units.follow("vn:tinh:08@2024-09-01", date(2010, 1, 1)).label == "Tỉnh Tuyên Quang"


def test_every_commune_of_june_2025_is_followed_or_split(units: UnitTree) -> None:
    for unit in units:
        if unit.level == "xa" and unit.covers(BEFORE) and not unit.covers(AFTER):
            kinds = {s.kind for s in units.successors(unit.uid)}
            assert (units.follow(unit.uid, AFTER) is None) == (kinds == {"split"})


def test_a_path_runs_from_the_country_to_the_unit(units: UnitTree) -> None:
    path = units.path("vn:xa:02215@2025-07-01")
    assert [units.get(uid).label for uid in path] == ["Việt Nam", "Tỉnh Tuyên Quang", "Phường Minh Xuân"]
    assert [u.uid for u in units.ancestors("vn:xa:02215@2025-07-01")] == list(path[:-1])


def test_children_are_those_of_the_day(units: UnitTree) -> None:
    assert len(units.children("vn:tinh:08@2025-07-01", AFTER)) == 124
    assert len(units.children("vn:tinh:08@2024-09-01", BEFORE)) == 7
    assert units.children("vn:tinh:08@2024-09-01", AFTER) == []


def test_names_are_found_without_marks_exact_ones_first(units: UnitTree) -> None:
    found = units.find("phuong minh xuan", AFTER)
    assert [u.uid for u in found] == ["vn:xa:02215@2025-07-01"]
    assert units.find("tinh dong nai", AFTER)[0].label == "Tỉnh Đồng Nai"
    assert units.find("   ") == []


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Đồng Đăng", "dong dang"),
        ("Ðồng Ɖăng", "dong dang"),  # look-alikes U+00D0 and U+0189
        ("Hoà  Bình", "hoa binh"),
        ("Hòa Bình", "hoa binh"),
        ("Quảng Ninh", "quang ninh"),  # already decomposed
    ],
)
def test_folding_makes_spellings_of_one_name_equal(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_a_wrong_uid_is_answered_with_the_one_meant(units: UnitTree) -> None:
    assert units.nearest("vn:xa:02215@2026-01-01") == "vn:xa:02215@2025-07-01"
    assert units.nearest("Phường Minh Xuân") in {"vn:xa:02203@2024-09-01", "vn:xa:02215@2025-07-01"}
    assert units.nearest("###") == ""


def test_the_unknown_unit_is_visible_and_stands_alone(units: UnitTree) -> None:
    assert units.path(UNKNOWN.uid) == ("vn:unknown",)
    assert UNKNOWN.label == "chưa xác định"
    assert UNKNOWN not in list(units)


def test_every_wrong_row_of_a_unit_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text(
        "unit,valid_to,kind,name,parent\n"
        "tinh:01@2024-09-01,,tinh,A,\n"
        "tinh:01@2024-09-01,,tinh,B,\n"
        "xa:02@2024-09-01,2024-09-01,xa,C,tinh:01@2024-09-01\n"
        "xa:03@2024-09-01,,xa,D,tinh:99@2024-09-01\n"
        "xa:04@2024-09-01,,hamlet,E,\n",
        "utf-8",
    )
    (tmp_path / "successors.csv").write_text(
        "old,new,on,kind\ntinh:01@2024-09-01,,2025-07-01,merge\ntinh:01@2024-09-01\n", "utf-8"
    )
    with pytest.raises(ContentErrors) as refused:
        load_units(tmp_path)
    assert sorted((Path(e.path).name, e.line) for e in refused.value.errors) == [
        ("successors.csv", 2),
        ("successors.csv", 3),
        ("units.csv", 3),
        ("units.csv", 4),
        ("units.csv", 5),
        ("units.csv", 6),
    ]
