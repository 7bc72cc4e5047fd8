"""What keeps a worker going: broken transport is waited out, a bug of ours costs one record and not the stream.

The only place beside the command line that catches every exception.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from soc.event import SocError, TransportError

log = logging.getLogger("soc")

Item = TypeVar("Item")
Result = TypeVar("Result")

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 15.0


class Stopped(Exception):
    """The worker was told to stop while it waited; nothing of the turn counts."""


def patiently(
    call: Callable[[], Result], what: str, stop: threading.Event, beat: Callable[[], None] = lambda: None
) -> Result:
    """The call's result; on TransportError waits (doubling, with jitter) and calls again. Raises Stopped.

    `beat` is called before each wait: a worker that waits for its server lives, and starting it again would not help.
    """
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            return call()
        except TransportError as broken:
            log.warning("%s: %s; trying again in %.1f s", what, broken, wait_s)
            beat()
            if stop.wait(wait_s * random.uniform(0.7, 1.3)):
                raise Stopped from broken
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)


def bisected(
    items: Sequence[Item],
    step: Callable[[Sequence[Item]], Result],
    join: Callable[[Result, Result], Result],
    set_aside: Callable[[Item, str], Result],
) -> Result:
    """The step over all items; where it fails by a bug, over halves, until the one item is found and set aside.

    `set_aside` gets the item and the trace. Our own errors (SocError) are not bugs and pass through.
    """
    try:
        return step(items)
    except (SocError, Stopped):
        raise
    except Exception:
        if len(items) == 1:
            trace = traceback.format_exc(limit=-8)
            log.error("a bug of ours set one record aside as internal_error:\n%s", trace)
            return set_aside(items[0], trace)
    middle = len(items) // 2
    left = bisected(items[:middle], step, join, set_aside)
    return join(left, bisected(items[middle:], step, join, set_aside))
