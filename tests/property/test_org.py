"""Invariants of the unit tree and of resolution, over any units, days and texts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from soc.org import UNKNOWN, Org, as_it_is_now, fold, load_org, load_units, local_day, totals

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sample" / "org"


@cache
def org() -> Org:
    return load_org(SAMPLE)


UIDS = sorted(u.uid for u in load_units())
DAYS = st.dates(date(2020, 1, 1), date(2030, 1, 1))
COUNTS = st.dictionaries(st.sampled_from([*UIDS, UNKNOWN.uid, "vn:xa:nonsense"]), st.integers(1, 1_000), max_size=30)


def holds(counts: dict[str, int]) -> None:
    """A unit's total is its own count plus its children's totals; nothing is lost or counted twice."""
    units = org().units
    own = {uid: n for uid, n in counts.items() if units.get(uid)}
    own[UNKNOWN.uid] = own.get(UNKNOWN.uid, 0) + sum(n for uid, n in counts.items() if not units.get(uid))
    sums = totals(units, counts)
    for uid, total in sums.items():
        assert total == own.get(uid, 0) + sum(sums.get(c.uid, 0) for c in units.children(uid))
    roots = [uid for uid in sums if not units.get(uid).parent]
    assert sum(sums[uid] for uid in roots) == sum(counts.values())


@settings(max_examples=60)
@given(COUNTS)
def test_children_sum_to_their_parent_as_it_was(counts: dict[str, int]) -> None:
    holds(counts)


@settings(max_examples=60)
@given(COUNTS, DAYS)
def test_children_sum_to_their_parent_as_it_is_now(counts: dict[str, int], on: date) -> None:
    now = as_it_is_now(org(), {(uid, ""): n for uid, n in counts.items()}, on)
    assert sum(now.values()) == sum(counts.values())
    assert all(uid == UNKNOWN.uid or org().units.get(uid).covers(max(on, org().units.known_since)) for uid in now)
    holds(now)


@settings(max_examples=300)
@given(st.sampled_from(UIDS), DAYS)
def test_following_ends_in_a_unit_of_that_day_and_of_the_same_province_or_its_heir(uid: str, on: date) -> None:
    units = org().units
    found = units.follow(uid, on)
    if found is not None:
        assert found.covers(max(on, units.known_since))
        assert units.follow(found.uid, on) is found
        province = next(u for u in (units.get(p) for p in units.path(uid)) if u.level in {"tinh", "trung_uong"})
        if province.level == "tinh":
            heir = units.follow(province.uid, on)
            assert heir is None or heir.uid in units.path(found.uid)


@settings(max_examples=200)
@given(
    st.text(max_size=20) | st.sampled_from(["ys-motcua", "ttdl-fw01", "192.0.2.70"]),
    st.lists(st.ip_addresses().map(str) | st.text(max_size=12) | st.just("192.0.2.99"), max_size=3),
    st.lists(st.ip_addresses().map(str) | st.just("192.0.2.150"), max_size=3),
    st.sampled_from(["", "nonsense", *UIDS[:: len(UIDS) // 50]]),
    st.datetimes(timezones=st.just(UTC)),
)
def test_any_event_has_a_place_that_is_valid_at_its_time(
    name: str, ips: list[str], endpoints: list[str], registered: str, at: datetime
) -> None:
    place = org().resolve(name, ips, endpoints, registered, at)
    on = max(local_day(at), org().units.known_since)
    assert place.unit is UNKNOWN or place.unit.covers(on)
    assert place.path[-1] == place.unit.uid
    assert len(place.names) == len(place.path)
    low, high = org().steady(at)
    assert low <= at <= high
    assert org().resolve(name, ips, endpoints, registered, low) == place


@settings(max_examples=200)
@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)
