"""A mend of kafka-python 3.0: what a member got when it joined its group is neither thrown away nor forgotten.

Joining (JoinGroup, SyncGroup) runs in the background and may end while nobody polls. In kafka-python 3.0.12
(coordinator/base.py, join_group_async) the next poll then
 - joins once more, because the finished attempt "is done". Where that member leads its group, all others must join
   again, too: a group whose members work between their polls, or poll without waiting, may never come to rest;
 - or, where the attempt was for changed metadata (partitions were raised), sees no reason to join any more, does not
   look at the result, and sends no heartbeats until its session is over.
"""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer
from kafka.structs import MemberState


def keep_joined(consumer: KafkaConsumer) -> None:
    """From now on an attempt that ended between two polls counts, as long as the group has not changed since, and a
    poll looks for it."""
    coordinator = consumer._coordinator
    join = coordinator._do_join_and_sync_async
    kept: dict[str, Any] = {}

    async def join_or_take() -> Any:
        coordinator.request_rejoin()  # until the result is taken
        generation, assignment = kept.pop("joined", (None, None))
        if generation is coordinator._generation and coordinator.state is MemberState.REBALANCING:
            return assignment
        assignment = await join()
        kept["joined"] = (coordinator._generation, assignment)
        return assignment

    coordinator._do_join_and_sync_async = join_or_take
