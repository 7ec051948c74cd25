"""Packages of the problems that a rehearsal or a demonstration makes, and their upload as files."""

from __future__ import annotations

import contextlib
import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def file_of(content: bytes) -> Iterator[Path]:
    """Write a package to a file, which is deleted at the end of the ``with``."""
    with tempfile.TemporaryDirectory(prefix="deepoj-problem-") as folder:
        file = Path(folder) / "problem.zip"
        file.write_bytes(content)
        yield file


def package_of(cases: Mapping[str, str]) -> bytes:
    """Return the zip of a problem with these tests: input line → output line."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, (given, wanted) in enumerate(cases.items(), 1):
            archive.writestr(f"{number}.in", f"{given}\n")
            archive.writestr(f"{number}.out", f"{wanted}\n")
    return out.getvalue()
