"""What all tests share: where the real data lies, and that CI never skips for want of it."""

from __future__ import annotations

import os
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
