"""What a wire format is: bytes or text of one record in, a dict in the sender's own names out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

#: One record → what the sender wrote, in the sender's names. Raises RecordError("bad_format", …), nothing else.
Decode = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Decoder:
    """One wire format. A module of this package that holds a `DECODER` is registered under its `name`.

    `make(**options)` is called once per source at load with the options that source.yml gives; it returns the
    function that decodes one record. Its keyword parameters are the option names that a source may use; it raises
    ValueError with a sentence for a bad option.

    `takes`: "text" gets the record after its charset was resolved, "bytes" gets it as it arrived.
    `nested`: the dict may hold dicts; the runtime makes dotted names of them (`{"a": {"b": 1}}` → `a.b`).
    `undecodable`: how a byte that no charset explains is written into the text (`\\xNN`); JSON doubles the
    backslash so that the value holds it.
    """

    name: str
    make: Callable[..., Decode]
    takes: Literal["text", "bytes"] = "text"
    nested: bool = False
    undecodable: Literal["\\x", "\\\\x"] = "\\x"
