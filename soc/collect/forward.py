"""What the spool holds → the bus, in order, until told to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from soc.bus.base import Bus
from soc.collect.publish import publish
from soc.collect.spool import Spool
from soc.event import TransportError

log = logging.getLogger(__name__)

_BUS_RETRY_S: Final = 1.0


class Forwarding:
    """Takes turns. A bus that has taken records and not yet made them durable is not given them a second time."""

    def __init__(self, spool: Spool, bus: Bus) -> None:
        self._spool = spool
        self._bus = bus
        self._owed = (0, 0)  # records that the bus has taken, and up to which sequence number: steps 2 and 3 are owed

    def turn(self) -> int:
        """How many records are done. Raises TransportError; the next turn goes on with the step that failed."""
        if not self._owed[0]:
            self._spool.arrived.clear()
            items, upto = self._spool.next()
            if not items:
                return 0
            publish(self._bus, items)  # 1.
            self._owed = (len(items), upto)
        number, upto = self._owed
        self._bus.flush()  # 2.
        self._spool.remove(upto)  # 3.
        self._owed = (0, 0)
        return number


def forward(spool: Spool, bus: Bus, stop: threading.Event, turned: Callable[[], None] = lambda: None) -> None:
    """Put what the spool holds onto the bus until told to stop, and then what is left, if the bus takes it.

    What it does not take stays for the next start. `turned` is called once a turn.
    """
    forwarding = Forwarding(spool, bus)
    said = False
    while not stop.is_set():
        turned()
        try:
            if not forwarding.turn():
                spool.arrived.wait(0.5)
            if said:
                log.info("the bus takes records again")
                said = False
        except TransportError as e:
            if not said:
                log.warning("records stay in the spool: %s", e)
                said = True
            stop.wait(_BUS_RETRY_S)
    with suppress(TransportError):
        while forwarding.turn():
            pass
