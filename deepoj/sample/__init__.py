"""The bundled sample problem, A+B: a statement, test cases, and a correct program, as files.

Imports nothing from deepoj, because it is used like an external client.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib import resources

TITLE = "A+B"
#: key of the language that ``accepted_source`` is written in
LANGUAGE = "cpp17"

#: a fixed date, so that the package is the same bytes on every machine and on every day
_DATE = (2020, 1, 1, 0, 0, 0)


def statement() -> str:
    """Markdown."""
    return resources.files(__name__).joinpath("statement.md").read_text(encoding="utf-8")


def accepted_source() -> str:
    """A program that every case accepts."""
    return resources.files(__name__).joinpath("accepted.cpp").read_text(encoding="utf-8")


def package() -> bytes:
    """The test package as a zip; the same bytes whenever the cases are the same."""
    out = io.BytesIO()
    cases = sorted(resources.files(__name__).joinpath("cases").iterdir(), key=lambda case: case.name)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for case in cases:
            entry = zipfile.ZipInfo(case.name, _DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, case.read_bytes())
    return out.getvalue()


def package_hash(packed: bytes | None = None) -> str:
    """SHA-256 of the package, in hex: what a node calls ``data_hash``."""
    return hashlib.sha256(package() if packed is None else packed).hexdigest()
