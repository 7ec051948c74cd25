"""Source files as the body of ``POST /submit`` and ``POST /run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from deepoj.judging.languages.endings import by_ending
from deepoj.words.errors import StartRefused

#: no Deep-OJ server accepts a larger body; the server checks its own limit of a source's size
_MAX_BYTES = 1_048_576
_USAGE = 2


def read(file: Path) -> str:
    """Return the text of a source file. Raises StartRefused."""
    try:
        with file.open("rb") as reader:
            return read_from(str(file), reader)
    except OSError as error:
        raise StartRefused(f"{file} cannot be read: {error.strerror}.", _USAGE) from error


def read_from(name: str, reader: BinaryIO) -> str:
    """Return the text of ``reader``; ``name`` is used in sentences. Raises StartRefused if no request can hold it."""
    raw = reader.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise StartRefused(f"{name} is too large: a request contains at most 1 MiB.", _USAGE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StartRefused(f"{name} is not text in UTF-8 (at byte {error.start:,}).", _USAGE) from None


def language_of(files: Sequence[Path], entry_point: str | None) -> str:
    """Return the language by the ending of the entry point, else by all endings if they agree. Raises StartRefused."""
    named = [file for file in files if file.name == entry_point] or files
    # endings of other files (a header, data) do not count
    languages = {key for file in named if (key := by_ending(file.suffix.removeprefix("."))) is not None}
    if len(languages) == 1:
        return languages.pop()
    why = "belong to several languages" if languages else "belong to no known language"
    raise StartRefused(f"The endings of {_names(named)} {why}: name one with --language.", _USAGE)


def body_of(files: Sequence[Path], *, language: str | None, entry_point: str | None) -> dict[str, Any]:
    """Return a request's body: ``language`` and ``code``, or ``files`` and ``entry_point``. Raises StartRefused."""
    body: dict[str, Any] = {"language": language or language_of(files, entry_point)}
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise StartRefused("Two of the files have the same name: a submission has no folders.", _USAGE)
    if entry_point is not None and entry_point not in names:
        raise StartRefused(f"--entry-point {entry_point} is not one of the files: {_names(files)}.", _USAGE)
    if len(files) == 1 and entry_point is None:
        return body | {"code": read(files[0])}
    body["files"] = [{"name": file.name, "content": read(file)} for file in files]
    return body if entry_point is None else body | {"entry_point": entry_point}


def _names(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files)
