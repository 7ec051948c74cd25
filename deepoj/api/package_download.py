"""Sending a problem's package, with its test data, to an administrator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

import trio
from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.upload import new_path
from deepoj.packages.fetching import MISSING, fetched
from deepoj.words.errors import BlobMissing
from deepoj.words.problems import Problem

_PIECE_BYTES = 256 * 1024


async def package_download(context: ApiContext, problem: Problem) -> Response:
    """Return the package as a file to save. Raises Refused, BlobsUnavailable."""
    path = new_path(context.settings.upload_dir)
    try:
        async with fetched(context.blobs, problem, path):
            file, size = await trio.to_thread.run_sync(_opened, path)
    except BlobMissing as error:
        raise Refused(ApiError.INVALID_PACKAGE, problem=MISSING.sentence) from error
    # the file has no name by now: it is gone when it is closed
    if request.method == "HEAD":
        file.close()
        response = TrioResponse(b"", content_type="application/zip")
    else:
        response = TrioResponse(_pieces(file), content_type="application/zip")
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Disposition"] = f'attachment; filename="problem-{problem.id}-v{problem.version}.zip"'
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _opened(path: Path) -> tuple[IO[bytes], int]:
    file = path.open("rb")
    return file, path.stat().st_size


async def _pieces(file: IO[bytes]) -> AsyncGenerator[bytes]:
    with file:
        while piece := await trio.to_thread.run_sync(file.read, _PIECE_BYTES):
            yield piece
