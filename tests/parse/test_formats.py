"""Wire formats: what their specifications say about escapes, separators and headers."""

from __future__ import annotations

from typing import Any

import pytest

from soc.event import RecordError
from soc.parse import DECODERS


def decoded(name: str, line: str, **options: Any) -> dict[str, Any]:
    found = DECODERS[name].make(**options)(line)
    assert isinstance(found, dict)
    return found


KV: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ('a=1 b="x y" c="" d=', {}, {"a": "1", "b": "x y", "c": "", "d": ""}),
    (r'a="say \"hi\" \\ there" b=C:\x', {}, {"a": 'say "hi" \\ there', "b": "C:\\x"}),
    ('a="never closed b=1', {}, {"a": '"never', "b": "1"}),
    ("a=1 noise a=2", {}, {"a": ["1", "2"]}),
    ("a=b=c d=1", {}, {"a": "b=c", "d": "1"}),
    ('a="x=y z" b=1', {}, {"a": "x=y z", "b": "1"}),
    ("a:1;b:two words", {"pair": ";", "assign": ":"}, {"a": "1", "b": "two words"}),
    ("a='x y' b=\"z\"", {"quotes": "'\""}, {"a": "x y", "b": "z"}),
]


@pytest.mark.parametrize(("line", "options", "expected"), KV, ids=[k[0] for k in KV])
def test_key_value(line: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert decoded("kv", line, **options) == expected


def test_strict_key_value_refuses_text_between_pairs() -> None:
    with pytest.raises(RecordError, match="no pair"):
        decoded("kv", "a=1 noise b=2", strict=True)
    with pytest.raises(RecordError, match="no '=' pair"):
        decoded("kv", "no pair here")


def test_cef_escapes_labels_and_unescaped_signs() -> None:
    found = decoded(
        "cef",
        r"<1>x CEF:0|Sec\|urity|thr\\eat|1.0|100|na=me|10|src=10.0.0.1 msg=a \= b\nnext cs1Label=My Label cs1=v w "
        r"filePath=C:\\a\\b raw=C:\Users\new request=/a?b=c empty= end=x ",
    )
    assert found["device.vendor"] == "Sec|urity" and found["device.product"] == "thr\\eat" and found["name"] == "na=me"
    assert found["extensions.msg"] == "a = b\nnext"
    assert found["extensions.filePath"] == r"C:\a\b"
    assert found["extensions.request"] == "/a?b=c"
    assert found["labels.My_Label"] == found["extensions.cs1"] == "v w"
    assert found["extensions.empty"] == "" and found["extensions.end"] == "x"


def test_cef_survives_a_relay_that_took_its_name_for_a_program() -> None:
    assert decoded("cef", "0|V|P|1|id|name|5|src=192.0.2.1")["extensions.src"] == "192.0.2.1"
    with pytest.raises(RecordError, match="no CEF header"):
        decoded("cef", "x 0|V|P|1|id|name|5|src=192.0.2.1")


@pytest.mark.parametrize("delimiter", ["^", "x5E", "0x5e"])
def test_leef_2_names_its_delimiter(delimiter: str) -> None:
    found = decoded("leef", f"LEEF:2.0|V|P|1|id|{delimiter}|src=1.1.1.1^msg=a=b^x=")
    assert (found["attributes.src"], found["attributes.msg"], found["attributes.x"]) == ("1.1.1.1", "a=b", "")


def test_leef_parts_by_tabs_and_forgives_blanks() -> None:
    tabs = decoded("leef", "LEEF:1.0|V|P|1|id|a=1 2\tb=3")
    assert (tabs["attributes.a"], tabs["attributes.b"]) == ("1 2", "3")
    blanks = decoded("leef", "LEEF:2.0|V|P|1|id|a=one two b=3")
    assert (blanks["attributes.a"], blanks["attributes.b"]) == ("one two", "3")
    assert decoded("leef", "LEEF:1.0|V|P|1|id|") == {
        "version": "1.0",
        "device.vendor": "V",
        "device.product": "P",
        "device.version": "1",
        "device.event_id": "id",
    }


def test_csv_quotes_and_counts() -> None:
    assert decoded("csv", '1,"a, ""b""",x,y', columns=["n", "text", ""]) == {
        "n": "1",
        "text": 'a, "b"',
        "column_4": "y",
    }
    with pytest.raises(RecordError, match="2 values where 3"):
        decoded("csv", "1,2", columns=["a", "b", "c"], exact=True)
    with pytest.raises(RecordError, match="header line"):
        decoded("csv", "a,b", columns=["a", "b"], skip="a,b")


def test_regex_takes_the_first_pattern_that_matches_all_of_it() -> None:
    patterns = [r"(?P<a>\d+)", r"(?P<a>\d+) (?P<b>\w+)?.*"]
    assert decoded("regex", "12", patterns=patterns) == {"a": "12"}
    assert decoded("regex", "12 !", patterns=patterns) == {"a": "12"}
    with pytest.raises(ValueError, match="names no group"):
        DECODERS["regex"].make(patterns="x")


def test_w3c_columns_belong_to_their_stream() -> None:
    decode = DECODERS["w3c"].make(columns=[["x", "y", "z"]])
    assert decode("#Fields: a b", "one") is None
    assert decode("#Date: 2026-11-24 00:00:00", "one") is None
    assert decode("1 -", "one") == {"a": "1", "date": "2026-11-24"}
    assert decode("1 2 3", "other") == {"x": "1", "y": "2", "z": "3"}
    with pytest.raises(RecordError, match="2 values"):
        decode("1 2", "other")


def test_zeek_sets_become_lists() -> None:
    decode = DECODERS["w3c"].make()
    for line in ("#set_separator\t;", "#path\tdns", "#fields\tts\tanswers", "#types\ttime\tvector[string]"):
        assert decode(line, "s") is None
    assert decode("1.5\ta;b", "s") == {"ts": "1.5", "answers": ["a", "b"], "_path": "dns"}


def test_auditd_decodes_texts_only_where_they_can_be_encoded() -> None:
    execve = decoded("auditd", 'type=EXECVE msg=audit(1.5:7): argc=2 a0="ls" a1=2D6C61')
    assert (execve["a0"], execve["a1"], execve["sequence"]) == ("ls", "-la", "7")
    syscall = decoded("auditd", "node=n type=SYSCALL msg=audit(1.5:7): a1=2D6C61 comm=6C73 exe=(null)")
    assert (syscall["a1"], syscall["comm"], syscall["exe"], syscall["node"]) == ("2D6C61", "ls", "(null)", "n")
    user = decoded("auditd", "type=USER_AUTH msg=audit(1.5:7): pid=1 msg='op=PAM acct=\"a b\" res=failed'")
    assert (user["acct"], user["res"]) == ("a b", "failed")


def test_xml_names_are_paths_and_attributes() -> None:
    line = '<a:Alert xmlns:a="u" id="7"><Host name="pc">192.0.2.1</Host><T>1</T><T>2</T><E/></a:Alert>'
    assert decoded("xml", line) == {"@id": "7", "Host.@name": "pc", "Host": "192.0.2.1", "T": ["1", "2"], "E": ""}


@pytest.mark.parametrize(
    "bomb",
    [
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        "<a>&nope;</a>",
        "<a>",
        "text",
        "",
        "<a>" * 70 + "</a>" * 70,
        "<a>\ud800</a>",
    ],
)
def test_xml_that_is_broken_or_dangerous_is_refused(bomb: str) -> None:
    with pytest.raises(RecordError, match="bad_format"):
        decoded("xml", bomb)


def test_every_decoder_refuses_an_option_that_it_does_not_know() -> None:
    for decoder in DECODERS.values():
        with pytest.raises(TypeError):
            decoder.make(no_such_option=1)
