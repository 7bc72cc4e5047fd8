"""A path in, the streams in it out as `Content`s: folders are walked, .gz, .zst, .bz2, .xz, .zip, .tar opened.

What a file is, is known by its first bytes, not by its name. Bounded: members are read as streams, archives lie no
deeper than MAX_DEPTH in each other, and what expands like a bomb is stopped with a RecordError.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from soc.collect.expand import BROKEN, CHUNK, compression, expanded
from soc.event import ContentError, RecordError

#: Most archives within each other: a.zip/b.zip/c.gz is 3.
MAX_DEPTH: Final = 4
#: A bomb: more than so many bytes, and so many times those of the file on disk. DEFLATE cannot pass 1,032 in one layer;
#: text of one repeated line comes near it, but is no gigabyte.
BOMB_BYTES: Final = 1 << 30
BOMB_RATIO: Final = 1_000
_HEAD: Final = 1_024  # bytes
_SPILL: Final = 16 << 20  # an archive within an archive is held in memory up to here, in bytes


Reader = Callable[[], Generator[bytes, None, None]]


@dataclass(frozen=True, slots=True)
class Content:
    """One stream of bytes: a file, what is compressed in it, or a member of an archive.

    `name` is the path as walked, members after a slash: "logs/a.zip/b.log"; a file that is merely compressed keeps its
    name. `container` is the path on disk, `member` the part of the name within it. `read` starts the bytes afresh; it
    raises RecordError ("damaged", "too_large") from where the stream is broken. `path` is there if the bytes lie on
    disk as they are. `size` is that on disk (of the whole container).
    """

    name: str
    container: str
    member: str
    read: Reader
    size: int
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, archive or member that cannot be read at all, with a code of RECORD_ERROR_CODES.

    `head` are the first bytes of the file or archive, b"" if not even these can be had.
    """

    name: str
    code: str
    detail: str
    head: bytes = b""


class _Bomb:
    """Counts what one file on disk expands to, over all its members and layers, however often they are read."""

    def __init__(self, size: int) -> None:
        self._allowed = max(BOMB_BYTES, size * BOMB_RATIO)
        self._size = size
        self._furthest: dict[tuple[str, int], int] = {}

    def reached(self, stream: tuple[str, int], at: int) -> None:
        """So many bytes of a stream have been expanded; raises RecordError if that is too many."""
        more = at - self._furthest.get(stream, 0)
        if more <= 0:
            return
        self._furthest[stream] = at
        self._allowed -= more
        if self._allowed < 0:
            raise RecordError("too_large", f"expands more than {BOMB_RATIO}-fold from {self._size} bytes; not read on")


def printable(path: Path | str) -> str:
    """A path as valid Unicode: bytes that are no UTF-8 as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def contents(path: Path) -> Iterator[Content | Unreadable]:
    """Every stream in a file or folder, in the order of names. "-" is standard input.

    A Content may be read until the next one is asked for. Raises ContentError if the path does not exist.
    """
    if str(path) == "-":
        opened, size = _spooled(_read(sys.stdin.buffer))
        yield from _streams(opened, "-", "-", "", size, 0, _Bomb(size))
        return
    if not path.exists():
        raise ContentError(path, 0, "no such file or folder")
    for file in walk(path):
        name = printable(file)
        try:
            size = file.stat().st_size
            with file.open("rb"):
                pass
        except OSError as e:
            yield Unreadable(name, "damaged", f"cannot be read: {e.strerror}")
            continue
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe: given by name, so wanted
            with file.open("rb") as pipe:
                opened, size = _spooled(_read(pipe))
            yield from _streams(opened, name, name, "", size, 0, _Bomb(size))
            continue
        yield from _streams(_opener(file), name, name, "", size, 0, _Bomb(size), file)


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: file.open("rb")


def walk(path: Path) -> Iterator[Path]:
    """A file itself, or the regular files below a folder in the order of names; links to folders are not followed."""
    if not path.is_dir():
        yield path
        return
    try:
        entries = sorted(path.iterdir(), key=lambda p: os.fsencode(p.name))
    except PermissionError:
        yield path
        return
    for entry in entries:
        if entry.is_dir():
            if not entry.is_symlink():
                yield from walk(entry)
        elif entry.is_file():
            yield entry


def _spooled(chunks: Iterator[bytes]) -> tuple[Callable[[], IO[bytes]], int]:
    """Bytes that can be had once, made readable any number of times; how many they are."""
    held = tempfile.SpooledTemporaryFile(_SPILL)  # noqa: SIM115  # lives as long as the function that reads it
    for chunk in chunks:
        held.write(chunk)
    size = held.tell()

    def opened() -> IO[bytes]:
        held.seek(0)
        return _Shared(held, size)  # type: ignore[return-value]  # it has what readers and zipfile use

    return opened, size


class _Shared(io.RawIOBase):
    """A reader of the spooled bytes with its own position, whose close leaves them open."""

    def __init__(self, held: Any, size: int) -> None:
        self._held = held
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._held.seek(self._at)
        chunk = self._held.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def _streams(
    opened: Callable[[], IO[bytes]],
    name: str,
    container: str,
    member: str,
    size: int,
    depth: int,
    bomb: _Bomb,
    path: Path | None = None,
) -> Iterator[Content | Unreadable]:
    """The streams within one stream of bytes that can be opened any number of times."""
    with opened() as stream:
        head = stream.read(_HEAD)
    kind = compression(head)
    if kind and depth >= MAX_DEPTH:
        yield Unreadable(name, "too_large", f"archives lie more than {MAX_DEPTH} deep in each other; not opened", head)
    elif kind in ("zip", "tar"):
        members = _zip_members if kind == "zip" else _tar_members
        yield from members(opened, name, container, member, size, depth, bomb)
    elif kind:
        inner = _Expanded(opened, kind, bomb, (name, depth))
        yield from _nested(inner.read, name, container, member, size, depth, bomb)
    else:

        def read() -> Generator[bytes, None, None]:
            with opened() as stream:
                yield from _read(stream)

        yield Content(name, container, member, read, size, path)


def _nested(
    read: Reader, name: str, container: str, member: str, size: int, depth: int, bomb: _Bomb
) -> Iterator[Content | Unreadable]:
    """An expanded stream: taken as it is, unless it is an archive again."""
    try:
        with closing(read()) as chunks:
            magic = next(chunks, b"")[:_HEAD]
    except RecordError:
        magic = b""  # who reads it will be told
    if compression(magic):
        try:
            opened, _ = _spooled(read())
        except RecordError as e:
            yield Unreadable(name, e.code, e.detail, magic)
            return
        yield from _streams(opened, name, container, member, size, depth + 1, bomb)
    else:
        yield Content(name, container, member, read, size)


def _tar_members(
    opened: Callable[[], IO[bytes]], name: str, container: str, member: str, size: int, depth: int, bomb: _Bomb
) -> Iterator[Content | Unreadable]:
    try:
        with opened() as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for info in archive:
                if not info.isreg():
                    continue
                inner = printable(info.name)
                path, within = f"{name}/{inner}", f"{member}/{inner}" if member else inner
                reader = _TarMember(archive, info, bomb, path).read
                yield from _nested(reader, path, container, within, size, depth, bomb)
    except (tarfile.TarError, OSError, ValueError) as e:
        with opened() as stream:
            yield Unreadable(name, "damaged", f"not a whole tar archive: {e}", stream.read(_HEAD))


@dataclass(frozen=True, slots=True)
class _TarMember:
    archive: tarfile.TarFile
    info: tarfile.TarInfo
    bomb: _Bomb
    name: str

    def read(self) -> Generator[bytes, None, None]:
        try:
            stream = self.archive.extractfile(self.info)
            at = 0
            while stream and (chunk := stream.read(CHUNK)):
                at += len(chunk)
                self.bomb.reached((self.name, 0), at)
                yield chunk
        except (tarfile.TarError, *BROKEN) as e:
            raise RecordError("damaged", f"the tar member is broken: {e}") from e


def _zip_members(
    opened: Callable[[], IO[bytes]], name: str, container: str, member: str, size: int, depth: int, bomb: _Bomb
) -> Iterator[Content | Unreadable]:
    try:
        with opened() as stream, zipfile.ZipFile(stream) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                inner = info.filename.encode("utf-8", "backslashreplace").decode()
                path, within = f"{name}/{inner}", f"{member}/{inner}" if member else inner
                if info.flag_bits & 1:
                    yield Unreadable(path, "damaged", "the member is encrypted", inner.encode())
                    continue
                yield from _nested(
                    _ZipMember(archive, info, bomb, path).read, path, container, within, size, depth, bomb
                )
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as e:
        with opened() as stream:
            yield Unreadable(name, "damaged", f"not a whole zip archive: {e}", stream.read(_HEAD))


@dataclass(frozen=True, slots=True)
class _ZipMember:
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    bomb: _Bomb
    name: str

    def read(self) -> Generator[bytes, None, None]:
        try:
            with self.archive.open(self.info) as stream:
                at = 0
                while chunk := stream.read(CHUNK):
                    at += len(chunk)
                    self.bomb.reached((self.name, 0), at)
                    yield chunk
        except (zipfile.BadZipFile, NotImplementedError, *BROKEN) as e:
            raise RecordError("damaged", f"the zip member is broken: {e}") from e


@dataclass(frozen=True, slots=True)
class _Expanded:
    opened: Callable[[], IO[bytes]]
    kind: str
    bomb: _Bomb
    stream: tuple[str, int]

    def read(self) -> Generator[bytes, None, None]:
        try:
            with self.opened() as stream:
                at = 0
                for chunk in expanded(self.kind, _read(stream)):
                    at += len(chunk)
                    self.bomb.reached(self.stream, at)
                    yield chunk
        except BROKEN as e:
            raise RecordError("damaged", f"the {self.kind} stream is broken: {e}") from e


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk
