"""A package that is a directory on the setter's disk, made into the zip that everybody else gets."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import IO

from deepoj.judging.packages.archive import UnzipLimits, directory_entries, link_target
from deepoj.judging.packages.entry import open_package
from deepoj.judging.packages.faults import PackageFault

#: the same directory is the same zip, whenever it is packed: its hash names the problem's version
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20


def pack_directory(directory: Path, out: IO[bytes], limits: UnzipLimits, zip_max_bytes: int) -> PackageFault | None:
    """Writes the zip, with links as links. What can be said without compressing anything is said before.

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
    """Whether a zip of so many bytes is one that can be uploaded."""
    if size_bytes <= zip_max_bytes:
        return None
    return PackageFault(
        None,
        f"The zip has {size_bytes} bytes or more; an upload may have {zip_max_bytes}"
        " (api.limits.problem_zip_max_bytes).",
    )


def _is_writable(name: str) -> bool:
    """A name of bytes that are no UTF-8 cannot stand in a zip; it has been noted."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _added(archive: zipfile.ZipFile, name: str, path: Path, home: Path) -> Generator[None]:
    """Adds a file or a link, and comes back after each chunk."""
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
