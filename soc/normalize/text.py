"""Bytes of a record → (text to decode, text of event.original).

UTF-8 strictly; else the source's declared fallback charset; a byte that neither explains is written as \\xNN.
event.original always shows undecodable bytes as \\xNN, so that one can see what came. The text to decode is brought to
Unicode NFC (a Mac writes "é" as two characters), loses a byte order mark and what framing left at its end.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Callable

Texts = Callable[[bytes], tuple[str, str]]


def _doubled(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"\\\\x{b:02x}" for b in error.object[error.start : error.end]), error.end


codecs.register_error("soc.doubled", _doubled)


def nfc(text: str) -> str:
    return text if text.isascii() or unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def shown(data: bytes) -> str:
    """Text of event.original."""
    return data.decode("utf-8", "backslashreplace")


def texts(charset: str = "", undecodable: str = "\\x") -> Texts:
    """`undecodable` "\\\\x" doubles the backslash, for formats that read one as an escape."""
    errors = "soc.doubled" if undecodable == "\\\\x" else "backslashreplace"

    def read(data: bytes) -> tuple[str, str]:
        try:
            original = text = data.decode()
        except UnicodeDecodeError:
            original = shown(data)
            text = data.decode(charset or "utf-8", errors)
        if not text.isascii():
            text = nfc(text.removeprefix("\ufeff"))
        if text[-1:] in ("\r", "\n", "\0"):
            text = text.rstrip("\r\n\0")
        return text, original

    return read
