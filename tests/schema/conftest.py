"""Fixtures of the tests of the API against its own document."""

from tests.api.conftest import logged
from tests.contract.labs import real
from tests.postgres import bridge, database, postgres, postgres_debian, postgres_embedded

__all__ = ["bridge", "database", "logged", "postgres", "postgres_debian", "postgres_embedded", "real"]
