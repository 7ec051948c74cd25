"""Packages for tests, in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from deepoj.judging.problem import Plan
from deepoj.packages.formats import PackageFault, check_upload, open_package
from tests.fakes.settings import unzip_limits

Content = Mapping[str, str | bytes]


def zipped(files: Content) -> bytes:
    """An archive of ``files``: the same files give the same bytes, since no entry holds the time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def read(files: Content) -> Plan | PackageFault:
    opened = open_package(io.BytesIO(zipped(files)), unzip_limits())
    if isinstance(opened, PackageFault):
        return opened
    with opened:
        return opened.plan


def plan(files: Content) -> Plan:
    found = read(files)
    assert isinstance(found, Plan), found
    return found


def fault(files: Content, *, upload_to: Path | None = None) -> PackageFault:
    """The fault; ``upload_to``: found by looking at every byte, as an upload is."""
    if upload_to is None:
        found = read(files)
    else:
        upload_to.write_bytes(zipped(files))
        found = check_upload(upload_to, unzip_limits())
    assert isinstance(found, PackageFault), found
    assert found.sentence.endswith("."), found.sentence
    assert found.sentence.isprintable(), found.sentence
    assert found.file is None or found.file.isprintable()
    return found
