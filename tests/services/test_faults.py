"""The whole program on real servers, harmed in the middle: every record once, the alerts of the undisturbed run.

`python -m benchmarks.faults` tries the same and more, for as long as one likes.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks import faults
from benchmarks.cluster import Servers, servers
from benchmarks.proxy import Proxy, proxy
from benchmarks.trial import trial

pytestmark = [pytest.mark.services, pytest.mark.timeout(240)]

SECONDS, RATE = 6.0, 250.0
#: What the benchmark tries one by one, and a test need not.
LEFT_OUT = {
    *("none", "kill -9 detect-0", "kill -9 detect-1", "kill -9 collect", "kill -9 watch", "store answers 503"),
    *("kafka frozen", "elasticsearch frozen"),
}
FAULTS = {f.name: f for f in sorted(faults.FAULTS, key=lambda f: f.brokers) if f.name not in LEFT_OUT}


Cluster = tuple[Servers, Proxy, Path]


@contextmanager
def own(brokers: int) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="soc-faults-", dir="/var/tmp"))
    try:
        with servers(folder / "servers", brokers=brokers) as running, proxy(running.search) as before_search:
            yield running, before_search, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Callable[[int], Cluster]]:
    """So many brokers, and a store, that nobody else uses, for they are killed; kept while the number stays."""
    faults.RANDOM = random.Random(20261125)
    faults.BROKEN_S = 4.0
    with ExitStack() as stack:
        made: dict[int, Cluster] = {}

        def of(brokers: int) -> Cluster:
            if brokers not in made:
                stack.close()
                made.clear()
                made[brokers] = stack.enter_context(own(brokers))
            return made[brokers]

        yield of


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_loses_nothing_doubles_nothing_and_changes_no_alert(
    cluster: Callable[[int], Cluster], name: str
) -> None:
    fault = FAULTS[name]
    running, before_search, folder = cluster(fault.brokers)
    verdict = trial(fault, running, before_search, folder, seconds=SECONDS, rate=RATE)
    assert verdict.good, verdict
    assert (verdict.rejected > 0) == fault.refuses
    assert verdict.alerts > 10
    assert max(verdict.peak_mb.values()) < 400
