"""Fixtures of the tests of the API against its own document, and of what it promises beyond single routes."""

from __future__ import annotations

import pytest

from tests.api.conftest import logged
from tests.contract.labs import real
from tests.postgres import bridge, database, postgres_embedded
from tests.servers import PostgresServer

__all__ = ["bridge", "database", "logged", "postgres_embedded", "real"]


@pytest.fixture
def postgres(postgres_embedded: PostgresServer) -> PostgresServer:
    """The session's server; that others do the same, the contract tests see to."""
    return postgres_embedded
