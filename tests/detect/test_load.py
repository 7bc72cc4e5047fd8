"""What load_rules reads, what it refuses and warns of, and what a rule set knows of its rules."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from soc.detect import LogSource, RuleSet, load_rules

ID = "00000000-0000-4000-8000-00000000000{}"

RULE = """\
title: Rule {n}
id: {id}
level: high
logsource:
    product: p
detection:
    s:
        A: {n}
    condition: s
"""


def rule(n: int) -> str:
    return RULE.format(n=n, id=ID.format(n))


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def whys(rules: RuleSet) -> list[tuple[str, int, str]]:
    return [(Path(error.path).name, error.line, error.why) for error in rules.refused]


def test_folders_files_and_both_suffixes_are_read_but_no_tests_packs_or_hidden_ones(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=rule(1), deep__b_dot_yaml=rule(2), pack_dot_yaml="mode: live", pack_dot_yml="x: 1")
    write(
        tmp_path,
        a_dot_test_dot_yaml="x: 1",
        a_dot_test_dot_yml="x: 1",
        readme_dot_md="# no",
        _dot_git__c_dot_yml=rule(3),
    )
    rules = load_rules([tmp_path])
    assert list(rules.rules) == [ID.format(1), ID.format(2)]
    assert not rules.refused and not rules.warnings
    assert list(load_rules([tmp_path / "a.yml"]).rules) == [ID.format(1)]


def test_zip_and_tar_archives_are_read(tmp_path: Path) -> None:
    write(tmp_path / "rules", a_dot_yml=rule(1), b_dot_yml=rule(2))
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as packed:
        for path in (tmp_path / "rules").iterdir():
            packed.write(path, f"sigma/{path.name}")
    with tarfile.open(tmp_path / "r.tar.gz", "w:gz") as packed_tar:
        packed_tar.add(tmp_path / "rules", "sigma")
    for archive in ("r.zip", "r.tar.gz"):
        rules = load_rules([tmp_path / archive])
        assert list(rules.rules) == [ID.format(1), ID.format(2)]
        assert rules.rules[ID.format(1)].path == tmp_path / archive / "sigma" / "a.yml"


def test_what_cannot_be_read_is_told_and_the_rest_loads(tmp_path: Path) -> None:
    write(tmp_path, good_dot_yml=rule(1), bad_dot_yml="a: [1", list_dot_yml="- 1", alien_dot_yml="name: ci\non: push\n")
    (tmp_path / "bytes.yml").write_bytes(b"title: \xff\xfe")
    rules = load_rules([tmp_path, tmp_path / "nowhere"])
    assert list(rules.rules) == [ID.format(1)]
    assert {name for name, _, _ in whys(rules)} == {"bad.yml", "list.yml", "bytes.yml", "nowhere"}
    assert [(Path(w.path).name, w.why) for w in rules.warnings] == [
        ("alien.yml", "passed over: this is no Sigma document")
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("title: Rule 1\n", "", 1, "needs a `title`"),
        ("level: high", "level: grave", 3, "no level"),
        ("level: high", "level: high\nstatus: fine", 4, "no status"),
        ("    product: p", "    definition: x", 5, "names no product, category or service"),
        ("    product: p", "    produkt: p", 5, "did you mean 'product'"),
        ("logsource:\n    product: p\n", "", 1, "`logsource` is a mapping"),
        ("        A: 1", "        A|bad: 1", 8, "unknown modifier"),
        ("    condition: s", "    condition: t", 9, "no selection is named 't'"),
        ("    s:\n        A: 1\n", "", 7, "no selection"),
    ],
)
def test_a_bad_rule_is_refused_with_its_line(tmp_path: Path, old: str, new: str, line: int, why: str) -> None:
    assert old in rule(1)
    write(tmp_path, a_dot_yml=rule(1).replace(old, new))
    [(name, at, reason)] = whys(load_rules([tmp_path]))
    assert (name, at) == ("a.yml", line)
    assert why in reason


def test_a_second_rule_of_an_id_is_refused_naming_the_first(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=rule(1), b_dot_yml=rule(1).replace("Rule 1", "Other"))
    rules = load_rules([tmp_path])
    assert rules.rules[ID.format(1)].title == "Rule 1"
    assert whys(rules) == [("b.yml", 2, f"the id {ID.format(1)} is taken by {tmp_path}/a.yml:1")]


def test_rules_without_id_or_level_load_with_a_warning(tmp_path: Path) -> None:
    text = rule(1).replace(f"id: {ID.format(1)}\nlevel: high\n", "name: mine\n")
    write(tmp_path, a_dot_yml=text)
    rules = load_rules([tmp_path])
    assert rules.rules["mine"].level == "medium"
    assert {w.why.split(":")[0].split(",")[0] for w in rules.warnings} == {
        "a rule needs an `id`",
        "a rule needs a `level`",
    }


def test_a_rule_keeps_what_people_read(tmp_path: Path) -> None:
    text = rule(1) + "status: test\ndescription: |\n  Why.\nauthor: A\ntags: [attack.t1110]\nfalsepositives:\n- none\n"
    write(tmp_path, a_dot_yml=text + "references: [https://r.example]\nsoc: {vi: {title: Luật}}\n")
    loaded = load_rules([tmp_path]).rules[ID.format(1)]
    assert (loaded.title, loaded.level, loaded.status, loaded.author) == ("Rule 1", "high", "test", "A")
    assert (loaded.description, loaded.tags, loaded.falsepositives) == ("Why.", ("attack.t1110",), ("none",))
    assert loaded.references == ("https://r.example",)
    assert loaded.custom == {"soc": {"vi": {"title": "Luật"}}}
    assert loaded.logsource == LogSource("p")
    assert loaded.raw.startswith("title: Rule 1") and loaded.pack == str(tmp_path)
    assert loaded.version != load_rules([write(tmp_path, a_dot_yml=rule(1))]).rules[ID.format(1)].version


def test_several_documents_in_a_file_know_their_lines_and_texts(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=f"{rule(1)}---\n{rule(2)}---\n{rule(3).replace('A: 3', 'A|x: 3')}")
    rules = load_rules([tmp_path])
    assert [r.line for r in rules.rules.values()] == [1, 11]
    assert [r.raw for r in rules.rules.values()] == [rule(1), rule(2)]
    assert [error.line for error in rules.refused] == [28]


def test_global_reset_and_repeat_documents(tmp_path: Path) -> None:
    shared = f"action: global\ntitle: T\nid: {ID.format(1)}\nlevel: low\nlogsource: {{product: p}}\n"
    shared += "detection: {condition: s}\n"
    first = "logsource: {service: a}\ndetection: {s: {A: 1}}\n"
    second = "detection: {s: {A: 2}}\n"
    repeat = f"action: repeat\nid: {ID.format(4)}\ndetection: {{s: {{A: 3}}}}\n"
    write(tmp_path, a_dot_yml="---\n".join([shared, first, second, repeat, "action: reset\n", rule(5)]))
    rules = load_rules([tmp_path])
    assert not rules.refused
    assert list(rules.rules) == [ID.format(1), f"{ID.format(1)}-2", ID.format(4), ID.format(5)]
    assert rules.rules[ID.format(1)].logsource == LogSource("p", None, "a")
    matched = [[d.rule_id[-3:] for d in found] for found in rules.match([{"A": n} for n in (1, 2, 3, 5)])]
    assert matched == [["001"], ["1-2"], ["004"], ["005"]]
    assert any("known as" in w.why for w in rules.warnings)


def test_aliases_that_unfold_without_end_are_refused(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n"
    write(tmp_path, bomb_dot_yml=bomb, circle_dot_yml="title: &x [*x]\n", deep_dot_yml="title: " + "[" * 5000)
    assert sorted(why.split()[0] for _, _, why in whys(load_rules([tmp_path]))) == ["aliases", "aliases", "not"]


FILTER = f"""\
title: No admins
id: {ID.format(9)}
logsource: {{product: p}}
filter:
  rules: [{ID.format(1)}]
  selection: {{User|startswith: adm_}}
  condition: not selection
"""


def test_a_filter_narrows_the_rules_it_names(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=rule(1), b_dot_yml=rule(1).replace("0001", "0002"), f_dot_yml=FILTER)
    rules = load_rules([tmp_path])
    assert not rules.refused and not rules.warnings
    assert rules.rules[ID.format(1)].filters == (ID.format(9),)
    both = [ID.format(1), ID.format(2)]
    events = [{"A": 1}, {"A": 1, "User": "adm_x"}, {"User": "x"}]
    assert [[d.rule_id for d in found] for found in rules.match(events)] == [both, both[1:], []]
    assert [f.title for f in rules.filters] == ["No admins"]


def test_a_filter_of_any_rule_keeps_to_its_log_source(tmp_path: Path) -> None:
    other = rule(2).replace("product: p", "product: q")
    everything = FILTER.replace(f"[{ID.format(1)}]", "any").replace(
        "selection: {User|startswith: adm_}", "sel_a: {U: x}"
    )
    write(tmp_path, a_dot_yml=rule(1), b_dot_yml=other, f_dot_yml=everything.replace("not selection", "not 1 of sel_*"))
    rules = load_rules([tmp_path])
    assert [r.filters for r in rules.rules.values()] == [(ID.format(9),), ()]


def test_filters_that_cannot_mean_what_they_say_are_told(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=rule(1), keep_dot_yml=FILTER.replace("not selection", "selection"))
    write(tmp_path, lost_dot_yml=FILTER.replace(ID.format(1), ID.format(7)).replace(ID.format(9), ID.format(8)))
    write(tmp_path, bad_dot_yml=FILTER.replace(ID.format(9), ID.format(6)).replace("not selection", "not selektion"))
    rules = load_rules([tmp_path])
    warned = {(Path(w.path).name, w.why.split(" ")[0]) for w in rules.warnings}
    assert warned == {("keep.yml", "the"), ("lost.yml", "no"), ("lost.yml", "the")}
    assert [(name, line) for name, line, _ in whys(rules)] == [("bad.yml", 7)]


CORRELATION = f"""\
title: Many
id: {ID.format(8)}
level: high
correlation:
  type: event_count
  rules: [{{rules}}]
  group-by: [User]
  timespan: 5m
  condition: {{{{gte: 3}}}}
"""


def test_correlations_find_their_rules_by_id_and_by_name_over_all_files(tmp_path: Path) -> None:
    named = rule(1).replace("level:", "name: first\nlevel:")
    write(tmp_path / "x", a_dot_yml=named, b_dot_yml=rule(2))
    write(tmp_path / "a", c_dot_yml=CORRELATION.format(rules=f"first, {ID.format(2)}"))
    rules = load_rules([tmp_path / "a", tmp_path / "x"])
    assert not rules.refused
    [correlation] = rules.correlations
    assert correlation.rules == (ID.format(1), ID.format(2))
    assert rules.feeds == {ID.format(1): (ID.format(8),), ID.format(2): (ID.format(8),)}
    assert rules.silent == {ID.format(1), ID.format(2)}


def test_rules_of_a_correlation_that_generates_are_not_silent(tmp_path: Path) -> None:
    loud = CORRELATION.format(rules=ID.format(1)).replace("  type:", "  generate: true\n  type:")
    write(tmp_path, a_dot_yml=rule(1), c_dot_yml=loud)
    assert load_rules([tmp_path]).silent == frozenset()


def test_a_correlation_of_a_missing_or_refused_rule_is_refused_and_so_is_what_builds_on_it(tmp_path: Path) -> None:
    upper = CORRELATION.format(rules=ID.format(8)).replace(f"id: {ID.format(8)}", f"id: {ID.format(9)}")
    write(tmp_path, a_dot_yml=rule(1).replace("A:", "A|x:"), c_dot_yml=CORRELATION.format(rules=ID.format(1)))
    write(tmp_path, d_dot_yml=upper)
    rules = load_rules([tmp_path])
    assert not rules.correlations and not rules.feeds
    assert [name for name, _, _ in whys(rules)] == ["a.yml", "c.yml", "d.yml"]


def test_the_text_of_a_rule_gives_its_field_names_in_events(tmp_path: Path) -> None:
    write(tmp_path, a_dot_yml=rule(1))
    write(tmp_path, p_dot_yaml="transformations:\n- {type: field_name_mapping, mapping: {A: [x.a, y.a]}}\n")
    rules = load_rules([tmp_path / "a.yml"], [tmp_path / "p.yaml"])
    assert rules.names(ID.format(1), "A") == ("x.a", "y.a", "A")
    assert rules.names(ID.format(1), "B") == ("B",)
    assert rules.names("no such rule", "A") == ()


def test_nothing_to_load_is_an_empty_rule_set(tmp_path: Path) -> None:
    rules = load_rules([tmp_path])
    assert not rules.rules and not rules.refused
    assert rules.match([{"A": 1}, {}]) == [[], []]
    assert rules.match([]) == []


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.yml", rule(1) * 50)
    (tmp_path / "r.zip").write_bytes(packed.getvalue()[:40] + b"\0" * 20 + packed.getvalue()[60:])
    rules = load_rules([tmp_path / "r.zip"])
    assert not rules.rules
    assert len(rules.refused) == 1
