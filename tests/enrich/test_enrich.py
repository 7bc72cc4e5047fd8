"""Events get the unit, agency and asset of their own time; the sender cannot choose them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.enrich import Enricher
from soc.event import Event, rfc3339
from soc.org import Org, load_org

NOW = datetime(2026, 11, 22, 1, tzinfo=UTC)
SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sample" / "org"


@pytest.fixture(scope="module")
def org() -> Org:
    return load_org(SAMPLE)


def event(at: datetime = NOW, unit: str = "", **fields: Any) -> Event:
    named = {name.replace("_", "."): value for name, value in fields.items()}
    return Event("e", "e", at, at, "test", (), {"@timestamp": rfc3339(at), **named}, unit)


def test_an_event_of_a_known_host_says_whose_machine_it_is(org: Org) -> None:
    one = event(host_name="ys-motcua")
    Enricher(org).enrich([one])
    assert one.fields == {
        "@timestamp": rfc3339(NOW),
        "host.name": "ys-motcua",
        "soc.unit.uid": "vn:xa:02473@2025-07-01",
        "soc.unit.level": "xa",
        "soc.unit.name": "Xã Yên Sơn",
        "soc.unit.path": ["vn:trung_uong:VN@2024-09-01", "vn:tinh:08@2025-07-01", "vn:xa:02473@2025-07-01"],
        "soc.unit.by": "asset",
        "organization.id": "H60.94",
        "organization.name": "UBND xã Yên Sơn (mẫu)",
        "soc.asset.id": "YS-MOTCUA",
        "soc.asset.name": "Máy chủ một cửa xã Yên Sơn",
        "soc.asset.role": "một cửa",
        "soc.asset.owner": "Trần Văn Ví Dụ",
        "soc.asset.phone": "0000 001 005",
        "soc.asset.criticality": "high",
        "soc.asset.system_level": 3,
        "soc.asset.as_of": "2026-08-20",
    }


def test_an_unknown_event_lies_in_the_visible_unknown_unit(org: Org) -> None:
    one = event(host_name="stranger")
    Enricher(org).enrich([one])
    assert (one.fields["soc.unit.uid"], one.fields["soc.unit.name"]) == ("vn:unknown", "chưa xác định")
    assert "organization.id" not in one.fields


def test_a_sender_cannot_choose_its_unit_agency_or_asset(org: Org) -> None:
    one = event(host_name="stranger", soc_unit_uid="vn:xa:02473@2025-07-01", organization_id="H60.94")
    one.fields |= {"soc.asset.id": "YS-MOTCUA", "soc.asset.criticality": "low"}
    Enricher(org).enrich([one])
    assert one.fields["soc.unit.uid"] == "vn:unknown"
    assert not {"organization.id", "soc.asset.id", "soc.asset.criticality"} & one.fields.keys()


def test_one_batch_may_span_a_reform(org: Org) -> None:
    moments = [datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC), datetime(2025, 6, 30, 17, tzinfo=UTC)] * 2
    events = [event(at, unit="vn:tinh:15@2024-09-01") for at in moments]
    Enricher(org).enrich(events)
    assert [e.fields["soc.unit.name"] for e in events] == ["Tỉnh Yên Bái", "Tỉnh Lào Cai"] * 2


def test_the_place_is_that_of_the_event_time_not_of_its_arrival(org: Org) -> None:
    late = event(datetime(2026, 2, 28, 16, 59, tzinfo=UTC), host_name="ml-cam01")
    late.received = NOW
    Enricher(org).enrich([late])
    assert late.fields["soc.unit.name"] == "Phường An Tường"


@pytest.mark.parametrize(
    ("category", "unit"),
    [
        (["network"], "Phường Mỹ Lâm"),
        (["intrusion_detection", "network"], "Phường Mỹ Lâm"),
        (["malware"], "Phường Mỹ Lâm"),
        (["host"], "Phường Mỹ Lâm"),
        (None, "Phường Mỹ Lâm"),
        (["authentication"], "Tỉnh Tuyên Quang"),
        (["configuration"], "Tỉnh Tuyên Quang"),
    ],
)
def test_addresses_decide_only_for_what_a_device_reports_about_others(org: Org, category: Any, unit: str) -> None:
    one = event(observer_name="ttdl-fw01", source_ip="203.0.113.9", destination_ip="192.0.2.150")
    one.fields["event.category"] = category
    Enricher(org).enrich([one])
    assert one.fields["soc.unit.name"] == unit


def test_the_client_of_a_web_server_does_not_decide(org: Org) -> None:
    one = event(unit="vn:tinh:08@2025-07-01", source_ip="192.0.2.150")
    one.fields["event.category"] = ["web"]
    Enricher(org).enrich([one])
    assert one.fields["soc.unit.name"] == "Tỉnh Tuyên Quang"


def test_events_do_not_share_the_list_of_their_path(org: Org) -> None:
    first, second = event(host_name="ys-motcua"), event(host_name="ys-motcua")
    Enricher(org).enrich([first, second])
    first.fields["soc.unit.path"].append("x")
    assert second.fields["soc.unit.path"][-1] == "vn:xa:02473@2025-07-01"


HOSTS = st.sampled_from(["ys-motcua", "ML-CAM01", "ttdl-fw01", "stranger", ""]) | st.text(max_size=8)
ADDRESSES = st.sampled_from(["192.0.2.99", "192.0.2.150", "203.0.113.5", "::1", "nonsense"])
EVENTS = st.builds(
    lambda at, unit, fields: Event("e", "e", at, at, "test", (), fields, unit),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["", "vn:tinh:15@2024-09-01", "vn:xa:02473@2025-07-01", "nonsense"]),
    st.fixed_dictionaries(
        {},
        optional={
            "host.name": HOSTS | st.integers() | st.lists(HOSTS, max_size=2) | st.none(),
            "observer.name": HOSTS,
            "host.ip": st.lists(ADDRESSES | st.integers(), max_size=2) | ADDRESSES | st.none(),
            "source.ip": ADDRESSES | st.integers() | st.none(),
            "destination.ip": ADDRESSES,
            "event.category": st.sampled_from([["network"], ["process"], [], None]),
        },
    ),
)


@settings(max_examples=100)
@given(st.lists(EVENTS, max_size=20))
def test_an_answer_never_depends_on_the_events_before_it(events: list[Event]) -> None:
    alone = [Event(e.id, e.record_id, e.timestamp, e.received, e.source, (), dict(e.fields), e.unit) for e in events]
    sent = [dict(e.fields) for e in events]
    Enricher(load(), max_entries=3).enrich(events)  # tiny tables: forgetting must not change an answer
    for one in alone:
        Enricher(load()).enrich([one])
    assert [e.fields for e in events] == [e.fields for e in alone]
    for before, after in zip(sent, events, strict=True):
        assert before.items() <= after.fields.items()


def load() -> Org:
    if not _ORG:
        _ORG.append(load_org(SAMPLE))
    return _ORG[0]


_ORG: list[Org] = []
