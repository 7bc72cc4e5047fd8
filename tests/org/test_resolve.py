"""Whose machine is it, at the time of the event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from soc.org import LOCAL, UNKNOWN, Org, load_org, load_units, local_day

VN = timezone(timedelta(hours=7))
BEFORE = datetime(2025, 6, 30, 23, 59, 59, tzinfo=VN)
AFTER = datetime(2025, 7, 1, 0, 0, 0, tzinfo=VN)
NOW = datetime(2026, 11, 22, 8, tzinfo=VN)


@pytest.fixture(scope="module")
def sample(root: Path) -> Org:
    return load_org(root / "deploy" / "sample" / "org")


def test_a_host_is_found_by_its_name_in_any_case_and_with_its_domain(sample: Org) -> None:
    for name in (
        "ys-motcua",
        "YS-MOTCUA",
        "ys-motcua.tinh.example",
        "ys-motcua.tinh.example.",
        "ys-motcua.other.example",
    ):
        place = sample.resolve(name, (), (), "", NOW)
        assert (place.asset and place.asset.id, place.unit.label, place.by) == ("YS-MOTCUA", "Xã Yên Sơn", "asset")


def test_a_host_is_found_by_its_address_also_when_that_is_its_name(sample: Org) -> None:
    assert sample.resolve("", ("::ffff:192.0.2.70",), (), "", NOW).asset.id == "YS-MOTCUA"
    assert sample.resolve("192.0.2.70", (), (), "", NOW).asset.id == "YS-MOTCUA"
    assert sample.resolve("", ("2001:0db8:0008::0010",), (), "", NOW).asset.id == "DVC-WEB01"


def test_an_unknown_host_belongs_to_its_network(sample: Org) -> None:
    place = sample.resolve("laptop-7", ("not an address", "192.0.2.99"), (), "vn:tinh:08@2025-07-01", NOW)
    assert (place.unit.label, place.agency.id, place.by) == ("Xã Hồng Sơn", "H60.95", "network")
    assert place.names == ("Việt Nam", "Tỉnh Tuyên Quang", "Xã Hồng Sơn")
    assert place.path[-1] == place.unit.uid


def test_an_unknown_host_and_network_belong_to_the_registered_unit_and_its_lead(sample: Org) -> None:
    place = sample.resolve("x", ("198.51.100.1",), (), "vn:xa:02473@2025-07-01", NOW)
    assert (place.unit.label, place.agency.id, place.by) == ("Xã Yên Sơn", "H60.94", "source")


def test_nothing_known_is_visible_as_chua_xac_dinh(sample: Org) -> None:
    place = sample.resolve("", (), (), "", NOW)
    assert (place.unit, place.path, place.names, place.agency, place.by) == (
        UNKNOWN,
        ("vn:unknown",),
        ("chưa xác định",),
        None,
        "unknown",
    )


def test_what_a_firewall_reports_belongs_to_the_machine_it_speaks_of(sample: Org) -> None:
    place = sample.resolve("ttdl-fw01", ("192.0.2.1",), ("203.0.113.9", "192.0.2.150"), "", NOW)
    assert (place.asset.id, place.by) == ("ML-CAM01", "endpoint")
    place = sample.resolve("ttdl-fw01", (), ("203.0.113.9", "192.0.2.130"), "", NOW)
    assert (place.asset, place.unit.label, place.by) == (None, "Phường Mỹ Lâm", "endpoint")
    place = sample.resolve("ttdl-fw01", (), ("203.0.113.9", "203.0.113.10"), "", NOW)
    assert (place.asset.id, place.by) == ("TTDL-FW01", "asset")


def test_addresses_do_not_move_the_event_of_an_ordinary_host(sample: Org) -> None:
    assert sample.resolve("cong-dvc01", (), ("192.0.2.150",), "", NOW).asset.id == "DVC-WEB01"


def test_the_registered_unit_is_the_one_valid_at_event_time() -> None:
    org = Org(load_units())
    old, new = "vn:tinh:15@2024-09-01", "vn:tinh:15@2025-07-01"
    assert org.resolve("", (), (), old, BEFORE).unit.label == "Tỉnh Yên Bái"
    assert org.resolve("", (), (), old, AFTER).unit.label == "Tỉnh Lào Cai"
    assert org.resolve("", (), (), new, AFTER).unit.label == "Tỉnh Lào Cai"
    assert (
        org.resolve("", (), (), new, BEFORE).unit is UNKNOWN
    )  # two provinces became one: which one it was is not said


def test_a_split_commune_waits_for_a_placement(tmp_path: Path) -> None:
    gia_sang = "vn:xa:05710@2025-07-01"
    (tmp_path / "assets.csv").write_text("id,name,hostnames\nCAM1,Camera,cam1\nCAM2,Camera,cam2\n", "utf-8")
    units = load_units()
    target = next(s.new for s in units.successors(_cam_gia(units)))
    (tmp_path / "placements.csv").write_text(
        f"asset,unit,from,to,reason\nCAM1,{_cam_gia(units)},2024-09-01,2025-07-01,\n"
        f"CAM1,{target},2025-07-01,,Bàn giao\nCAM2,{_cam_gia(units)},2024-09-01,,\n",
        "utf-8",
    )
    org = load_org(tmp_path)
    assert org.resolve("cam1", (), (), "", BEFORE).unit.label == "Phường Cam Giá"
    assert org.resolve("cam1", (), (), "", AFTER).unit.uid == target
    undecided = org.resolve("cam2", (), (), gia_sang, AFTER)
    assert (undecided.unit, undecided.asset.id, undecided.by) == (UNKNOWN, "CAM2", "asset")
    assert org.now(_cam_gia(units), local_day(NOW), "CAM1") == target
    assert org.now(_cam_gia(units), local_day(NOW), "CAM2") == UNKNOWN.uid


def _cam_gia(units) -> str:  # type: ignore[no-untyped-def]
    return units.find("Phường Cam Giá", BEFORE.date())[0].uid


def test_the_longest_prefix_of_the_day_wins(tmp_path: Path) -> None:
    (tmp_path / "networks.csv").write_text(
        "cidr,unit,valid_from,valid_to\n"
        "10.0.0.0/8,vn:tinh:08@2025-07-01,2025-07-01,\n"
        "10.1.0.0/16,vn:xa:02215@2025-07-01,2025-07-01,2026-01-01\n"
        "10.1.2.0/24,vn:xa:02473@2025-07-01,2025-07-01,\n"
        "0.0.0.0/0,vn:xa:02608@2025-07-01,2025-07-01,\n",
        "utf-8",
    )
    org = load_org(tmp_path)
    at = datetime(2025, 12, 31, 23, 59, tzinfo=VN)
    labels = [org.resolve("", (ip,), (), "", at).unit.name for ip in ("10.1.2.3", "10.1.9.9", "10.9.9.9", "11.0.0.1")]
    assert labels == ["Yên Sơn", "Minh Xuân", "Tuyên Quang", "Hồng Sơn"]
    assert org.resolve("", ("10.1.9.9",), (), "", at + timedelta(minutes=1)).unit.name == "Tuyên Quang"


def test_an_asset_is_known_only_during_its_days(tmp_path: Path) -> None:
    (tmp_path / "assets.csv").write_text(
        "id,name,hostnames,valid_from,valid_to\nA,old,pc1,,2026-01-01\nB,new,pc1,2026-01-01,2026-02-01\n", "utf-8"
    )
    org = load_org(tmp_path)
    days = (datetime(2025, 12, 31, 23, tzinfo=VN), datetime(2026, 1, 1, tzinfo=VN), datetime(2026, 2, 1, tzinfo=VN))
    assert [(p.asset and p.asset.id) for d in days if (p := org.resolve("pc1", (), (), "", d))] == ["A", "B", None]


def test_an_asset_without_placement_or_agency_lies_in_its_network_else_where_its_source_does(tmp_path: Path) -> None:
    (tmp_path / "assets.csv").write_text("id,name,hostnames,ips\nA,a,pc1,10.1.0.5\nB,b,pc2,10.2.0.5\n", "utf-8")
    (tmp_path / "networks.csv").write_text("cidr,unit\n10.1.0.0/16,vn:xa:02215@2025-07-01\n", "utf-8")
    org = load_org(tmp_path)
    for name, unit in (("pc1", "Minh Xuân"), ("pc2", "Yên Sơn")):
        place = org.resolve(name, (), (), "vn:xa:02473@2025-07-01", NOW)
        assert (place.unit.name, place.asset.hostnames) == (unit, (name,))


def test_answers_change_only_at_the_bounds_of_a_steady_time(sample: Org) -> None:
    low, high = sample.steady(NOW)
    assert low == datetime(2026, 2, 28, 17, tzinfo=UTC)
    assert sample.resolve("ml-cam01", (), (), "", low).unit.name == "Mỹ Lâm"
    assert sample.resolve("ml-cam01", (), (), "", low - timedelta(microseconds=1)).unit.name == "An Tường"
    assert low <= NOW < high


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_have_an_answer(sample: Org, moment: datetime) -> None:
    assert sample.resolve("ys-motcua", (), (), "", moment).unit.level in {"xa", "unknown"}
    low, high = sample.steady(moment)
    assert low <= moment <= high


def test_the_local_zone_is_that_of_ho_chi_minh_city() -> None:
    try:
        zone = ZoneInfo("Asia/Ho_Chi_Minh")
    except ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zone database")
    for year in range(1976, 2040):
        moment = datetime(year, 7, 1, tzinfo=UTC)
        assert moment.astimezone(zone).utcoffset() == moment.astimezone(LOCAL).utcoffset()
