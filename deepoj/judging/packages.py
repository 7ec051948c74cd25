"""What a test package may be: a zip of cases, ``1.in`` beside ``1.out`` or ``1.ans``, in any folder.

Three strengths of looking, each returning a ``PackageFault`` (which names the file) instead of raising:

* ``list_cases`` pairs names, and knows nothing of zips;
* ``inspect`` judges a zip by its directory: names, kinds, declared sizes, pairs;
* ``unpack`` reads the cases and trusts no declared size: more or fewer bytes than declared, or a wrong checksum, is a
  fault. ``check_upload`` is all of it for one file on disk.

Everything here is blocking and may take a second for a package of the full size: call it in a thread.

An archive's own names never become names on a disk: whoever unpacks chooses them (``unpack``'s ``open_sink`` gets the
number of the case). So a name that slipped through all checks still could not leave the directory.
"""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol


@dataclass(frozen=True, slots=True)
class UnzipLimits:
    """What a package may unfold to."""

    max_bytes: int = 256 * 1024 * 1024
    max_files: int = 2_000
    max_file_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its name for people (``2``, ``sample/1``) and the archive's names of its two files."""

    name: str
    input: str
    answer: str


@dataclass(frozen=True, slots=True)
class Package:
    """A package that passed: its cases in natural order, never empty, and what they weigh unpacked."""

    cases: tuple[Case, ...]
    total_bytes: int


@dataclass(frozen=True, slots=True)
class PackageFault:
    """Why a package is refused. ``file`` is the archive's name of the file at fault, None for the whole package."""

    file: str | None
    sentence: str


class Sink(Protocol):
    """What ``unpack`` writes to."""

    def write(self, data: bytes, /) -> object: ...


#: opens the sink for case number n (from 0), ``"input"`` or ``"answer"``
OpenSink = Callable[[int, str], AbstractContextManager[Sink]]

_ANSWER_SUFFIXES = ("out", "ans")
_JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
#: deflate cannot do better, so an entry that declares more lies
_MAX_DEFLATE_RATIO = 1032
#: a directory of 2,000 files is some 200 KB; beyond this the directory itself is the bomb (a zip entry of 46 bytes
#: becomes an object of half a KiB when it is read)
_MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
_MAX_NAME_BYTES = 255
_CHUNK_BYTES = 1024 * 1024
_NAME_SHOWN = 120
#: the zip's end record, and the record of a ZIP64 archive that stands right before it
_END, _END_BYTES, _MAX_COMMENT_BYTES, _LOCATOR_BYTES = b"PK\x05\x06", 22, 65_535, 20


def natural_key(name: str) -> tuple[object, ...]:
    """Sorts 1, 2, 10 and a/2, a/10, b/1 as people do. Digits are compared as text, so no number is too long."""
    parts: list[object] = []
    for folder in name.split("/"):
        words: list[tuple[int, int, str]] = []
        for index, word in enumerate(re.split(r"([0-9]+)", folder)):
            if index % 2:
                digits = word.lstrip("0")
                words.append((0, len(digits), digits))
            elif word:
                words.append((1, 0, word))
        parts.append(tuple(words))
    return (tuple(parts), name)


def list_cases(names: Sequence[str]) -> tuple[Case, ...] | PackageFault:
    """Pairs ``*.in`` with ``*.out`` or ``*.ans`` of the same folder and stem; other names are ignored.

    The cases come in natural order, named by path and stem without the folders that all of them share. Refused: no case
    at all, an input or an answer alone, an input with both kinds of answer, two names that differ only by case.
    """
    fault = _doubles(names)
    if fault is not None:
        return fault
    inputs: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    for name in names:
        stem, _, suffix = name.rpartition(".")
        if suffix.lower() == "in":
            inputs[stem] = name
        elif suffix.lower() in _ANSWER_SUFFIXES:
            answers.setdefault(stem, []).append(name)
    for stem, found in answers.items():
        if stem not in inputs:
            return PackageFault(found[0], f"{_show(found[0])} is an answer without its input {_show(stem + '.in')}.")
        if len(found) > 1:
            both = " and ".join(_show(name) for name in sorted(found))
            return PackageFault(found[0], f"{both} both answer {_show(inputs[stem])}: keep one of them.")
    for stem, name in inputs.items():
        if stem not in answers:
            return PackageFault(name, f"{_show(name)} is an input without its answer {_show(stem + '.out')} (or .ans).")
    if not inputs:
        return PackageFault(None, "The package has no test case: it needs pairs such as 1.in and 1.out (or 1.ans).")
    shared = _shared_folder(list(inputs))
    ordered = sorted(inputs, key=natural_key)
    return tuple(Case(stem[len(shared) :], inputs[stem], answers[stem][0]) for stem in ordered)


def inspect(archive: zipfile.ZipFile, limits: UnzipLimits) -> Package | PackageFault:
    """Judges a package by the zip's directory alone; no entry is decompressed."""
    entries = archive.infolist()
    if len(entries) > limits.max_files:
        return PackageFault(None, f"The package has {len(entries)} entries; at most {limits.max_files} are allowed.")
    for entry in entries:
        fault = _entry_fault(entry, limits)
        if fault is not None:
            return fault
    fault = _size_fault(archive, entries, limits)
    if fault is not None:
        return fault
    cases = list_cases([entry.filename for entry in entries if not entry.is_dir() and not _is_junk(entry.filename)])
    if isinstance(cases, PackageFault):
        return cases
    total = sum(archive.getinfo(name).file_size for case in cases for name in (case.input, case.answer))
    return Package(cases, total)


def unpack(
    archive: zipfile.ZipFile, package: Package, open_sink: OpenSink, *, keep_on: Callable[[], bool] = lambda: True
) -> PackageFault | None:
    """Writes every case through ``open_sink``, counting. ``keep_on`` is asked between chunks; when it says no, the
    unpacking ends as a fault. Errors of the sink itself (a full disk) are raised as they are."""
    for number, case in enumerate(package.cases):
        for kind, name in (("input", case.input), ("answer", case.answer)):
            with open_sink(number, kind) as sink:
                fault = _unpack_entry(archive, archive.getinfo(name), sink, keep_on)
            if fault is not None:
                return fault
    return None


def open_archive(file: IO[bytes]) -> zipfile.ZipFile | PackageFault:
    """Opens a zip whose directory is of a sane size; anything that is no zip is a fault."""
    fault = _directory_fault(file)
    if fault is not None:
        return fault
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        return PackageFault(None, f"The package is not a readable zip file ({_clean(str(error))}).")


def check_upload(path: Path, limits: UnzipLimits) -> Package | PackageFault:
    """Everything that can be wrong with the package at ``path``, found by reading all of it. Raises OSError only if the
    file cannot be read."""
    with path.open("rb") as file:
        archive = open_archive(file)
        if isinstance(archive, PackageFault):
            return archive
        with archive:
            package = inspect(archive, limits)
            if isinstance(package, PackageFault):
                return package
            return unpack(archive, package, _nowhere) or package


# ---------------------------------------------------------------------------------------------------------------------


class _Nowhere(AbstractContextManager["_Nowhere"]):
    def __exit__(self, *_: object) -> None:
        return None

    def write(self, data: bytes, /) -> None:
        pass


def _nowhere(_number: int, _kind: str) -> _Nowhere:
    return _Nowhere()


def _clean(text: str) -> str:
    """Fit for a sentence: printable, short."""
    printable = "".join(char if char.isprintable() else "�" for char in text)
    return printable if len(printable) <= _NAME_SHOWN else printable[:_NAME_SHOWN] + "…"


def _show(name: str) -> str:
    return f"'{_clean(name)}'"


def _is_junk(name: str) -> bool:
    """What operating systems leave in archives without being asked."""
    folders, _, base = name.rpartition("/")
    return "__MACOSX" in folders.split("/") or base.startswith("._") or base.lower() in _JUNK_NAMES


def _doubles(names: Sequence[str]) -> PackageFault | None:
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        first = seen.get(folded)
        if first is None:
            seen[folded] = name
        elif first == name:
            return PackageFault(name, f"{_show(name)} is in the package twice.")
        else:
            return PackageFault(name, f"{_show(first)} and {_show(name)} differ only by upper and lower case.")
    return None


def _shared_folder(stems: list[str]) -> str:
    """The longest run of whole folders that all stems begin with, with its slash; empty if there is none."""
    folders = [stem.split("/")[:-1] for stem in stems]
    shared: list[str] = []
    for level in zip(*folders, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return "".join(folder + "/" for folder in shared)


def _entry_fault(entry: zipfile.ZipInfo, limits: UnzipLimits) -> PackageFault | None:
    name = entry.orig_filename
    reason = _name_reason(name) or _kind_reason(entry)
    if reason is not None:
        return PackageFault(_clean(name), f"{_show(name)} {reason}.")
    if entry.file_size > limits.max_file_bytes:
        return PackageFault(
            name, f"{_show(name)} unpacks to {entry.file_size} bytes; a file may have {limits.max_file_bytes}."
        )
    return None


def _name_reason(name: str) -> str | None:
    reason = None
    parts = name.removesuffix("/").split("/")
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        reason = "has a NUL or another control character in its name"
    elif "\\" in name:
        reason = "has a backslash in its name; folders are separated by '/'"
    elif name.startswith("/") or re.match(r"[A-Za-z]:", name):
        reason = "has an absolute path"
    elif ".." in parts:
        reason = "has '..' in its path"
    elif "." in parts or "" in parts:
        reason = "has an empty or '.' part in its path"
    elif len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME_BYTES:
        reason = f"has a path longer than {_MAX_NAME_BYTES} bytes"
    return reason


def _kind_reason(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    reason = None
    if kind == stat.S_IFLNK:
        reason = "is a link"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
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


def _size_fault(
    archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], limits: UnzipLimits
) -> PackageFault | None:
    total = sum(entry.file_size for entry in entries)
    if total > limits.max_bytes:
        return PackageFault(None, f"The package unpacks to {total} bytes; at most {limits.max_bytes} are allowed.")
    # Entries that share their compressed bytes multiply: together they then declare more than the archive holds.
    if sum(entry.compress_size for entry in entries) > archive.start_dir:
        return PackageFault(None, "The package's entries overlap.")
    # Seeking to a place before the file is an OSError, and zipfile only warns of two entries at one place.
    offsets = [entry.header_offset for entry in entries]
    if len(set(offsets)) != len(offsets) or not all(0 <= offset < archive.start_dir for offset in offsets):
        return PackageFault(None, "The package is damaged: its entries are not where its directory says.")
    return None


def _unpack_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, sink: Sink, keep_on: Callable[[], bool]
) -> PackageFault | None:
    shown = _show(entry.filename)
    written = 0
    try:
        source = archive.open(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        return PackageFault(entry.filename, f"{shown} cannot be read from the package ({_clean(str(error))}).")
    with source:
        while True:
            if not keep_on():
                return PackageFault(entry.filename, f"{shown}: unpacking the package takes too long.")
            try:
                chunk = source.read(_CHUNK_BYTES)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                return PackageFault(entry.filename, f"{shown} is damaged ({_clean(str(error))}).")
            if not chunk:
                break
            written += len(chunk)
            if written > entry.file_size:
                return PackageFault(entry.filename, f"{shown} is larger than it declares.")
            sink.write(chunk)
    if written != entry.file_size:
        return PackageFault(entry.filename, f"{shown} has {written} bytes and declares {entry.file_size}.")
    return None


def _directory_fault(file: IO[bytes]) -> PackageFault | None:
    """Looks at the end record only, in the places and in the order in which ``zipfile`` looks for it."""
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
        return PackageFault(None, "The package is a ZIP64 archive; a package of an allowed size does not need that.")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > _MAX_DIRECTORY_BYTES:
        return PackageFault(None, "The package's zip directory is too large.")
    return None
