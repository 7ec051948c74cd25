"""Paths and bodies of requests about contests."""

from __future__ import annotations

import base64
from urllib.parse import quote

from deepoj.words.errors import StartRefused
from deepoj.words.exits import USAGE


def path_of(key: str, below: str = "") -> str:
    """Return the path of a contest's route."""
    return f"/api/v1/contests/{quote(key, safe='')}{below}"


def statement_path(key: str, label: str, language: str) -> str:
    """Return the path of the statement that a problem has in a contest."""
    return path_of(key, f"/problems/{quote(label, safe='')}/statement/{quote(language, safe='')}")


def statement_body(suffix: str, content: bytes, name: str) -> dict[str, str]:
    """Return a statement as the API takes it. Raises StartRefused for a text that is not UTF-8."""
    if suffix == ".pdf":
        return {"format": "pdf", "pdf": base64.b64encode(content).decode("ascii")}
    try:
        return {"format": "tex" if suffix == ".tex" else "md", "source": content.decode("utf-8")}
    except UnicodeDecodeError as error:
        raise StartRefused(f"{name} is not text in UTF-8.", USAGE) from error
