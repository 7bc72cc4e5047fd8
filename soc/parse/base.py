"""What a wire format is: bytes or text of one record in, a dict in the sender's own names out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

#: One record → what the sender wrote, in the sender's names. Raises RecordError("bad_format", …), nothing else.
Decode = Callable[..., Any]

#: Names remembered per place: senders use a few hundred; the bound keeps invented ones from filling the memory.
_MAX_NAMES: Final = 20_000


class Names(dict[str, str]):
    """A sender's name → the name under the root that keeps it ("fortinet.firewall." + "srcip"), remembered."""

    def __init__(self, root: str = "") -> None:
        super().__init__()
        self.root = root
        self._below: dict[str, Names] = {}

    def __missing__(self, name: str) -> str:
        full = self.root + name
        if len(self) < _MAX_NAMES:
            self[name] = full
        return full

    def below(self, name: str) -> Names:
        """Names of the members of an object that stands under `name`."""
        found = self._below.get(name)
        if found is None:
            found = Names(f"{self.root}{name}.")
            if len(self._below) < _MAX_NAMES:
                self._below[name] = found
        return found


@dataclass(frozen=True, slots=True)
class Decoder:
    """One wire format. A module of this package that holds a `DECODER` is registered under its `name`.

    `make(**options)` is called once per source at load with the options that source.yml gives; it returns the
    function that decodes one record. Its keyword parameters are the option names that a source may use; it raises
    ValueError with a sentence for a bad option. What decode returns is flat: dotted names, new for every record.

    `takes`: "text" gets the record after its charset was resolved, "bytes" gets it as it arrived, "stream" gets the
    text and (sender, stream), for formats whose columns stand in a line of their own; it gives None for such a line.
    `rooted`: `make` takes `root`, a prefix for every name that it gives (done here once, not by a second pass).
    `texts`: every value is a text, or a list of texts (never a number, boolean or null).
    `envelope`: wraps another format; the step after it in source.yml gets its "message".
    `undecodable`: how a byte that no charset explains is written into the text (`\\xNN`); JSON doubles the
    backslash so that the value holds it.
    """

    name: str
    make: Callable[..., Decode]
    takes: Literal["text", "bytes", "stream"] = "text"
    rooted: bool = False
    envelope: bool = False
    texts: bool = False
    undecodable: Literal["\\x", "\\\\x"] = "\\x"
