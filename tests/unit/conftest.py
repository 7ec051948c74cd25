"""Fixtures of the tests that need nothing but the package."""

from __future__ import annotations

import pytest

from deepoj.observe import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()
