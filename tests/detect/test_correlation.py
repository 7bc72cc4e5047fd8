"""A correlation document is read as Sigma means it, or refused with the line and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.detect.correlation import Correlation, chained, parse_correlation, resolve
from soc.detect.correlation_condition import ConditionError, alternatives, named
from soc.detect.yamlload import documents
from soc.event import ContentError

PATH = Path("rules/correlation.yml")


def parsed(text: str) -> Correlation:
    found = list(documents(dedent(text).encode(), PATH))
    assert len(found) == 1
    return parse_correlation(found[0].value, PATH, found[0].line, found[0].raw)


def section(**keys: Any) -> dict[str, Any]:
    written = {"type": "event_count", "rules": ["ra"], "timespan": "5m", "condition": {"gte": 3}}
    written |= {name.replace("_", "-"): value for name, value in keys.items()}
    return {"title": "t", "id": "c", "correlation": {k: v for k, v in written.items() if v is not None}}


def read(**keys: Any) -> Correlation:
    return parse_correlation(section(**keys), PATH, 7, "raw")


BRUTE_FORCE = """\
    title: Brute force
    id: 0e95725d-7320-415d-80f7-004da920fc11
    name: brute_force
    status: stable
    level: high
    description: Many failed logons.
    author: A. Author
    references: [https://soc.example/rules/1]
    tags: [attack.t1110]
    falsepositives: [a forgotten password]
    soc: {entity: [source.ip]}
    correlation:
      type: event_count
      rules: [failed_logon, "5638f7c0-ac70-491d-8465-2a65075e0d86"]
      group-by: [SourceIp, ip]
      timespan: 1h
      aliases:
        ip: {failed_logon: src_ip}
      condition: {gte: 100}
      generate: true
    """


def test_every_part_of_a_document_is_kept() -> None:
    c = parsed(BRUTE_FORCE)
    assert (c.id, c.name, c.title) == ("0e95725d-7320-415d-80f7-004da920fc11", "brute_force", "Brute force")
    assert (c.status, c.level, c.author, c.description) == ("stable", "high", "A. Author", "Many failed logons.")
    assert c.rules == ("failed_logon", "5638f7c0-ac70-491d-8465-2a65075e0d86")
    assert c.group_by == ("SourceIp", "ip")
    assert c.timespan.total_seconds() == 3600
    assert c.condition.compare == (("gte", 100),)
    assert c.aliases == {"ip": {"failed_logon": "src_ip"}}
    assert c.generate
    assert (c.tags, c.references) == (("attack.t1110",), ("https://soc.example/rules/1",))
    assert c.falsepositives == ("a forgotten password",)
    assert c.custom == {"soc": {"entity": ["source.ip"]}}
    assert c.path == PATH
    assert c.raw == dedent(BRUTE_FORCE)


def test_the_version_changes_with_the_content_and_not_with_comments() -> None:
    assert parsed(BRUTE_FORCE).version == parsed("# a comment\n" + dedent(BRUTE_FORCE)).version
    assert parsed(BRUTE_FORCE).version != parsed(BRUTE_FORCE.replace("gte: 100", "gte: 101")).version


def test_one_rule_and_one_field_may_stand_without_a_list() -> None:
    c = read(rules="ra", group_by="User")
    assert (c.rules, c.group_by) == (("ra",), ("User",))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("90m", 5_400),
        ("2h", 7_200),
        ("1d", 86_400),
        ("1w", 604_800),
        ("1M", 2_629_746),
        ("1y", 31_556_952),
    ],
)
def test_timespans_know_every_unit(text: str, seconds: int) -> None:
    assert read(timespan=text).timespan.total_seconds() == seconds


def test_thresholds_keep_fractions_and_ranges() -> None:
    c = read(type="value_avg", condition={"field": "n", "gt": 0.5, "lte": 2})
    assert c.condition.compare == (("gt", 0.5), ("lte", 2))
    assert c.condition.fields == ("n",)


def test_several_fields_count_distinct_tuples() -> None:
    c = read(type="value_count", condition={"field": ["User", "Host"], "gte": 3})
    assert c.condition.fields == ("User", "Host")


def test_temporal_without_condition_asks_for_all_rules() -> None:
    assert read(type="temporal", rules=["ra", "rb"], condition=None).condition.compare == (("gte", 2),)


def test_rules_of_a_boolean_condition_may_be_left_out() -> None:
    c = read(type="temporal", rules=None, condition="rb and not ra")
    assert c.rules == ("rb", "ra")


def test_ordered_temporal_is_read_with_a_warning() -> None:
    c = read(type="ordered_temporal", rules=["ra", "rb"], condition=None)
    assert c.type == "temporal_ordered"
    assert "temporal_ordered" in c.warnings[0]


def test_generate_is_read_at_the_top_too() -> None:
    assert parse_correlation(section() | {"generate": True}, PATH, 1, "").generate


def test_level_defaults_to_medium_and_a_nameless_rule_gets_a_stable_id() -> None:
    document = section()
    del document["id"]
    one, other = (parse_correlation(document, PATH, 1, "") for _ in range(2))
    assert one.level == "medium"
    assert one.id == other.id != ""


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"type": "event_counts"}, "correlation type is one of event_count"),
        ({"type": None}, "correlation type is one of"),
        ({"rules": None}, "at least one rule"),
        ({"rules": []}, "at least one rule"),
        ({"rules": ["ra", 5]}, "rules takes a text or a list of texts, not 5"),
        ({"rules": ["ra", "ra"]}, "names a rule twice: ra"),
        ({"timespan": None}, "(such as 15m), not None"),
        ({"timespan": "5"}, "(such as 15m), not '5'"),
        ({"timespan": "0m"}, "such as 15m"),
        ({"timespan": 300}, "(such as 15m), not 300"),
        ({"timespan": "99y"}, "longer than ten years"),
        ({"timeframe": "5m"}, "did you mean 'timespan'"),
        ({"group_by": {"a": 1}}, "group-by takes a text"),
        ({"condition": None}, "needs a condition"),
        ({"condition": {}}, "needs a comparison"),
        ({"condition": {"gte": "many"}}, "gte takes a number, not 'many'"),
        ({"condition": {"gte": True}}, "gte takes a number, not True"),
        ({"condition": {"gte": float("nan")}}, "gte takes a number"),
        ({"condition": {"more": 3}}, "unknown key 'more'"),
        ({"condition": {"gt": 5, "lt": 4}}, "exclude each other"),
        ({"condition": {"eq": 5, "neq": 5}}, "exclude each other"),
        ({"condition": {"field": "User", "gte": 3}}, "event_count takes no 'field'"),
        ({"condition": {"percentile": 5, "gte": 3}}, "event_count takes no 'percentile'"),
        ({"condition": "ra and rb"}, "expressions are for temporal"),
        ({"type": "value_count"}, "needs 'field'"),
        ({"type": "value_sum", "condition": {"field": ["a", "b"], "gte": 3}}, "takes one field, not 2"),
        ({"type": "value_sum", "condition": {"field": 5, "gte": 3}}, "field takes a field name"),
        ({"type": "value_percentile", "condition": {"field": "a", "gte": 3}}, "percentile: 95"),
        ({"type": "value_percentile", "condition": {"field": "a", "gte": 3, "percentile": 101}}, "between 0 and 100"),
        ({"type": "temporal", "rules": ["ra", "rb"], "condition": {"gte": 3}}, "only 2 rules to count"),
        ({"type": "temporal", "rules": ["ra", "rb"], "condition": "ra and rc"}, "not name the same rules: rb, rc"),
        ({"type": "temporal", "rules": ["ra", "rb"], "condition": "ra and (rb"}, "parenthesis is not closed"),
        ({"type": "temporal", "rules": ["ra", "rb"], "condition": "ra rb"}, "expected 'and' or 'or' before 'rb'"),
        ({"type": "temporal", "rules": ["ra", "rb"], "condition": "ra and"}, "at the end"),
        ({"type": "temporal", "rules": None, "condition": " "}, "condition is empty"),
        ({"type": "temporal", "rules": None, "condition": "not ra"}, "absence alone"),
        ({"type": "temporal", "rules": None, "condition": "ra or not rb"}, "absence alone"),
        ({"type": "temporal", "rules": None, "condition": "ra and not ra"}, "nothing can meet"),
        ({"aliases": {"ip": "src"}}, "alias → rule name → field name"),
        ({"aliases": {"ip": {"other": "src"}}}, "rules that this correlation does not use"),
        ({"aliases": []}, "alias → rule name → field name"),
        ({"generate": "yes"}, "generate is true or false"),
    ],
)
def test_wrong_content_is_refused_with_what_was_expected(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ContentError, match=r".") as refused:
        read(**keys)
    assert expected in refused.value.why
    assert refused.value.path == str(PATH)


def test_a_refusal_names_the_line_of_the_key() -> None:
    with pytest.raises(ContentError) as refused:
        parsed(BRUTE_FORCE.replace("timespan: 1h", "timespan: 1 hour"))
    assert refused.value.line == 16
    with pytest.raises(ContentError) as refused:
        parsed(BRUTE_FORCE.replace("level: high", "level: hgih"))
    assert (refused.value.line, "hgih" in refused.value.why) == (5, True)


# ---------------------------------------------------------------- references


def test_names_become_ids_everywhere() -> None:
    c = read(
        type="temporal",
        rules=["ra", "rb"],
        condition="ra and not rb",
        group_by=["ip"],
        aliases={"ip": {"ra": "src", "rb": "dst"}},
    )
    done = resolve(c, {"ra": "id-a", "rb": "id-b"}.get)
    assert done.rules == ("id-a", "id-b")
    assert (done.condition.alternatives[0].present, done.condition.alternatives[0].absent) == (("id-a",), ("id-b",))
    assert done.aliases == {"ip": {"id-a": "src", "id-b": "dst"}}


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"ra": "id-a"}, "'rb': no rule or correlation has that id or name"),
        ({"ra": "id-a", "rb": "c"}, "refers to itself"),
        ({"ra": "id-a", "rb": "id-a"}, "same rule twice"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(ids: dict[str, str], expected: str) -> None:
    with pytest.raises(ContentError) as refused:
        resolve(read(rules=["ra", "rb"]), ids.get)
    assert expected in refused.value.why


def test_chains_are_sorted_and_circles_refused() -> None:
    def one(own: str, *rules: str) -> Correlation:
        return parse_correlation(section(rules=list(rules)) | {"id": own}, PATH, 1, "")

    assert [c.id for c in chained([one("z", "y"), one("y", "x"), one("x", "r")])] == ["x", "y", "z"]
    with pytest.raises(ContentError, match="circle"):
        chained([one("x", "y"), one("y", "x")])


# ---------------------------------------------------------------- boolean conditions

Meaning = Callable[[dict[str, bool]], bool]
Expression = tuple[str, Meaning]


def both(one: Expression, other: Expression) -> Expression:
    return f"({one[0]} and {other[0]})", lambda row: one[1](row) and other[1](row)


def either(one: Expression, other: Expression) -> Expression:
    return f"({one[0]} or {other[0]})", lambda row: one[1](row) or other[1](row)


def neither(one: Expression) -> Expression:
    return f"not {one[0]}", lambda row: not one[1](row)


def rule(name: str) -> Expression:
    return name, lambda row: row[name]


expressions = st.recursive(
    st.sampled_from(["ra", "rb", "rc", "rd"]).map(rule),
    lambda inner: st.builds(both, inner, inner) | st.builds(either, inner, inner) | st.builds(neither, inner),
    max_leaves=7,
)


@given(expressions)
@settings(max_examples=200)
def test_alternatives_mean_what_the_expression_says(expression: Expression) -> None:
    text, meaning = expression
    rules = tuple(named(text))
    truth = [dict(zip(rules, values, strict=True)) for values in product([False, True], repeat=len(rules))]
    expected = [meaning(row) for row in truth]
    if not any(expected) or expected[0]:  # impossible, or true when nothing happens
        with pytest.raises(ConditionError):
            alternatives(text, rules)
        return
    terms = alternatives(text, rules).alternatives
    got = [any(all(row[r] for r in t.present) and not any(row[r] for r in t.absent) for t in terms) for row in truth]
    assert expected == got


def test_precedence_is_not_then_and_then_or() -> None:
    terms = alternatives("ra or rb and not rc", ("ra", "rb", "rc")).alternatives
    assert {(t.present, t.absent) for t in terms} == {(("ra",), ()), (("rb",), ("rc",))}


def test_capitals_are_read_with_a_warning() -> None:
    c = read(type="temporal", rules=None, condition="ra AND NOT rb")
    assert (c.rules, len(c.warnings)) == (("ra", "rb"), 1)


def test_an_expression_that_unfolds_without_end_is_refused_at_once() -> None:
    wide = " and ".join(f"(a{i} or b{i})" for i in range(20))
    with pytest.raises(ConditionError, match="unfolds"):
        alternatives(wide, tuple(named(wide)))
    with pytest.raises(ConditionError, match="nested"):
        alternatives("(" * 90 + "ra" + ")" * 90, ("ra",))
