"""A message that a broker refused as too large, after it was taken → what stands for it on the rejected topic."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from soc.bus.base import Message
from soc.bus.kafka.limits import size
from soc.event import digest

#: Bytes that are kept of a message that is too large for the rejected topic, too.
_KEPT: Final = 4_096


def refused(message: Message, topic: str, limit: int, room: int) -> Message:
    """The message with code, detail and stage beside it, as rejected records have them.

    `topic` refused it, which takes `limit` bytes; the rejected topic takes `room`. Happens when a topic's
    max.message.bytes is lowered while records are on their way; otherwise `publish` says so before it takes them.
    """
    detail = f"{topic} takes {limit} bytes, the record has {size(message)}"
    headers = {**message.headers, "code": b"too_large", "detail": detail.encode(), "stage": b"bus"}
    whole = replace(message, headers=headers)
    if size(whole) <= room:
        return whole
    detail += f"; cut: the whole has {len(message.value)} bytes, digest {digest(message.value)}"
    return Message(message.key[:_KEPT], message.value[:_KEPT], {**headers, "detail": detail.encode()})
