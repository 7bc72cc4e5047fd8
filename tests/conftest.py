"""What all tests share: where the real data lies, and that CI never skips for want of it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()

settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real fixtures; a machine without it skips the test, CI fails it."""
    if SHARED_DATA.is_dir():
        return SHARED_DATA
    reason = f"the real fixtures are not at {SHARED_DATA} (set SHARED_DATA)"
    if os.environ.get("SOC_CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def service(name: str, host: str, port: int) -> tuple[str, int]:
    """Where a server listens; a machine without it skips the test, `make test-services` and CI fail it."""
    try:
        socket.create_connection((host, port), 2).close()
    except OSError:
        reason = f"{name} does not listen on {host}:{port} (deploy/services start)"
        if os.environ.get("SOC_CI_SERVICES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return host, port


@pytest.fixture(scope="session")
def kafka() -> str:
    """Address of the running Kafka of `deploy/services`, as bootstrap servers are written."""
    host, port = service("Kafka", "127.0.0.1", int(os.environ.get("SOC_KAFKA_PORT", "9092")))
    return f"{host}:{port}"


@pytest.fixture(scope="session")
def elasticsearch() -> str:
    """URL of the running Elasticsearch of `deploy/services`."""
    host, port = service("Elasticsearch", "127.0.0.1", int(os.environ.get("SOC_ES_PORT", "9200")))
    return f"http://{host}:{port}"


#: Seconds that each suite may take on two cores that nobody else uses, from the collection of its first test to the
#: end of its last. CI fails a suite that takes twice as long.
BUDGETS_S = {
    "alert": 10,
    "app": 180,
    "author": 20,
    "collect": 60,
    "contract": 150,
    "corpus": 90,
    "detect": 40,
    "docs": 30,
    "golden": 20,
    "kibana": 20,
    "normalize": 30,
    "parse": 40,
    "property": 180,
    "services": 600,
    "watch": 20,
}
_spent: dict[str, float] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    suite = Path(report.nodeid.split("::")[0]).parts[1:2]
    name = suite[0] if suite else ""
    _spent[name] = _spent.get(name, 0.0) + report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each suite took beside its budget."""
    rows = [(name, seconds, BUDGETS_S.get(name, 20)) for name, seconds in sorted(_spent.items())]
    terminalreporter.write_line("suite budgets: " + ", ".join(f"{n or 'tests'} {s:.0f}/{b} s" for n, s, b in rows))


def pytest_sessionfinish(session: pytest.Session) -> None:
    over = [name for name, seconds in _spent.items() if seconds > 2 * BUDGETS_S.get(name, 20)]
    if over and os.environ.get("SOC_CI"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nover twice their budget: {', '.join(over)}")
