"""The bundled sample problem, A+B: its statement in two languages, test cases, and a correct program, as files.

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

#: files of the package beside its cases
_BESIDE = ("deepoj.yaml", "statement.en.md", "statement.zh.md")
#: a fixed date, so that the package is the same bytes on every machine and on every day
_DATE = (2020, 1, 1, 0, 0, 0)


def accepted_source() -> str:
    """A program that every case accepts."""
    return resources.files(__name__).joinpath("accepted.cpp").read_text(encoding="utf-8")


def package() -> bytes:
    """The package as a zip; the same bytes whenever its files are the same."""
    out = io.BytesIO()
    here = resources.files(__name__)
    files = [*here.joinpath("cases").iterdir(), *(here.joinpath(name) for name in _BESIDE)]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(files, key=lambda file: file.name):
            entry = zipfile.ZipInfo(file.name, _DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
    return out.getvalue()


def package_hash(packed: bytes | None = None) -> str:
    """SHA-256 of the package, in hex: what a node calls ``data_hash``."""
    return hashlib.sha256(package() if packed is None else packed).hexdigest()
