"""For tests of pages: compiled URL builders and templates, and a node that shows real pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import builders_compiled_once, templates_compiled_once
from tests.contract.labs import real
from tests.postgres import bridge, database, postgres, postgres_debian, postgres_embedded
from tests.web.site import Site, running_site

__all__ = [
    "bridge",
    "builders_compiled_once",
    "database",
    "postgres",
    "postgres_debian",
    "postgres_embedded",
    "real",
    "templates_compiled_once",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One node for all files of this folder."""
    with running_site(tmp_path_factory.mktemp("web") / "home") as running:
        yield running
