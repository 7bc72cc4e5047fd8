"""Records and set-aside records in, onto topics soc.raw and soc.rejected; what a topic does not take is set aside.

A record that is too large for soc.raw goes to soc.rejected as `too_large`, whole if that topic takes it (it is made to
take more), else its beginning with the digest and size of the rest. So it is neither dropped nor tried for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from soc.bus.base import RAW, REJECTED, Bus, Message, TooLargeError
from soc.collect.wire import rejected_to_message, to_message
from soc.event import RawRecord, Rejected, digest

log = logging.getLogger(__name__)

Item = TypeVar("Item")

#: What is kept of a record that no topic takes. Its facts and texts stand beside it in the message.
_KEPT: Final = 4_096


def publish(bus: Bus, items: Sequence[RawRecord | Rejected]) -> None:
    """Hand over in order; durable only after `flush`. Raises TransportError."""
    records = [i for i in items if isinstance(i, RawRecord)]
    rejected = [i for i in items if isinstance(i, Rejected)]
    taken, why = _without_too_large(bus, RAW, records, to_message)
    rejected += [Rejected(record, "too_large", why, "collect") for record in taken]
    left, why = _without_too_large(bus, REJECTED, rejected, rejected_to_message)
    if left:
        bus.publish(REJECTED, [rejected_to_message(_cut(item, why)) for item in left])


def _without_too_large(
    bus: Bus, topic: str, items: Sequence[Item], message: Callable[[Item], Message]
) -> tuple[list[Item], str]:
    """Publish what the topic takes; the others, and why it does not take them."""
    if not items:
        return [], ""
    messages = [message(item) for item in items]
    try:
        bus.publish(topic, messages)
    except TooLargeError as wrong:
        refused = set(wrong.at)
        log.warning("%s; set aside as too_large, see `soc rejected list`", wrong)
        if fitting := [m for n, m in enumerate(messages) if n not in refused]:
            bus.publish(topic, fitting)
        return [item for n, item in enumerate(items) if n in refused], str(wrong)
    return [], ""


def _cut(item: Rejected, why: str) -> Rejected:
    data = item.record.data
    detail = f"{item.detail[:_KEPT]}; cut: {why}; the whole has {len(data)} bytes, digest {digest(data)}"
    return replace(item, record=replace(item.record, data=data[:_KEPT]), detail=detail)
