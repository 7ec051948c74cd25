"""Packs a package directory of the setter into the zip that is uploaded."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

from deepoj.packages.formats.archive import UnzipLimits, directory_entries, link_target
from deepoj.packages.formats.entry import open_package
from deepoj.packages.formats.faults import PackageFault

#: a directory always makes the same zip, because the zip's hash names the problem's version
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20


def pack_directory(directory: Path, out: IO[bytes], limits: UnzipLimits, zip_max_bytes: int) -> PackageFault | None:
    """Write the zip, with links as links. Faults that need no compression are found first.

    Raises:
      OSError: something cannot be read, or written.
    """
    home = directory.resolve(strict=True)
    opened = open_package(home, limits)
    if isinstance(opened, PackageFault):
        return opened
    opened.archive.close()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in directory_entries(home):
            if _is_writable(name):
                with contextlib.closing(_added(archive, name, path, home)) as chunks:
                    any(out.tell() > zip_max_bytes for _ in chunks)
            fault = zip_fault(out.tell(), zip_max_bytes)
            if fault is not None:
                return fault
    return zip_fault(out.tell(), zip_max_bytes)


def zip_fault(size_bytes: int, zip_max_bytes: int) -> PackageFault | None:
    """Return a fault if a zip of this size is too large for an upload."""
    if size_bytes <= zip_max_bytes:
        return None
    return PackageFault(
        None,
        f"The zip has {size_bytes} bytes or more; an upload may have {zip_max_bytes}"
        " (api.limits.problem_zip_max_bytes).",
    )


def _is_writable(name: str) -> bool:
    """Return whether a zip can hold the name: it must be UTF-8. Other names have been noted."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _added(archive: zipfile.ZipFile, name: str, path: Path, home: Path) -> Generator[None]:
    """Add a file or a link, and yield after each chunk."""
    entry = zipfile.ZipInfo(name, _NO_DATE)
    if path.is_symlink():
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, link_target(path, home))
        return
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    entry.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(entry, "w") as target:
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
            yield
