"""Names in archives: their order, their parts, and names of files that belong to no problem."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from deepoj.packages.formats.faults import PackageFault, show
from deepoj.words.names import digits_key

_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


def natural_key(name: str) -> tuple[object, ...]:
    """Return a sort key for natural order: 1, 2, 10 and a/2, a/10, b/1."""
    return tuple(map(digits_key, name.split("/"))), name


def shared_folder(names: Iterable[str]) -> str:
    """Return the longest sequence of folders that all names begin with, with its slash; empty if there is none."""
    folders = [name.split("/")[:-1] for name in names]
    shared: list[str] = []
    for level in zip(*folders, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "".join(part + "/" for part in shared)


def is_junk(name: str) -> bool:
    """Return whether an operating system put the file into the archive by itself."""
    folders, _, last = name.rpartition("/")
    return "__MACOSX" in folders.split("/") or last.startswith("._") or last.lower() in _JUNK_NAMES


def lookalikes(names: Iterable[str]) -> PackageFault | None:
    """Return a fault for two names that some systems treat as one: by case, or by composed and decomposed letters."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        first = seen.setdefault(folded, name)
        if first != name:
            return PackageFault(name, f"{show(first)} and {show(name)} differ only by upper and lower case.")
    return None
