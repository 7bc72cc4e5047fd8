"""What a group has shared out → whether partitions were left to nobody, so that its members must join again.

Partitions change hands in two rebalances (KIP-429): in the first their old holder gives them up and nobody gets them,
and that holder starts the second. If it loses its connection or dies between the two and comes back under its static
name (KIP-345), the group hands it what it had, without a rebalance, and the second one never comes: the group rests,
all members are well, and some partitions are read by nobody.
"""

from __future__ import annotations

import time
from typing import Final

from soc.bus.kafka.administration import Administration
from soc.event import TransportError

#: How often a member looks. What is left over for longer than that, with nothing changing, stays so.
LOOK_S: Final = 10.0


class Shares:
    """One member's look at its group; topic and group by the names that the cluster knows."""

    def __init__(self, administration: Administration, topic: str, group: str) -> None:
        self._administration = administration
        self._topic = topic
        self._group = group
        self._looked = time.monotonic()
        self._left: frozenset[int] = frozenset()  # partitions without a member, last time
        self._generation = -1  # of the group, last time

    def forgotten(self, generation: int) -> frozenset[int]:
        """Partitions that nobody holds, the group being in this generation now and when this was last asked.

        Asks the cluster every LOOK_S; none in between, and where the cluster does not say.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return frozenset()
        self._looked = now
        try:
            left = self._left_over()
        except TransportError:  # whoever reads will say so
            left = frozenset()
        before, self._left = self._left if self._generation == generation else frozenset(), left
        self._generation = generation
        return left & before

    def _left_over(self) -> frozenset[int]:
        (told,) = self._administration.ask(
            f"looking at group {self._group}",
            lambda admin: admin.describe_groups([self._group]),
            self._topic,
            self._group,
        ).values()
        if told["error"] or told["group_state"] != "Stable":
            return frozenset()
        held: set[int] = set()
        for member in told["members"]:
            assignment = member["member_assignment"]
            if assignment and not isinstance(assignment, dict):  # a foreign member's, which cannot be read
                return frozenset()
            for share in assignment["assigned_partitions"] if assignment else ():
                if share["topic"] == self._topic:
                    held.update(share["partitions"])
        return frozenset(self._administration.partitions(self._topic)) - held
