"""Rule files: paths of files, folders and release archives → the YAML files in them, path and bytes."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from soc.event import ContentError

_SUFFIXES: Final = (".yml", ".yaml")
#: No rule comes near: the longest of SigmaHQ has 190 kB.
_MAX_BYTES: Final = 8_000_000
_DAMAGE: Final = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)


def is_rule_file(path: Path) -> bool:
    """`*.yml` and `*.yaml`, but no test files, no pack.yaml, and nothing in hidden folders."""
    name = path.name
    return (
        path.suffix in _SUFFIXES
        and not name.endswith((".test.yml", ".test.yaml"))
        and name not in ("pack.yml", "pack.yaml")
        and not name.startswith(".")
    )


def rule_files(given: Path, errors: list[ContentError]) -> Iterator[tuple[Path, bytes]]:
    """In the order of their paths. What cannot be read goes to `errors`."""
    try:
        if given.is_dir():
            for path in sorted(given.rglob("*")):
                if is_rule_file(path) and not _hidden(path.relative_to(given)) and path.is_file():
                    yield from _file(path, errors)
        elif not given.exists():
            errors.append(ContentError(given, 0, "there is no such rule file, folder or archive"))
        elif zipfile.is_zipfile(given):
            yield from _zip(given, errors)
        elif given.suffix not in _SUFFIXES and tarfile.is_tarfile(given):
            yield from _tar(given, errors)
        else:
            yield from _file(given, errors)
    except (OSError, *_DAMAGE) as error:
        errors.append(ContentError(given, 0, f"cannot be read: {error}"))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts[:-1])


def _file(path: Path, errors: list[ContentError]) -> Iterator[tuple[Path, bytes]]:
    try:
        yield path, path.read_bytes()
    except OSError as error:
        errors.append(ContentError(path, 0, f"cannot be read: {error.strerror}"))


def _zip(archive: Path, errors: list[ContentError]) -> Iterator[tuple[Path, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for info in sorted(opened.infolist(), key=lambda info: info.filename):
            member = Path(info.filename)
            if info.is_dir() or not is_rule_file(member) or _hidden(member):
                continue
            if info.file_size > _MAX_BYTES:
                errors.append(ContentError(archive / member, 0, f"{info.file_size} bytes: too large for a rule file"))
                continue
            try:
                yield archive / member, opened.read(info)
            except (RuntimeError, NotImplementedError, *_DAMAGE) as error:  # encrypted, of an unknown compression, …
                errors.append(ContentError(archive / member, 0, f"cannot be read: {error}"))


def _tar(archive: Path, errors: list[ContentError]) -> Iterator[tuple[Path, bytes]]:
    with tarfile.open(archive) as opened:
        for info in sorted(opened.getmembers(), key=lambda info: info.name):
            member = Path(info.name)
            if not info.isfile() or not is_rule_file(member) or _hidden(member):
                continue
            if info.size > _MAX_BYTES:
                errors.append(ContentError(archive / member, 0, f"{info.size} bytes: too large for a rule file"))
                continue
            file = opened.extractfile(info)
            if file is not None:
                yield archive / member, file.read()
