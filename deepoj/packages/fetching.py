"""Fetches the package of a problem to a file that is deleted afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import trio

from deepoj.packages.formats import PackageFault
from deepoj.ports.blobs import Blobs
from deepoj.words.problems import Problem

#: what administrators are told of a package that the object store does not have
MISSING = PackageFault(None, "The package is missing in the object store: upload it again.")


@asynccontextmanager
async def fetched(blobs: Blobs, problem: Problem, path: Path) -> AsyncIterator[None]:
    """Fetch the package to ``path``, whose directory is made if it is missing.

    Raises BlobsUnavailable, BlobMissing.
    """
    place = anyio.Path(path)
    try:
        await place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await blobs.fetch(problem.data_path, path)
        yield
    finally:
        with trio.CancelScope(shield=True):
            await place.unlink(missing_ok=True)
