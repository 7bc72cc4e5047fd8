"""A watchdog learns which of the collectors' loops stands still."""

from __future__ import annotations

from soc.collect.pulse import Pulse


def test_the_loop_that_turned_least_recently_is_the_idle_one() -> None:
    now = [100.0]
    pulse = Pulse(lambda: now[0])
    assert pulse.idle_s() == 0
    pulse.beat("files")
    pulse.beat("forward")
    now[0] = 130.0
    pulse.beat("files")
    assert pulse.idle_s() == 30
    pulse.beat("forward")
    assert pulse.idle_s() == 0
