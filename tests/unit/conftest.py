"""Shared by the unit tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

FROM_OUTSIDE = ("GPUJOBS_CONFIG", "GPUJOBS_STATE_DIR", "GPUJOBS_TARGET", "COLUMNS", "http_proxy", "HTTP_PROXY")


@pytest.fixture(autouse=True)
def clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that happens to be set where the tests run plays a part."""
    for name in FROM_OUTSIDE:
        monkeypatch.delenv(name, raising=False)
