"""Fixtures of the tests of contests that need a database."""

from __future__ import annotations

import pytest

from tests.api.conftest import builders_compiled_once, templates_compiled_once
from tests.contract.labs import real
from tests.postgres import bridge, database, postgres_embedded
from tests.servers import PostgresServer

__all__ = ["bridge", "builders_compiled_once", "database", "postgres_embedded", "real", "templates_compiled_once"]


@pytest.fixture
def postgres(postgres_embedded: PostgresServer) -> PostgresServer:
    """The session's server; that others do the same, the contract tests see to."""
    return postgres_embedded
