"""Fixtures of the contract tests, which run over a fake and over real servers."""

from tests.contract.labs import lab, real
from tests.postgres import bridge, database, postgres, postgres_debian, postgres_embedded
from tests.unit.conftest import metrics

__all__ = ["bridge", "database", "lab", "metrics", "postgres", "postgres_debian", "postgres_embedded", "real"]
