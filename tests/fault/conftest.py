"""Fixtures of the fault tests."""

from tests.postgres import bridge, database, postgres, postgres_debian, postgres_embedded

__all__ = ["bridge", "database", "postgres", "postgres_debian", "postgres_embedded"]
