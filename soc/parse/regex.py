"""A line → the named groups of the first expression that matches all of it.

For records whose fields should come in the sender's names; a source that wants ECS names straight away, or many
patterns picked by a program, uses `patterns` of the mapping language instead. RE2 does the work in linear time
(https://github.com/google/re2/wiki/Syntax).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import re2

from soc.event import RecordError
from soc.parse.base import Decode, Decoder


def make(patterns: Sequence[str] | str, root: str = "") -> Decode:
    """`patterns`: expressions with `(?P<name>…)` groups, tried in order. None matches: `bad_format`."""
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    compiled = []
    for pattern in listed:
        try:
            expression = re2.compile(pattern, options)
        except re2.error as error:
            raise ValueError(f"not RE2: {error}") from error
        if not expression.groupindex:
            raise ValueError(f"names no group: {pattern}")
        compiled.append((expression.fullmatch, [(root + n, i) for n, i in expression.groupindex.items()]))

    def decode(text: str) -> dict[str, Any]:
        for match, groups in compiled:
            found = match(text)
            if found is not None:
                return {name: value for name, at in groups if (value := found[at]) is not None}
        raise RecordError("bad_format", f"no pattern of this source: {text[:120]}")

    return decode


DECODER: Final = Decoder("regex", make, rooted=True, texts=True)
