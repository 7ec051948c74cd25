"""A package that is a directory on the setter's disk, made into the zip that everybody else gets."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import IO

from deepoj.judging.packages.archive import UnzipLimits
from deepoj.judging.packages.faults import PackageFault, show
from deepoj.judging.packages.names import is_junk, natural_key

#: the same directory is the same zip, whenever it is packed: its hash names the problem's version
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_NOT_OURS = frozenset({".git", ".hg", ".svn", "__pycache__"})


def pack_directory(directory: Path, out: IO[bytes], limits: UnzipLimits) -> PackageFault | None:
    """Writes the zip. A link is taken for the file it leads to, and has to lead to one inside ``directory``.

    Raises:
      OSError: something cannot be read, or written.
    """
    home = directory.resolve(strict=True)
    found: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        for name in [one for one in folders if (here / one).is_symlink()]:
            shown = show((here / name).relative_to(home).as_posix())
            return PackageFault(None, f"{shown} is a link to a folder: put the folder itself there.")
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS)
        found += [((here / name).relative_to(home).as_posix(), here / name) for name in names]
        if len(found) > limits.max_files:
            return PackageFault(None, f"{directory} has more than {limits.max_files} files.")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(found, key=lambda one: natural_key(one[0])):
            if is_junk(name):
                continue
            fault = _add(archive, name, path, home, limits)
            if fault is not None:
                return fault
    return None


def _add(archive: zipfile.ZipFile, name: str, path: Path, home: Path, limits: UnzipLimits) -> PackageFault | None:
    real = path.resolve()
    if not real.is_relative_to(home):
        return PackageFault(name, f"{show(name)} is a link that leads out of the package.")
    if not real.is_file():
        return PackageFault(name, f"{show(name)} is neither a file nor a folder.")
    if real.stat().st_size > limits.max_file_bytes:
        return PackageFault(
            name, f"{show(name)} has {real.stat().st_size} bytes; a file may have {limits.max_file_bytes}."
        )
    entry = zipfile.ZipInfo(name, _NO_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with real.open("rb") as source, archive.open(entry, "w") as target:
        while chunk := source.read(1 << 20):
            target.write(chunk)
    return None
