"""`read_path`: files as they are, in any packing, with any damage, give their records and positions."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from soc.collect import unpack
from soc.collect.open import read_path
from soc.event import ContentError, RawRecord, Rejected

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LINES = b"one\ntwo\r\n\n  \nf\xc3\xbcnf\nlast"


def read(path: Path, framing: str = "auto") -> list[tuple[str, bytes | str]]:
    """(record number, data) of a record; (record number, code) of what was set aside."""
    return [
        (r.facts["record"], r.data) if isinstance(r, RawRecord) else (r.record.facts.get("record", ""), r.code)
        for r in read_path(path, framing, now=lambda: NOON)
    ]


EXPECTED = [("1", b"one"), ("2", b"two"), ("5", b"f\xc3\xbcnf"), ("6", b"last")]


def zipped(data: bytes, name: str = "in.log") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("in.log")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "two gzip members": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]) + b"\0\0",
    "zstd": zstandard.compress,
    "two zstd frames": lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:]),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zip": zipped,
    "gzip in zip": lambda data: zipped(gzip.compress(data)),
    "zip in zip": lambda data: zipped(zipped(data)),
    "tar": lambda data: tarred(data),
    "tar.gz": lambda data: gzip.compress(tarred(data)),
    "zip in gzip": lambda data: gzip.compress(zipped(data)),
}


@pytest.mark.parametrize("packing", PACKED)
def test_every_packing_gives_the_same_records(packing: str, tmp_path: Path) -> None:
    file = tmp_path / "any.name"
    file.write_bytes(PACKED[packing](LINES))
    assert read(file) == EXPECTED


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_and_byte_order_marks_are_read_as_text(codec: str, tmp_path: Path) -> None:
    file = tmp_path / "in.log"
    text = LINES.decode() + "\n𝄞 nốt nhạc\nnext\n"
    file.write_bytes(text.encode(codec))
    records = [r for r in read_path(file) if isinstance(r, RawRecord)]
    assert [r.data.decode() for r in records] == ["one", "two", "fünf", "last", "𝄞 nốt nhạc", "next"]
    mark = len("".encode(codec))
    assert [int(r.facts["offset"]) - mark for r in records] == [
        len(text[: text.index(r.data.decode())].encode(codec)) - mark for r in records
    ]


@pytest.mark.parametrize("packing", ["gzip", "zstd", "bzip2", "xz"])
def test_a_cut_stream_gives_what_comes_before_and_one_damage(packing: str, tmp_path: Path) -> None:
    lines = [os.urandom(40).hex().encode() for _ in range(5_000)]
    whole = PACKED[packing](b"\n".join(lines))
    file = tmp_path / "cut"
    file.write_bytes(whole[: len(whole) * 2 // 3])
    got = list(read_path(file))
    assert isinstance(got[-1], Rejected)
    assert (got[-1].code, got[-1].stage) == ("damaged", "collect")
    good = [r.data for r in got if isinstance(r, RawRecord)]
    assert len(good) > 1000
    assert good[:-1] == lines[: len(good) - 1]  # the last one is cut


def test_a_folder_is_walked_in_the_order_of_names_and_members_are_named(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.log").write_bytes(b"x\n")
    (tmp_path / "b" / "10.log").write_bytes(b"y\n")
    (tmp_path / "a.zip").write_bytes(zipped(b"z\n", "deep/in.log"))
    (tmp_path / "c.log").write_bytes(b"")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [(r.facts["file"], r.sender, r.stream, r.data) for r in read_path(tmp_path) if isinstance(r, RawRecord)] == [
        (f"{tmp_path}/a.zip/deep/in.log", f"{tmp_path}/a.zip", "deep/in.log", b"z"),
        (f"{tmp_path}/b/10.log", f"{tmp_path}/b/10.log", "", b"y"),
        (f"{tmp_path}/b/2.log", f"{tmp_path}/b/2.log", "", b"x"),
    ]


def test_what_cannot_be_read_is_set_aside_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.zip").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "2.log").write_bytes(b"ok\n")
    locked = zipfile.ZipInfo("secret.log")
    with zipfile.ZipFile(tmp_path / "3.zip", "w") as archive:
        archive.writestr(locked, b"hidden")
    raw = bytearray((tmp_path / "3.zip").read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(magic) + flags] |= 1  # says: encrypted
    (tmp_path / "3.zip").write_bytes(raw)
    got = list(read_path(tmp_path))
    assert [r.data if isinstance(r, RawRecord) else r.code for r in got] == ["damaged", b"ok", "damaged"]
    assert isinstance(got[2], Rejected)
    assert got[2].detail == "the member is encrypted"


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
def test_standard_input_is_read_like_a_file(packing: str) -> None:
    program = (
        "from pathlib import Path; from soc.collect.open import read_path; "
        "[print(r.data) for r in read_path(Path('-'))]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=PACKED[packing](LINES), capture_output=True, check=True
    )
    assert done.stdout.decode().splitlines() == [repr(data) for _, data in EXPECTED]


def test_a_path_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="no such file or folder"):
        list(read_path(tmp_path / "no.log"))


def test_a_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "BOMB_BYTES", 1_000_000)
    file = tmp_path / "bomb.zst"
    file.write_bytes(zstandard.compress(b"first\n" + bytes(200_000_000)))
    got = list(read_path(file))
    assert isinstance(got[0], RawRecord)
    assert got[0].data == b"first"
    last = got[-1]
    assert isinstance(last, Rejected)
    assert last.code == "too_large"
    assert "1000-fold" in last.detail


def test_archives_too_deep_are_not_opened(tmp_path: Path) -> None:
    data = b"x\n"
    for _ in range(unpack.MAX_DEPTH + 1):
        data = zipped(data, "z")
    file = tmp_path / "deep.zip"
    file.write_bytes(data)
    assert [code for _, code in read(file)] == ["too_large"]


def test_the_callable_decides_the_framing_where_it_knows(tmp_path: Path) -> None:
    file = tmp_path / "odd.log"
    file.write_bytes(b'{"a":\n1}\n')
    assert [r.data for r in read_path(file) if isinstance(r, RawRecord)] == [b'{"a":\n1}']
    as_lines = read_path(file, framing_of=lambda name, head: "lines" if name.endswith("odd.log") else "")
    assert [r.data for r in as_lines if isinstance(r, RawRecord)] == [b'{"a":', b"1}"]
    unknown = read_path(file, framing_of=lambda name, head: "")
    assert len(list(unknown)) == 1


def test_an_evtx_file_is_one_whatever_is_asked_for_and_nothing_else_is(tmp_path: Path, shared_data: Path) -> None:
    evtx = shared_data / "evtx_cc0" / "000.evtx"
    assert read(evtx, "lines") == read(evtx)
    file = tmp_path / "a.log"
    file.write_bytes(LINES)
    assert read(file, "evtx") == EXPECTED


def test_ids_are_of_the_day_and_unique_and_the_same_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(LINES)
    ids = [r.id for r in read_path(tmp_path, now=lambda: NOON) if isinstance(r, RawRecord)]
    assert len(set(ids)) == 8
    assert all(i.startswith("20261124-") for i in ids)
    assert ids == [r.id for r in read_path(tmp_path, now=lambda: NOON) if isinstance(r, RawRecord)]


# ---------------------------------------------------------------- real files


def test_real_json_in_every_style_gives_as_many_records_as_objects(shared_data: Path) -> None:
    for file in sorted((shared_data / "sigma_regression").glob("*.json")):
        if file.name == "EXPECTED.json":
            continue
        got = list(read_path(file))
        assert all(isinstance(r, RawRecord) for r in got)
        decoder, text, count = json.JSONDecoder(), file.read_text("utf-8-sig"), 0
        while text := text.lstrip():
            text = text[decoder.raw_decode(text)[1] :]
            count += 1
        assert [r.facts["record"] for r in got if isinstance(r, RawRecord)] == [str(n + 1) for n in range(count)]


def test_real_zips_of_json_lines_are_numbered_by_line(shared_data: Path) -> None:
    for file in sorted((shared_data / "otrf").glob("*.zip")):
        with zipfile.ZipFile(file) as archive:
            lines = [line for m in archive.infolist() for line in archive.read(m).split(b"\n")]
        got = [r for r in read_path(file) if isinstance(r, RawRecord)]
        assert [r.data for r in got] == [line.removesuffix(b"\r") for line in lines if line]
        assert all(r.facts["file"].startswith(f"{file}/") for r in got)


def test_real_evtx_is_numbered_by_ordinal_and_carries_its_record_id(shared_data: Path) -> None:
    got = [r for r in read_path(shared_data / "evtx_cc0" / "001.evtx") if isinstance(r, RawRecord)]
    assert [r.facts["record"] for r in got] == [str(n) for n in range(1, 47)]
    for record in got:
        system = json.loads(record.data)["Event"]["System"]
        assert str(system["EventRecordID"]) == record.facts["event_record_id"]


DAMAGED = {"sample_with_a_bad_chunk_magic.evtx": (270, 2), "sample-with-zero-data-size-event.evtx": (335, 1)}


@pytest.mark.parametrize("name", DAMAGED)
def test_each_damage_of_a_real_evtx_is_one_rejected_record(name: str, shared_data: Path) -> None:
    got = list(read_path(shared_data / "evtx_benign_or_damaged" / name))
    bad = [r for r in got if isinstance(r, Rejected)]
    assert (len(got) - len(bad), len(bad)) == DAMAGED[name]
    assert {r.code for r in bad} == {"damaged"}
    assert len({r.record.id if isinstance(r, Rejected) else r.id for r in got}) == len(got)


def cut_evtx(data: bytes) -> Iterator[tuple[str, bytes, int]]:
    yield "in the middle of the only chunk", data[:40_000], 26
    yield "within the first record", data[:4_700], 0
    yield "header overwritten", bytes(4_096) + data[4_096:], 46
    yield "header only", data[:100], 0


def test_a_cut_evtx_gives_what_comes_before_and_one_damage(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "evtx_cc0" / "001.evtx").read_bytes()
    for what, cut, good in cut_evtx(data):
        file = tmp_path / "cut.evtx"
        file.write_bytes(cut)
        got = list(read_path(file))
        assert (what, sum(isinstance(r, RawRecord) for r in got)) == (what, good)
        assert (what, [r.code for r in got if isinstance(r, Rejected)]) == (what, ["damaged"])


@pytest.mark.parametrize("packing", ["zip", "gzip", "zip in zip"])
def test_evtx_in_an_archive_gives_what_it_gives_on_disk(packing: str, shared_data: Path, tmp_path: Path) -> None:
    plain = shared_data / "evtx_cc0" / "000.evtx"
    file = tmp_path / "packed"
    file.write_bytes(PACKED[packing](plain.read_bytes()))
    assert read(file) == read(plain)
