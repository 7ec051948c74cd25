"""A submission's source files in the columns ``entry_point`` and ``files``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

from deepoj.adapters.pg.texts import clean_json, clean_text
from deepoj.words.sources import SourceFile, Sources

if TYPE_CHECKING:
    import asyncpg


class SourceColumns(TypedDict):
    """The fields of ``words.Sources``."""

    code: str
    entry_point: str | None
    beside: tuple[SourceFile, ...]


def columns_of(sources: Sources) -> tuple[str | None, str | None]:
    """Return the values of the columns ``entry_point`` and ``files``."""
    if sources.entry_point is None:
        return None, None
    files = [{"name": file.name, "content": file.content} for file in sources.beside]
    return clean_text(sources.entry_point), clean_json(files)


def sources_of(row: asyncpg.Record) -> SourceColumns:
    """Return the sources that a row holds in ``code``, ``entry_point`` and ``files``."""
    files = () if row["files"] is None else json.loads(row["files"])
    return {
        "code": row["code"],
        "entry_point": row["entry_point"],
        "beside": tuple(SourceFile(file["name"], file["content"]) for file in files),
    }
