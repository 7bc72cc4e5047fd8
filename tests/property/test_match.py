"""The batch matcher equals the slow reference on generated rules and events, whatever their batch and their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soc.detect import LogSource, RuleSet, load_rules
from soc.detect.explain import Explained
from tests.detect import reference

FIELDS = ("A", "b", "C.d", "C.e.f", "ä")
#: What the pipeline below makes of a field: alternatives, which come before the field's own name.
MAPPING = {"b": ["m.b", "n"], "ä": ["C.d"]}
PIPELINE = f"transformations:\n- {json.dumps({'type': 'field_name_mapping', 'mapping': MAPPING}, ensure_ascii=False)}\n"
LETTERS = "aAbBzZ09 .-/\\*?éÉe\u0301ßſsSKkİiıIΣσςĐđj\u030cJ\x02\x03\ufdd0\n"

plain_text = st.text(st.sampled_from(LETTERS), max_size=6)
#: Words that meet each other often, so that matches are not rare.
word = st.one_of(
    plain_text,
    st.sampled_from(
        ["", "*", "a", "ab", "AB", "a*b", "?", "-a", "/b", "a -b", "10", "10.0", "1e1", "true", "false", "null"]
    ),
    st.sampled_from(["10.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1", "2024-02-29T10:30:00Z", "YWI=", "\u2013a"]),
)
number = st.one_of(st.integers(-2, 12), st.sampled_from([1.0, 10.0, 1.5, 2**63]), st.booleans())
scalar = st.one_of(word, number, st.none())
member = st.one_of(scalar, st.lists(scalar, max_size=3))
event = st.dictionaries(
    st.sampled_from([*FIELDS, "C", "x y", "m.b", "n"]),
    st.one_of(
        member,
        st.dictionaries(st.sampled_from(["d", "e", "e.f"]), st.one_of(member, st.dictionaries(st.just("f"), member))),
        st.lists(st.dictionaries(st.sampled_from(["d", "e.f"]), member), max_size=2),
    ),
    max_size=5,
)


def listed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One value, a few, or so many that they are looked up together."""
    return st.one_of(values, st.lists(values, min_size=1, max_size=4), st.lists(values, min_size=8, max_size=12))


pattern = st.lists(
    st.sampled_from(
        ["a", "b", "A", "é", "[ab]", ".", ".*", "a+", "b?", "(?:a|b)", r"\d", r"\.", "^", "$", "|", "0{2,}", "ab"]
    ),
    min_size=1,
    max_size=5,
).map("".join)
literal = st.text(st.sampled_from("aAbé-/ 0ß"), min_size=2, max_size=4)
field = st.sampled_from(FIELDS)
affix = st.sampled_from(["contains", "startswith", "endswith"])


KINDS = (
    "plain",
    "affix",
    "affix",
    "null",
    "exists",
    "number",
    "re",
    "cidr",
    "compare",
    "time",
    "ref",
    "base64",
    "wide",
    "dash",
)


@st.composite
def detection_item(draw: st.DrawFn) -> tuple[str, Any]:
    name = draw(field)
    kind = draw(st.sampled_from(KINDS))
    extra = draw(st.sampled_from(["", "", "", "|all", "|neq", "|all|neq"]))
    cased = draw(st.sampled_from(["", "", "|cased"]))
    if kind == "plain":
        return f"{name}{cased}{extra}", draw(listed(word))
    if kind == "affix":
        return f"{name}|{draw(affix)}{cased}{extra}", draw(listed(st.one_of(word, st.integers(0, 12))))
    if kind == "null":
        return f"{name}{draw(st.sampled_from(['', '|neq']))}", draw(st.sampled_from([None, [], [None, "a"]]))
    if kind == "exists":
        return f"{name}|exists", draw(st.booleans())
    if kind == "number":
        return f"{name}{extra}", draw(listed(number))
    if kind == "re":
        flags = "".join(f"|{flag}" for flag in draw(st.sets(st.sampled_from("ims"))))
        return f"{name}|re{flags}{extra}", draw(listed(pattern))
    if kind == "cidr":
        return f"{name}|cidr{extra}", draw(listed(st.sampled_from(["10.0.0.0/8", "::1/128", "fe80::/10", "0.0.0.0/0"])))
    if kind == "compare":
        return f"{name}|{draw(st.sampled_from(['gt', 'gte', 'lt', 'lte']))}{extra}", draw(listed(st.integers(-1, 11)))
    if kind == "time":
        part = draw(st.sampled_from(["minute", "hour", "day", "month", "year"]))
        compare = draw(st.sampled_from(["", "|gte", "|lt"]))
        return f"{name}|{part}{compare}", draw(st.sampled_from([10, 2, 29, 30, 2024]))
    if kind == "ref":
        how = draw(st.sampled_from(["", "|startswith", "|endswith", "|contains"]))
        return f"{name}|fieldref{how}{cased}{extra}", draw(field)
    if kind == "dash":
        return f"{name}|windash|{draw(affix)}{cased}{extra}", draw(listed(word))
    encoding = draw(st.sampled_from(["", "wide|", "utf16le|", "utf16be|", "utf16|"])) if kind == "wide" else ""
    form = draw(st.sampled_from(["base64|contains", "base64offset|contains"]))
    return f"{name}|{encoding}{form}{cased}", draw(listed(literal))


keyword = st.one_of(word.filter(bool), st.integers(0, 12))
mapping = st.lists(detection_item(), min_size=1, max_size=3).map(dict)
selection = st.one_of(
    mapping,
    mapping,
    mapping,
    st.lists(mapping, min_size=1, max_size=2),
    st.lists(keyword, min_size=1, max_size=2),
    st.lists(keyword, min_size=1, max_size=2).map(lambda words: {"|all": words}),
)
operand = st.sampled_from(
    ["s1", "s2", "_h", "not s1", "1 of s*", "all of s*", "1 of them", "all of them", "not 1 of s*"]
)


@st.composite
def condition(draw: st.DrawFn) -> str:
    text = draw(operand)
    for _ in range(draw(st.integers(0, 3))):
        text = f"{text} {draw(st.sampled_from(['and', 'or', 'and not', 'or not']))} {draw(operand)}"
        if draw(st.booleans()):
            text = f"{draw(st.sampled_from(['', 'not ']))}({text})"
    return text


@st.composite
def rule(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "title": "t",
        "logsource": {"product": draw(st.sampled_from(["p", "q"]))},
        "detection": {
            "s1": draw(selection),
            "s2": draw(selection),
            "_h": draw(selection),
            "condition": draw(st.one_of(condition(), st.lists(condition(), min_size=2, max_size=2))),
        },
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rules")


def loaded(rules: list[dict[str, Any]], folder: Path, mapped: bool = False) -> RuleSet:
    """The rules through a file, as users' rules come: JSON is YAML."""
    path = folder / "rules.yml"
    texts = [
        json.dumps(one | {"id": f"r{i}"}, ensure_ascii=False).replace("\ufdd0", "\\ufdd0")
        for i, one in enumerate(rules)
    ]
    path.write_text("\n---\n".join(texts), "utf-8")
    (folder / "pipeline.yaml").write_text(PIPELINE, "utf-8")
    return load_rules([path], [folder / "pipeline.yaml"] if mapped else [])


def ids(rules: RuleSet, events: list[dict[str, Any]]) -> list[list[str]]:
    return [[detection.rule_id for detection in found] for found in rules.match(events)]


@settings(max_examples=200)
@given(
    rules=st.lists(rule(), min_size=1, max_size=4), events=st.lists(event, min_size=1, max_size=5), mapped=st.booleans()
)
def test_matcher_equals_the_reference(
    rules: list[dict[str, Any]], events: list[dict[str, Any]], mapped: bool, folder: Path
) -> None:
    ready = loaded(rules, folder, mapped)
    assert not ready.refused
    names = MAPPING if mapped else {}
    seen = [{**one, "xy": one.get("xy", one["x y"])} if "x y" in one else one for one in events]
    expected = [[f"r{i}" for i, one in enumerate(rules) if reference.matches(one, e, names)] for e in seen]
    assert ids(ready, events) == expected
    for e, found in zip(events, expected, strict=True):
        assert [r for r in ready.rules if ready.explain(r, e).true] == found


def told(node: Explained) -> list[tuple[str, str, str]]:
    """What made a node true, in the rule's order: predicates that hold, and nothing of a negation."""
    if node.kind == "leaf":
        return [(node.field, node.op, node.pattern)] if node.true else []
    return [one for child in node.children if node.true and node.kind != "not" for one in told(child)]


@settings(max_examples=200)
@given(
    rules=st.lists(rule(), min_size=1, max_size=4), events=st.lists(event, min_size=1, max_size=5), mapped=st.booleans()
)
def test_what_a_detection_tells_is_what_the_explanation_holds_true_and_nothing_twice(
    rules: list[dict[str, Any]], events: list[dict[str, Any]], mapped: bool, folder: Path
) -> None:
    ready = loaded(rules, folder, mapped)
    for e, found in zip(events, ready.match(events), strict=True):
        for detection in found:
            expected = list(dict.fromkeys(told(ready.explain(detection.rule_id, e))))
            assert [(one.field, one.op, one.pattern) for one in detection.matched] == expected


@settings(max_examples=50)
@given(
    rules=st.lists(rule(), min_size=1, max_size=4),
    events=st.lists(event, min_size=2, max_size=8),
    data=st.data(),
)
def test_batch_order_and_key_order_change_nothing(
    rules: list[dict[str, Any]], events: list[dict[str, Any]], data: st.DataObject, folder: Path
) -> None:
    ready = loaded(rules, folder)
    together = ready.match(events)
    assert together == [ready.match([e])[0] for e in events]
    order = data.draw(st.permutations(range(len(events))))
    assert [together[i] for i in order] == ready.match([events[i] for i in order])
    backwards = [dict(reversed(e.items())) for e in events]
    assert ids(ready, backwards) == [[d.rule_id for d in found] for found in together]


@settings(max_examples=50)
@given(rules=st.lists(rule(), min_size=1, max_size=4), events=st.lists(event, min_size=1, max_size=5), data=st.data())
def test_routing_keeps_exactly_the_rules_of_the_log_source(
    rules: list[dict[str, Any]], events: list[dict[str, Any]], data: st.DataObject, folder: Path
) -> None:
    ready = loaded(rules, folder)
    sources = st.frozensets(
        st.sampled_from([LogSource("p"), LogSource("q", "c"), LogSource(None, "c"), LogSource("z")])
    )
    routed = [data.draw(sources) for _ in events]
    everything = ready.match(events)
    wanted = [
        [d for d in found if ready.rules[d.rule_id].logsource.product in {s.product for s in has}]
        for found, has in zip(everything, routed, strict=True)
    ]
    assert ready.match(events, routed) == wanted
