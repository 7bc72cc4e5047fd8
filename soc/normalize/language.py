"""A source's folder → its checked `Definition`; everything wrong with it is a ContentError with file and line.

The language is described for authors in docs/source-authors.md. Names in `from`, `if`, `by`, `of`:

    srcip           what the sender wrote, in the sender's own name
    syslog.host     a header field of the envelope
    _name           scratch: captured by a pattern to be used further, not kept
    @user.name      what was set before
    ._path          the sender's own name, where it begins with one of these signs
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from soc.content import Mapped, read_yaml, unknown
from soc.event import ContentError, ContentErrors
from soc.normalize.blocks import BlockReader
from soc.normalize.model import Block, Condition, Definition, Sign, Stamp, Step, Time
from soc.normalize.times import FORMATS, zone_needed
from soc.parse import DECODERS

FRAMINGS: Final = ("lines", "json", "xml", "evtx")
_KEYS: Final = frozenset(
    [
        "title",
        "format",
        "framing",
        "time_zone",
        "charset",
        "keep",
        "roots",
        "skip",
        "conform",
        "logsources",
        "recognise",
        "decode",
        "time",
        "use",
        "filter",
        "each",
        "repeat",
    ]
)
_SIGN_KEYS: Final = ("bytes", "regex", "line", "json", "name")
_SHARED: Final = "_shared"


def read_definition(folder: Path) -> Definition:
    """The definition in `folder`/source.yml. Raises ContentErrors with everything that is wrong."""
    path = folder / "source.yml"
    tree = read_yaml(path)
    if not isinstance(tree, Mapped):
        raise ContentErrors([ContentError(path, 1, "a source is a mapping with title, format, recognise, decode, …")])
    return _Reader(path, tree).definition()


class _Reader(BlockReader):
    """Reads one source.yml; collects errors."""

    def __init__(self, path: Path, tree: Mapped) -> None:
        super().__init__(path, [])
        self.tree = tree

    def definition(self) -> Definition:
        tree = self.tree
        for key in ("title", "format", "decode"):
            if key not in tree:
                self.wrong(tree.line, f"`{key}` is missing")
        keep = tree.get("keep")
        if keep is not None and not isinstance(keep, str):
            self.wrong(
                tree.at("keep"), "`keep` is the root for the sender's own fields, '' for their names as they are"
            )
            keep = None
        self.roots = tuple(r for r in [*self.texts(tree, "roots"), keep] if r)
        self.anything = keep == ""
        steps = self._steps()
        self.envelope = any(DECODERS[s.decoder].envelope for s in steps)
        time = self._time()
        if not any(time.formats) and "time" in tree:
            self.wrong(tree.at("time"), "`time` is {from: …, format: …} or a list of such candidates")
        blocks = [*self._used(), self.block(tree, frozenset(_KEYS), {})]
        definition = Definition(
            name=self.path.parent.name,
            path=self.path,
            title=str(tree.get("title", "")),
            format=str(tree.get("format", "")),
            framings=self._framings(),
            time_zone=self._time_zone(time),
            charset=self._charset(),
            keep=keep,
            skip=tuple(self.texts(tree, "skip")) if "skip" in tree else ("",),
            conform=self._conform(),
            logsources=self.logsources(tree),
            signs=tuple(self._signs()),
            steps=tuple(steps),
            time=time,
            blocks=tuple(blocks),
            filters=tuple(self._filters()),
            each=str(tree.get("each", "")),
            repeat=str(tree.get("repeat", "")),
        )
        if self.errors:
            raise ContentErrors(self.errors)
        return definition

    def _framings(self) -> tuple[str, ...]:
        given = self.tree.get("framing", "lines")
        framings = given if isinstance(given, list) else [given]
        for framing in framings:
            if framing not in FRAMINGS:
                self.wrong(self.tree.at("framing"), unknown(str(framing), FRAMINGS, "framing"))
        return tuple(framings)

    def _charset(self) -> str:
        charset = str(self.tree.get("charset", ""))
        if charset:
            try:
                "".encode(charset)
            except LookupError:
                self.wrong(self.tree.at("charset"), f"Python knows no charset {charset!r}")
        return charset

    def _time_zone(self, time: Time) -> str:
        zone = str(self.tree.get("time_zone", ""))
        if zone:
            try:
                ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError):
                self.wrong(self.tree.at("time_zone"), f"unknown time zone {zone!r}; Việt Nam is Asia/Ho_Chi_Minh")
        elif any(zone_needed(f) for f in time.formats):
            self.wrong(self.tree.at("time"), "a format of `time` can lack a zone: declare the device's `time_zone`")
        return zone

    def _conform(self) -> Condition | None:
        given = self.tree.get("conform", False)
        if isinstance(given, bool):
            return () if given else None
        if not isinstance(given, Mapped) or list(given) != ["if"]:
            self.wrong(self.tree.at("conform"), "`conform` is true, false, or {if: condition}")
            return None
        return self.condition(given["if"], given.line)

    def _steps(self) -> list[Step]:
        given = self.tree.get("decode") or []
        steps = []
        for item in given if isinstance(given, list) else [given]:
            if isinstance(item, str):
                name, line = item, self.tree.at("decode")
                options: Mapping[str, Any] = {}
            elif isinstance(item, Mapped) and len(item) == 1:
                name, options = next(iter(item.items()))
                line, options = item.line, options or {}
            else:
                self.wrong(self.tree.at("decode"), "each step is `name` or `name: {options}`")
                continue
            decoder = DECODERS.get(name)
            if decoder is None:
                self.wrong(line, unknown(name, DECODERS, "decoder"))
                continue
            known = set(inspect.signature(decoder.make).parameters) - {"root"}
            strange = [o for o in options if o not in known]
            for option in strange:
                self.wrong(line, unknown(option, known, f"option of {name}") if known else f"{name} takes no options")
            if not strange:
                try:
                    decoder.make(**options)
                except (ValueError, TypeError) as error:
                    self.wrong(line, f"{name}: {error}")
                steps.append(Step(name, options))
        envelopes = [DECODERS[s.decoder].envelope for s in steps]
        if steps and (len(steps) > 2 or (len(steps) == 2 and envelopes != [True, False])):
            self.wrong(self.tree.at("decode"), "decode is one step, or an envelope (syslog) and what is within")
        return steps

    def _time(self) -> Time:
        candidates = []
        required = False
        for given in self.items(self.tree, "time"):
            self.known(given, ("from", "join", "format", "missing", "unreadable"))
            formats = given.get("format", "rfc3339")
            formats = formats if isinstance(formats, list) else [formats]
            for name in formats:
                if name not in FORMATS and "%" not in str(name):
                    self.wrong(given.at("format"), unknown(str(name), FORMATS, "time format"))
            missing = given.get("missing", "received")
            if missing not in ("received", "reject"):
                self.wrong(given.at("missing"), "`missing` is `received` (time of receipt stands in) or `reject`")
            required = required or missing == "reject"
            source = Mapped({k: v for k, v in given.items() if k in ("from", "join")})
            source.line, source.lines = given.line, given.lines
            unreadable = given.get("unreadable", "reject")
            if unreadable not in ("next", "reject"):
                self.wrong(given.at("unreadable"), "`unreadable` is `reject` or `next` (the next candidate counts)")
            candidates.append(Stamp(self.value(source, given.line), tuple(map(str, formats)), unreadable == "next"))
        return Time(tuple(candidates), required)

    def _used(self) -> Iterable[Block]:
        for name in self.texts(self.tree, "use"):
            path = self.path.parent.parent / _SHARED / f"{name}.yml"
            if not path.is_file():
                folder = path.parent
                known = [p.stem for p in folder.glob("*.yml")] if folder.is_dir() else []
                self.wrong(self.tree.at("use"), unknown(name, known, "shared mapping"))
                continue
            shared = read_yaml(path)
            if not isinstance(shared, Mapped):
                self.errors.append(ContentError(path, 1, "a shared mapping holds fields, constants, when, …"))
                continue
            reader = BlockReader(path, self.errors)
            reader.roots, reader.anything, reader.envelope = self.roots, self.anything, self.envelope
            yield reader.block(shared, frozenset(), {})

    def _filters(self) -> Iterable[tuple[Condition, str]]:
        for item in self.items(self.tree, "filter"):
            self.known(item, ("if", "why"))
            if not item.get("why"):
                self.wrong(item.line, "say `why` these records are not stored")
            yield self.condition(item.get("if"), item.at("if")), str(item.get("why", ""))

    def _signs(self) -> Iterable[Sign]:
        for item in self.items(self.tree, "recognise"):
            self.known(item, ("score", "values", *_SIGN_KEYS))
            score = item.get("score")
            kinds = [k for k in _SIGN_KEYS if k in item]
            if not isinstance(score, int) or not 1 <= score <= 100 or len(kinds) != 1:
                self.wrong(item.line, f"a sign has a `score` of 1 to 100 and exactly one of {', '.join(_SIGN_KEYS)}")
                continue
            if "values" in item and kinds != ["json"]:
                self.wrong(item.at("values"), "`values` belongs to a sign with `json`")
            try:
                yield _sign(score, kinds[0], item)
            except re.error as error:
                self.wrong(item.at(kinds[0]), f"no regular expression: {error}")


def _sign(score: int, kind: str, item: Mapping[str, Any]) -> Sign:
    given = item[kind]
    if kind == "bytes":
        return Sign(score, start=str(given).encode("latin-1", "replace"))
    if kind == "regex":
        return Sign(score, regex=re.compile(str(given), re.MULTILINE))
    if kind == "line":
        return Sign(score, line=re.compile(str(given)))
    if kind == "name":
        return Sign(score, name=str(given).lower())
    keys: Sequence[Any] = given if isinstance(given, list) else [given]
    values = item.get("values") or {}
    return Sign(
        score,
        keys=tuple(map(str, keys)),
        values={k: frozenset(map(str, v if isinstance(v, list) else [v])) for k, v in values.items()},
    )
