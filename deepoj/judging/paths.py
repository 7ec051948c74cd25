"""Parts of file names in packages."""

from __future__ import annotations


def base(name: str) -> str:
    """Return the last part of a path."""
    return name.rpartition("/")[2]


def folder(name: str) -> str:
    """Return the folder of a file with its slash; empty at the top."""
    head, slash, _ = name.rpartition("/")
    return head + slash


def suffix(name: str) -> str:
    """Return the ending of a file without its dot, in its own case (``.C`` is not ``.c``)."""
    stem, dot, ending = base(name).rpartition(".")
    return ending if dot and stem else ""


def without_suffix(name: str) -> str:
    ending = suffix(name)
    return name[: -len(ending) - 1] if ending else name
