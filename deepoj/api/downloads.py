"""Tables as files: CSV and JSON, streamed row by row."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.words.names import no_formula

type Rows = AsyncGenerator[Sequence[Sequence[Any]]]


def cell(value: object) -> object:
    """Return the value for a cell of CSV: a text that a spreadsheet would take for a formula gets an apostrophe."""
    return no_formula(value) if isinstance(value, str) else value


async def csv_of(heads: Sequence[str], rows: Rows, *, has_bom: bool = False) -> AsyncGenerator[bytes]:
    """Yield a CSV file (RFC 4180, UTF-8). ``has_bom``: for people, whose spreadsheets take a file without the mark for
    one in the encoding of their country."""
    if has_bom:
        yield codecs.BOM_UTF8
    yield _lines([heads])
    async for some in rows:
        yield _lines([[cell(value) for value in row] for row in some])


async def json_of(heads: Sequence[str], rows: Rows) -> AsyncGenerator[bytes]:
    """Yield a JSON array of objects."""
    separator = "[\n"
    async for some in rows:
        for row in some:
            yield f"{separator}{json.dumps(dict(zip(heads, row, strict=True)), ensure_ascii=False)}".encode()
            separator = ",\n"
    yield b"[]\n" if separator == "[\n" else b"\n]\n"


def download(name: str, content_type: str, content: AsyncGenerator[bytes]) -> Response:
    """Return a response that a browser saves as a file. A download that breaks off ends the connection, so the browser
    reports it."""
    response = TrioResponse(b"" if request.method == "HEAD" else content, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def file_of(name: str, content_type: str, content: bytes) -> Response:
    """Return a response that a browser saves as a file, whose content is there already."""

    async def pieces() -> AsyncGenerator[bytes]:
        yield content

    return download(name, content_type, pieces())


async def at_once(rows: Sequence[Sequence[Any]]) -> Rows:
    """Yield rows that are all there already."""
    yield rows


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
