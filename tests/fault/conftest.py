"""Fixtures of the fault tests."""

from tests.postgres import bridge, database, postgres, postgres_debian, postgres_embedded
from tests.unit.conftest import metrics

__all__ = ["bridge", "database", "metrics", "postgres", "postgres_debian", "postgres_embedded"]
