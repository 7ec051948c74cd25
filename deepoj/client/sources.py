"""Files as what ``POST /submit`` and ``POST /run`` take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from deepoj.judging.languages.endings import by_ending
from deepoj.words import StartRefused

#: no server of ours takes a larger body; what a source may weigh is the server's to say
_MAX_BYTES = 1_048_576
_USAGE = 2


def read(file: Path) -> str:
    """Raises StartRefused."""
    try:
        with file.open("rb") as reader:
            return read_from(str(file), reader)
    except OSError as error:
        raise StartRefused(f"{file} cannot be read: {error.strerror}.", _USAGE) from error


def read_from(name: str, reader: BinaryIO) -> str:
    """All that ``reader`` gives; ``name``: what to call it. Raises StartRefused for what no request can carry."""
    raw = reader.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise StartRefused(f"{name} is too large: a request carries 1 MiB at most.", _USAGE)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StartRefused(f"{name} is no text in UTF-8 (at byte {error.start:,}).", _USAGE) from None


def language_of(files: Sequence[Path], entry_point: str | None) -> str:
    """The language that the endings say: the entry point's, else the one that all agree on. Raises StartRefused."""
    named = [file for file in files if file.name == entry_point] or files
    # what is no source by its ending (a header, data) says nothing
    found = {key for file in named if (key := by_ending(file.suffix.removeprefix("."))) is not None}
    if len(found) == 1:
        return found.pop()
    why = "belong to several languages" if found else "say nothing about the language"
    raise StartRefused(f"The endings of {_names(named)} {why}: name one with --language.", _USAGE)


def body_of(files: Sequence[Path], *, language: str | None, entry_point: str | None) -> dict[str, Any]:
    """``language`` and ``code``, or ``files`` and ``entry_point``. Raises StartRefused."""
    body: dict[str, Any] = {"language": language or language_of(files, entry_point)}
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        raise StartRefused("Two of the files have the same name: a submission knows no folders.", _USAGE)
    if entry_point is not None and entry_point not in names:
        raise StartRefused(f"--entry-point {entry_point} is none of the files: {_names(files)}.", _USAGE)
    if len(files) == 1 and entry_point is None:
        return body | {"code": read(files[0])}
    body["files"] = [{"name": file.name, "content": read(file)} for file in files]
    return body if entry_point is None else body | {"entry_point": entry_point}


def _names(files: Sequence[Path]) -> str:
    return ", ".join(file.name for file in files)
