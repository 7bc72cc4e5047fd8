"""Wire formats: the bytes of one record → a dict of what the sender wrote, in the sender's names.

One file per format. A module here that holds a `DECODER` (see `base`) is registered by being here; nothing else
needs to be told. Decoders know no ECS, no source, no clock; they raise RecordError("bad_format", …) and nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from soc.parse.base import Decode, Decoder

__all__ = ["DECODERS", "Decode", "Decoder"]


def _registered() -> dict[str, Decoder]:
    found: dict[str, Decoder] = {}
    for info in pkgutil.iter_modules(__path__):
        decoder = getattr(importlib.import_module(f"{__name__}.{info.name}"), "DECODER", None)
        if decoder is None:
            continue
        if decoder.name in found:
            raise ImportError(f"two modules of {__name__} register the decoder {decoder.name!r}")
        found[decoder.name] = decoder
    return found


#: Every wire format by the name that source.yml uses for it.
DECODERS: Final[dict[str, Decoder]] = _registered()
