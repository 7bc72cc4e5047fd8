"""An organisation's folder: every mistake is refused with its file and line, and with what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from soc.event import ContentErrors
from soc.org import load_org

NEW = "vn:xa:02215@2025-07-01"
OLD = "vn:xa:02215@2024-09-01"


def refused(folder: Path, **files: str) -> list[str]:
    """The errors of a folder with these files (stem → CSV text), as "file:line: why"."""
    for stem, text in files.items():
        (folder / f"{stem}.csv").write_text(text, "utf-8")
    with pytest.raises(ContentErrors) as errors:
        load_org(folder)
    return [f"{Path(e.path).name}:{e.line}: {e.why}" for e in errors.value.errors]


def test_the_sample_province_loads(root: Path) -> None:
    org = load_org(root / "deploy" / "sample" / "org")
    assert len(org.agencies) == 8
    assert {a.unit for a in org.agencies} == {f"vn:{u}@2025-07-01" for u in UNITS}


UNITS = ("tinh:08", "xa:02215", "xa:02473", "xa:02608", "xa:02509")


def test_an_empty_folder_is_an_organisation_without_assets(tmp_path: Path) -> None:
    org = load_org(tmp_path)
    assert (org.agencies, org.assets, org.networks, org.placements) == ((), (), (), ())


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContentErrors, match="does not exist"):
        load_org(tmp_path / "nowhere")


def test_an_unknown_unit_names_the_nearest(tmp_path: Path) -> None:
    errors = refused(tmp_path, agencies="id,name,unit\nH60.1,A,vn:xa:02215@2025-07-02\n")
    assert errors == [f"agencies.csv:2: unknown unit 'vn:xa:02215@2025-07-02'; did you mean {NEW}?"]


def test_a_unit_that_had_ended_before_the_row_began_names_its_successor(tmp_path: Path) -> None:
    errors = refused(tmp_path, agencies="id,name,unit,valid_from\nH60.1,A,vn:tinh:15@2024-09-01,2025-07-01\n")
    assert errors == [
        "agencies.csv:2: Tỉnh Yên Bái (vn:tinh:15@2024-09-01) exists … → 2025-07-01, this row 2025-07-01 → …"
        "; it became vn:tinh:15@2025-07-01"
    ]


def test_duplicate_ids_are_refused_only_while_their_days_overlap(tmp_path: Path) -> None:
    header = "id,name,unit,valid_from,valid_to\n"
    apart = f"{header}H60.1,A,{NEW},2025-07-01,2026-01-01\nH60.1,A2,{NEW},2026-01-01,\n"
    (tmp_path / "agencies.csv").write_text(apart, "utf-8")
    assert len(load_org(tmp_path).agencies) == 2
    overlap = f"{header}H60.1,A,{NEW},2025-07-01,2026-01-02\nH60.1,A2,{NEW},2026-01-01,\n"
    assert refused(tmp_path, agencies=overlap) == [
        "agencies.csv:3: agency H60.1 stands twice for the same days: line 2 (2025-07-01 → 2026-01-02)"
        " and here (2026-01-01 → …)"
    ]


def test_two_assets_cannot_bear_one_name_or_address(tmp_path: Path) -> None:
    errors = refused(
        tmp_path, assets="id,name,hostnames,ips\nA,a,pc1;PC1.x.example,\nB,b,Pc1,192.0.2.1\nC,c,,192.0.2.1\n"
    )
    assert [e.partition(" stands")[0] for e in errors] == [
        "assets.csv:3: host name pc1",
        "assets.csv:4: address 192.0.2.1",
    ]


def test_a_flag_is_yes_or_no(tmp_path: Path) -> None:
    assert refused(tmp_path, assets="id,name,observer\nA,a,maybe\nB,b,yes\nC,c,\n") == [
        "assets.csv:2: observer: 'maybe' is neither yes nor no"
    ]


def test_a_network_with_host_bits_names_the_network_it_means(tmp_path: Path) -> None:
    errors = refused(tmp_path, networks=f"cidr,unit\n192.0.2.1/24,{NEW}\nbanana,{NEW}\n192.0.2.0/24,\n")
    assert errors == [
        "networks.csv:2: cidr: 192.0.2.1/24 has host bits set; did you mean 192.0.2.0/24?",
        "networks.csv:3: cidr: 'banana' is not a network",
        "networks.csv:4: a network needs a unit or an agency",
    ]


def test_overlapping_placements_are_refused(tmp_path: Path) -> None:
    errors = refused(
        tmp_path,
        assets="id,name\nCAM1,c\n",
        placements=f"asset,unit,from,to\nCAM1,{NEW},2025-07-01,\nCAM1,{NEW},2026-01-01,\nCAM2,{NEW},2026-01-01,\n",
    )
    assert errors[0].startswith("placements.csv:3: placement of CAM1 stands twice for the same days")
    assert errors[1] == "placements.csv:4: unknown asset 'CAM2'; did you mean 'CAM1'?"


def test_everything_wrong_in_a_row_and_file_is_told_at_once(tmp_path: Path) -> None:
    errors = refused(
        tmp_path,
        assets="id,name,ips,criticality,system_level,agency,valid_from,valid_to\n"
        "A,a,300.1.1.1,huge,6,,2025-07-01,2025-07-01\n"
        ",b,,,,,,\n"
        "C,c,,,,H9,31/12/2025,\n"
        "D,d,,,,H9,,\n",
    )
    assert [e.split(": ", 1)[1] for e in errors] == [
        "valid_to 2025-07-01 is not after valid_from 2025-07-01; the end day is out",
        "ips: '300.1.1.1' is not an address",
        "criticality: 'huge' is none of low, medium, high, critical",
        "system_level: '6' is none of 1-5",
        "no value for id",
        "valid_from: '31/12/2025' is not a day (YYYY-MM-DD)",
        "unknown agency 'H9'; known: ",
    ]


def test_an_unknown_column_names_the_nearest_known_one(tmp_path: Path) -> None:
    assert refused(tmp_path, assets="id,name,hostname\nA,a,pc1\n") == [
        "assets.csv:1: unknown column 'hostname'; did you mean 'hostnames'?"
    ]


def test_yaml_says_the_same_as_csv_and_keeps_text_as_text(tmp_path: Path) -> None:
    (tmp_path / "assets.yml").write_text(
        "# a comment\n- id: 0123\n  name: Máy chủ\n  hostnames: [pc1, pc2]\n  system_level: 3\n  valid_to: ~\n", "utf-8"
    )
    (asset,) = load_org(tmp_path).assets
    assert (asset.id, asset.hostnames, asset.system_level, asset.valid.end) == ("0123", ("pc1", "pc2"), 3, None)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("- id: A\n  name: [\n", 3, "not YAML"),
        ("id: A\n", 1, "expected a list"),
        ("- A\n", 1, "expected a mapping"),
        ("- id: A\n  name: a\n- id: B\n  id: C\n  name: b\n", 3, "a key stands twice"),
        ("- id: A\n  names: a\n", 1, "unknown column 'names'; did you mean 'name'"),
        ("- id: A\n", 1, "no value for name"),
    ],
)
def test_wrong_yaml_is_named_by_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    (tmp_path / "assets.yml").write_text(text, "utf-8")
    with pytest.raises(ContentErrors) as errors:
        load_org(tmp_path)
    (error,) = errors.value.errors
    assert error.line == line
    assert error.why.startswith(why)


def test_two_files_of_one_table_are_refused(tmp_path: Path) -> None:
    (tmp_path / "assets.yml").write_text("[]\n", "utf-8")
    assert refused(tmp_path, assets="id,name\n") == ["assets.yml:0: assets.csv says the same thing; keep one of them"]


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "assets.csv").write_bytes("id,name\nA,a\nB,Hà".encode() + b"\xd0\n")
    with pytest.raises(ContentErrors, match=r"assets\.csv:3: not UTF-8"):
        load_org(tmp_path)


def test_a_byte_order_mark_and_blank_lines_are_tolerated(tmp_path: Path) -> None:
    (tmp_path / "assets.csv").write_bytes(b"\xef\xbb\xbfid,name\r\n\r\n# note\r\nA,a\r\n")
    assert [a.id for a in load_org(tmp_path).assets] == ["A"]


def test_two_agencies_cannot_lead_one_unit_also_after_a_merger(tmp_path: Path) -> None:
    errors = refused(
        tmp_path,
        agencies="id,name,unit,lead\nH1,Yên Bái,vn:tinh:15@2024-09-01,yes\nH2,Lào Cai,vn:tinh:10@2024-09-01,yes\n",
    )
    assert errors == ["agencies.csv:3: H2 and H1 (line 2) both lead Tỉnh Lào Cai on 2025-07-01; end one of them"]
