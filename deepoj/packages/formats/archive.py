"""A zip that may be hostile: checked by its directory first, then decompressed while counting.

``Archive.open`` checks names, kinds and declared sizes and decompresses nothing but the targets of links.
``Archive.copy`` and ``Archive.read`` trust no declared size: more or fewer bytes than declared, or a wrong checksum, is
a fault. The size limit applies to the files that judging needs (``size_fault``): others are never decompressed.

A package that is a directory on a disk is read the same way (``Archive.of_directory``), before it is zipped.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

from deepoj.packages.formats.faults import PackageFault, clean, show
from deepoj.packages.formats.links import follow
from deepoj.packages.formats.names import is_junk, natural_key


@dataclass(frozen=True, slots=True)
class UnzipLimits:
    """Limits of what a package may unpack to, including archives inside it."""

    max_bytes: int
    max_files: int
    max_file_bytes: int
    #: the settings section of these limits, for sentences; empty: they are not settings
    settings: str = "worker.unzip_limits"

    def setting(self, key: str) -> str:
        """Return a setting's name in parentheses, as the end of a sentence."""
        return f" ({self.settings}.{key})" if self.settings else ""


class Sink(Protocol):
    """The target that ``Archive.copy`` writes to."""

    def write(self, data: bytes, /) -> object: ...


#: asked between chunks; False ends the unpacking with a fault
KeepOn = Callable[[], bool]

#: deflate's best ratio: an entry that declares more lies
_MAX_DEFLATE_RATIO = 1032
#: a directory of 2,000 files has about 200 KB; beyond this limit the directory itself is the bomb (a zip entry of 46
#: bytes becomes an object of half a KiB when it is read)
_MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
_MAX_NAME_BYTES = 255
#: of a link's target: Linux's limit
_MAX_TARGET_BYTES = 4096
#: folders of tools, which are no part of a package
_NOT_OURS = frozenset({".git", ".hg", ".svn", "__pycache__"})
#: "version made by", upper byte: MS-DOS (which Windows' own tools write), NTFS, VFAT
_WINDOWS = frozenset({0, 10, 14})
_CHUNK_BYTES = 1024 * 1024
#: the zip's end record, and the record of a ZIP64 archive right before it
_END, _END_BYTES, _MAX_COMMENT_BYTES, _LOCATOR_BYTES = b"PK\x05\x06", 22, 65_535, 20


def always() -> bool:
    """Return True: a ``KeepOn`` without a time limit."""
    return True


@dataclass(frozen=True, slots=True)
class _ArchiveFile:
    """Size of a file, and the function that opens it."""

    size: int
    open: Callable[[], IO[bytes]]


class Archive:
    """An archive whose directory has passed all checks. ``close`` it, or use it in a ``with``."""

    def __init__(self, limits: UnzipLimits) -> None:
        self._limits = limits
        self._stack = ExitStack()
        self._places: dict[str, _ArchiveFile] = {}
        self._entries = 0
        #: bytes of adopted inner archives
        self._adopted_bytes = 0
        #: names that are left out → the sentence why
        self.left_out: dict[str, str] = {}

    @classmethod
    def open(cls, file: IO[bytes], limits: UnzipLimits) -> Archive | PackageFault:
        """Open a zip; anything else, and a malformed zip, is a fault. The caller closes ``file``."""
        archive = cls(limits)
        fault = archive._add(file, "")
        if fault is not None:
            archive.close()
            return fault
        return archive

    @classmethod
    def of_directory(cls, home: Path, limits: UnzipLimits) -> Archive | PackageFault:
        """Read a directory like the zip that it would make. Raises OSError."""
        archive = cls(limits)
        files: dict[str, _ArchiveFile] = {}
        links: dict[str, str] = {}
        for name, path in directory_entries(home):
            archive._entries += 1
            if archive._entries > limits.max_files:
                return archive._too_many()
            if path.is_symlink():
                links[name] = link_target(path, home)
            elif path.is_file():
                files[name] = _ArchiveFile(path.stat().st_size, functools.partial(_open_file, path))
            else:
                return PackageFault(clean(name), f"{show(name)} is neither a file nor a folder.")
        fault = archive._take("", files, links)
        return archive if fault is None else fault

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The files in the archive's order, without folders and without files of operating systems."""
        return tuple(self._places)

    def size(self, name: str) -> int:
        """Return the declared size of a file, in bytes."""
        return self._places[name].size

    def size_fault(self, names: Iterable[str]) -> PackageFault | None:
        """Return a fault if these files, by their declared sizes, exceed the limits."""
        total = self._adopted_bytes
        for name in names:
            size = self.size(name)
            if size > self._limits.max_file_bytes:
                return PackageFault(
                    name,
                    f"{show(name)} unpacks to {size} bytes; a file may have {self._limits.max_file_bytes}"
                    f"{self._limits.setting('max_file_bytes')}.",
                )
            total += size
        if total > self._limits.max_bytes:
            return PackageFault(
                None,
                f"The package's needed files unpack to {total} bytes; at most {self._limits.max_bytes} are allowed"
                f"{self._limits.setting('max_bytes')}.",
            )
        return None

    def adopt(self, name: str) -> PackageFault | None:
        """Add an archive inside this one: its files are ``<name>/<its own name>`` from now on.

        It is unpacked into a file without a name, so nothing of it can be left behind.
        """
        fault = self.size_fault((name,))
        if fault is not None:
            return fault
        self._adopted_bytes += self.size(name)
        inner: IO[bytes] = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        fault = self.copy(name, inner) or self._add(inner, name + "/")
        return None if fault is None else PackageFault(fault.file or name, f"In {show(name)}: {fault.sentence}")

    def read(self, name: str, max_bytes: int) -> bytes | PackageFault:
        """Return the content of a small file."""
        if self.size(name) > max_bytes:
            return PackageFault(name, f"{show(name)} has {self.size(name)} bytes; it may have {max_bytes}.")
        sink = _Buffer()
        return self.copy(name, sink) or bytes(sink.data)

    def head(self, name: str, max_bytes: int) -> bytes | PackageFault:
        """Return the first bytes of a file, without checking its checksum."""
        try:
            with self._places[name].open() as source:
                return source.read(max_bytes)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            return PackageFault(name, f"{show(name)} cannot be read from the package ({clean(str(error))}).")

    def copy(self, name: str, sink: Sink, keep_on: KeepOn = always) -> PackageFault | None:
        """Decompress a file into ``sink``. Errors of the sink itself (a full disk) are raised unchanged."""
        place = self._places[name]
        shown = show(name)
        written = 0
        try:
            source = place.open()
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
            return PackageFault(name, f"{shown} cannot be read from the package ({clean(str(error))}).")
        with source:
            while True:
                if not keep_on():
                    return PackageFault(name, f"{shown}: unpacking the package takes too long.")
                try:
                    chunk = source.read(_CHUNK_BYTES)
                except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                    return PackageFault(name, f"{shown} is damaged ({clean(str(error))}).")
                if not chunk:
                    break
                written += len(chunk)
                if written > place.size:
                    return PackageFault(name, f"{shown} is larger than it declares.")
                sink.write(chunk)
        if written != place.size:
            return PackageFault(name, f"{shown} has {written} bytes and declares {place.size}.")
        return None

    def check(self, names: Iterable[str], keep_on: KeepOn = always) -> PackageFault | None:
        """Decompress these files to find faults."""
        for name in names:
            fault = self.copy(name, _Nowhere(), keep_on)
            if fault is not None:
                return fault
        return None

    def _add(self, file: IO[bytes], prefix: str) -> PackageFault | None:
        opened = _open_zip(file)
        if isinstance(opened, PackageFault):
            return opened
        self._stack.enter_context(opened)
        entries = opened.infolist()
        self._entries += len(entries)
        if self._entries > self._limits.max_files:
            return self._too_many()
        fault = next((fault for entry in entries if (fault := _entry_fault(entry)) is not None), None)
        fault = fault or _place_fault(opened, entries)
        if fault is not None:
            return fault
        files: dict[str, _ArchiveFile] = {}
        links: dict[str, str] = {}
        for entry in entries:
            name = _plain_name(entry)
            if name.endswith("/") or is_junk(name):
                continue
            if name in files or name in links:
                return PackageFault(prefix + name, f"{show(prefix + name)} is in the package twice.")
            if not _is_link(entry):
                files[name] = _ArchiveFile(entry.file_size, functools.partial(opened.open, entry))
                continue
            target = _target(opened, entry)
            if isinstance(target, PackageFault):
                return target
            links[name] = target
        return self._take(prefix, files, links)

    def _take(self, prefix: str, files: dict[str, _ArchiveFile], links: dict[str, str]) -> PackageFault | None:
        """Add the files of one archive and the targets of its links. Files with odd names are left out."""
        odd = {name: reason for name in (*files, *links) if (reason := _odd_reason(name)) is not None}
        for name, reason in odd.items():
            self.left_out[prefix + name] = f"{show(prefix + name)} has {reason} in its name, and is left out."
            files.pop(name, None)
            links.pop(name, None)
        followed = follow(files, links, self._limits.max_files - self._entries)
        if isinstance(followed, PackageFault):
            return followed
        self._entries += len(followed.aliases)
        self.left_out |= followed.left_out
        for alias, name in followed.aliases.items():
            if alias in files:
                return PackageFault(prefix + alias, f"{show(prefix + alias)} is in the package twice.")
            files[alias] = files[name]
        for name, place in files.items():
            if prefix + name in self._places:
                return PackageFault(prefix + name, f"{show(prefix + name)} is in the package twice.")
            self._places[prefix + name] = place
        return None

    def _too_many(self) -> PackageFault:
        return PackageFault(
            None,
            f"The package has {self._entries} entries or more; at most {self._limits.max_files} are allowed"
            f"{self._limits.setting('max_files')}.",
        )


def _open_file(path: Path) -> IO[bytes]:
    return path.open("rb")


def directory_entries(home: Path) -> list[tuple[str, Path]]:
    """Return the files and links of a package directory, sorted by name. Links are not followed. Raises OSError."""
    entries: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(home):
        here = Path(folder)
        linked = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if name not in _NOT_OURS and name not in linked)
        entries += [((here / name).relative_to(home).as_posix(), here / name) for name in (*names, *linked)]
    return sorted((one for one in entries if not is_junk(one[0])), key=lambda one: natural_key(one[0]))


def link_target(path: Path, home: Path) -> str:
    """Return the target of a directory's link, relative to the link; ``/`` for all targets outside. Raises OSError."""
    target = path.readlink()
    if not target.is_absolute():
        return target.as_posix()
    return Path(os.path.relpath(target, path.parent)).as_posix() if target.is_relative_to(home) else "/"


# ---------------------------------------------------------------------------------------------------------------------


class _Nowhere:
    def write(self, data: bytes, /) -> None:
        pass


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data


def _open_zip(file: IO[bytes]) -> zipfile.ZipFile | PackageFault:
    fault = _end_fault(file)
    if fault is not None:
        return fault
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        return PackageFault(None, f"The package is not a readable zip file ({clean(str(error))}).")


def _entry_fault(entry: zipfile.ZipInfo) -> PackageFault | None:
    name = _plain_name(entry)
    reason = _name_reason(name) or _kind_reason(entry)
    return None if reason is None else PackageFault(clean(name), f"{show(name)} {reason}.")


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_IFMT(entry.external_attr >> 16) == stat.S_IFLNK


def _target(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str | PackageFault:
    """Return the target of a link."""
    name = _plain_name(entry)
    try:
        with opened.open(entry) as source:
            raw = source.read(_MAX_TARGET_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        return PackageFault(name, f"{show(name)} cannot be read from the package ({clean(str(error))}).")
    if len(raw) > _MAX_TARGET_BYTES:
        return PackageFault(name, f"{show(name)} is a link whose target has more than {_MAX_TARGET_BYTES} bytes.")
    return raw.decode("utf-8", "replace")


def _odd_reason(name: str) -> str | None:
    """Return why a harmless but odd name cannot be a file's."""
    if "\\" in name:
        return "a backslash"
    return (
        "bytes that are not UTF-8" if not name.isascii() and name != name.encode("utf-8", "replace").decode() else None
    )


def _plain_name(entry: zipfile.ZipInfo) -> str:
    """Return an entry's name with folders separated by '/'.

    Old tools of Windows write '\\', which cannot be part of a name there. Elsewhere it can, and then it stays.
    """
    name = entry.orig_filename
    return name.replace("\\", "/") if entry.create_system in _WINDOWS else name


def _name_reason(name: str) -> str | None:
    reason = None
    is_odd = "\\" in name
    name = name.replace("\\", "/")
    parts = name.removesuffix("/").split("/")
    if any(unicodedata.category(char) == "Cc" for char in name):
        reason = "has a NUL or another control character in its name"
    elif name.startswith("/") or re.match(r"[A-Za-z]:", name):
        reason = "has an absolute path"
    elif ".." in parts:
        reason = "has '..' in its path"
    elif ("." in parts or "" in parts) and not is_odd:
        reason = "has an empty or '.' part in its path"
    elif len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        reason = f"has a path longer than {_MAX_NAME_BYTES} bytes"
    return reason


def _kind_reason(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    reason = None
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        reason = "is neither a file nor a folder"
    elif entry.flag_bits & 0x41:
        reason = "is encrypted"
    elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reason = "is compressed by a method other than deflate"
    elif entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
        reason = "is stored, but declares two sizes"
    elif entry.file_size > (entry.compress_size + 1) * _MAX_DEFLATE_RATIO:
        reason = "declares more bytes than its compressed form can hold"
    return reason


def _place_fault(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> PackageFault | None:
    # Entries that share compressed bytes multiply them: together they then declare more than the archive holds.
    if sum(entry.compress_size for entry in entries) > archive.start_dir:
        return PackageFault(None, "The package's entries overlap.")
    # Seeking to a position before the file is an OSError, and zipfile only warns of two entries at one position.
    offsets = [entry.header_offset for entry in entries]
    if len(set(offsets)) != len(offsets) or not all(0 <= offset < archive.start_dir for offset in offsets):
        return PackageFault(None, "The package is damaged: its entries are not where its directory says.")
    return None


def _end_fault(file: IO[bytes]) -> PackageFault | None:
    """Check the end record only, at the positions and in the order in which ``zipfile`` searches for it."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(size - _END_BYTES - _MAX_COMMENT_BYTES - _LOCATOR_BYTES, 0))
    tail = file.read()
    if tail[-22:-18] == _END and tail.endswith(b"\0\0"):
        at = len(tail) - _END_BYTES
    else:
        at = tail.rfind(_END, max(len(tail) - _END_BYTES - _MAX_COMMENT_BYTES, 0))
    if at < 0 or len(tail) - at < _END_BYTES:
        return PackageFault(None, "The package is not a zip file.")
    if tail[max(at - _LOCATOR_BYTES, 0) : at].startswith(b"PK\x06\x07"):
        return PackageFault(None, "The package is a ZIP64 archive; a package of allowed size does not need that.")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _MAX_DIRECTORY_BYTES:
        return PackageFault(None, "The package's zip directory is too large.")
    return None
