"""Between listeners and the spool, and between the spool and the bus: batches in, durable when answered, in order on.

`Intake` lives in the listeners' event loop: what arrives while one transaction is being written goes together into the
next (group commit), so that hundreds of connections cost one fsync. `forward` is the loop of the thread behind it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from soc.collect.spool import Batch, Outcome, Spool
from soc.event import Rejected

log = logging.getLogger(__name__)

#: Bytes of datagrams that may wait for the spool; beyond it sockets are not read, and the kernel drops (and counts).
_MAX_WAITING: Final = 64 << 20
_RETRY_S: Final = 0.2
_MAX_TURN: Final = 5_000  # records of one transaction


class Intake:
    """Group commit of batches into the spool, for one event loop."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: deque[tuple[Batch, asyncio.Future[Outcome]]] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, "spool")
        self._task = asyncio.get_running_loop().create_task(self._write())

    @property
    def is_full(self) -> bool:
        """Whether what cannot wait should not be read now."""
        return self._bytes > _MAX_WAITING

    def put(self, batch: Batch) -> asyncio.Future[Outcome]:
        """The outcome, once it is durable. The batch counts as handed over at once."""
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, outcome))
        self._bytes += _bytes(batch)
        self._some.set()
        return outcome

    async def put_patiently(self, batch: Batch, stop: asyncio.Event) -> None:
        """Returns once the batch is stored, however long there is no room: the caller stops reading meanwhile.

        When `stop` is set there is no more waiting: what finds no room is shed, and counted.
        """
        said = False
        while (outcome := await self.put(batch)).refused:
            if not said:
                log.warning("%s waits: %s", batch.collector, outcome.refused)
                said = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
                batch = replace(batch, waits=False)

    async def run(self) -> None:
        """Write until cancelled; raises what must not happen."""
        await self._task

    async def close(self) -> None:
        """Store what waits, then end."""
        while self._waiting or self._bytes:
            await asyncio.sleep(0.01)
        self._task.cancel()
        self._writer.shutdown()

    def lost(self, unit: str, source: str, received: datetime, number: int) -> None:
        """Count datagrams that the kernel dropped before they could be read."""
        self._writer.submit(self._spool.lost, unit, source, received, number)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._some.wait()
            turn, records = [], 0
            while self._waiting and records < _MAX_TURN:
                turn.append(self._waiting.popleft())
                records += len(turn[-1][0].items)
            if not self._waiting:
                self._some.clear()
            batches = [batch for batch, _ in turn]
            outcomes = await loop.run_in_executor(self._writer, self._spool.append, batches)
            for (batch, future), outcome in zip(turn, outcomes, strict=True):
                self._bytes -= _bytes(batch)
                if not future.done():
                    future.set_result(outcome)


def _bytes(batch: Batch) -> int:
    return sum(len(i.record.data if isinstance(i, Rejected) else i.data) + 200 for i in batch.items)
