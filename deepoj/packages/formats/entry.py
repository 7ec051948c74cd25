"""Opens a package: detects its format, reads its plan, and copies its files."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Self

from deepoj.judging import run_bounds
from deepoj.judging.paths import base, folder
from deepoj.judging.problem import Checker, Plan, Program
from deepoj.judging.scoring.faults import fault_of
from deepoj.packages.formats.archive import Archive, KeepOn, Sink, UnzipLimits, always
from deepoj.packages.formats.constants import MAX_FILLED_BYTES, fill, fill_within
from deepoj.packages.formats.faults import PackageFault, Unusable, clean, show
from deepoj.packages.formats.files import Files
from deepoj.packages.formats.foreign import unread_programs
from deepoj.packages.formats.programs import sources_in
from deepoj.packages.formats.unix_lines import UnixLines

#: incremented whenever a reader makes another plan of the same bytes; plans of older readers on disk are made again
READERS_VERSION = 9

#: how many sentences about left-out files are shown
_MAX_NOTES = 20


@dataclass(frozen=True, slots=True)
class _Format:
    #: the file by which the format is recognized
    mark: str
    read: Callable[[Files], Plan]
    #: a further condition
    fits: Callable[[Files], bool] = lambda _files: True


@functools.cache
def _formats() -> Sequence[_Format]:
    """Return the formats; the first one that fits is taken. Their readers are loaded with the first package: an idle
    node holds 0.7 MiB less."""
    from deepoj.packages.formats import (  # noqa: PLC0415 - see above
        dmoj,
        hydro,
        italian,
        kattis,
        luogu,
        own,
        polygon,
        uoj,
    )

    return (
        _Format(own.MARK, own.read),
        _Format(polygon.MARK, polygon.read),
        _Format(kattis.MARK, kattis.read, kattis.has_data),
        _Format(kattis.OLD_MARK, kattis.read, kattis.has_data),
        *(_Format(mark, hydro.read, functools.partial(hydro.fits, mark=mark)) for mark in hydro.MARKS),
        _Format(luogu.MARK, luogu.read, luogu.fits),
        _Format(uoj.MARK, uoj.read),
        _Format(italian.MARK, italian.read),
        _Format(dmoj.MARK, dmoj.read),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A package with its plan, whose files can be copied out. Use it in a ``with``."""

    archive: Archive
    plan: Plan

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.archive.close()


#: Names that look like tests or their folders. Verdicts would differ without such files.
_TEST_NAME = re.compile(
    r"\.(?:in|inp|out|ans)\Z|(?:^|[/\\])data(?:[/\\](?:sample|secret)(?:[/\\][^.]*)?)?\Z", re.IGNORECASE
)

#: opens the sink for the file with this archive name
OpenSink = Callable[[str], AbstractContextManager[Sink]]


def read_plan(archive: Archive) -> Plan | PackageFault:
    """Return the plan of the problem in an archive, with the archive's own names."""
    plan = _read_plan(archive)
    if isinstance(plan, PackageFault):
        # a file that was left out may be the missing one
        reason = next(iter(archive.left_out.values()), "")
        return plan if not reason else PackageFault(plan.file, f"{plan.sentence} {reason}")
    lost = next((name for name in archive.left_out if _TEST_NAME.search(name)), None)
    if lost is not None:
        return PackageFault(lost, f"{archive.left_out[lost]} It may be a test: put it into the package, or remove it.")
    fault = archive.size_fault(plan.all_files())
    if fault is not None:
        return fault
    notes = list(archive.left_out.values())[:_MAX_NOTES]
    if len(archive.left_out) > _MAX_NOTES:
        notes.append(f"{len(archive.left_out) - _MAX_NOTES} further files are left out for similar reasons.")
    return replace(
        plan,
        total_bytes=sum(archive.size(name) for name in plan.files()),
        unsupported=(*plan.unsupported, *notes),
    )


def _read_plan(archive: Archive) -> Plan | PackageFault:
    root = ""
    try:
        files, reader = _reader(archive)
        root = files.root
        plan = reader(files)
    except Unusable as unusable:
        fault = unusable.fault
        return fault if fault.file is None else PackageFault(clean(root + fault.file), fault.sentence)
    if not plan.cases:
        return PackageFault(None, "The package has no test case.")
    plan = replace(plan, unsupported=(*plan.unsupported, *_unread(files, plan)))
    if (unscorable := fault_of(plan)) is not None:
        return PackageFault(None, f"The package's tests cannot be scored: {clean(unscorable)}.")
    if (too_much := run_bounds.fault_of(plan)) is not None:
        return PackageFault(None, f"The package asks for more than one run can bring: {clean(too_much)}.")
    plan = _in_order(_rebased(plan, root))
    unscorable = fault_of(plan)
    if unscorable is not None:
        return PackageFault(None, f"The package cannot be scored: {clean(unscorable)}.")
    return plan


def _unread(files: Files, plan: Plan) -> Iterable[str]:
    """Return a note about programs that are called like checkers and that the format does not use."""
    names = () if plan.format == "own" else tuple(unread_programs(files, frozenset(plan.all_files())))
    if names := sources_in(files, names):
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"Nothing reads {', '.join(show(name) for name in names[:3])}{more}: they decide no verdict."


def open_package(file: IO[bytes] | Path, limits: UnzipLimits) -> Opened | PackageFault:
    """Open an archive or a directory and read its plan. The caller closes ``file``, after the archive.

    Raises OSError for a directory that cannot be read.
    """
    archive = Archive.of_directory(file, limits) if isinstance(file, Path) else Archive.open(file, limits)
    if isinstance(archive, PackageFault):
        return archive
    plan = read_plan(archive)
    if isinstance(plan, PackageFault):
        archive.close()
        return plan
    return Opened(archive, plan)


def unpack(opened: Opened, open_sink: OpenSink, *, keep_on: KeepOn = always) -> PackageFault | None:
    """Write every file that judging needs (``Plan.files``) through ``open_sink``. Errors of the sinks are raised."""
    copies = _Copies(opened)
    for name in opened.plan.files():
        with open_sink(name) as sink:
            fault = copies.copy(name, sink, keep_on)
        if fault is not None:
            return fault
    return None


class _Copies:
    """Copies files out of a package in the form that programs expect."""

    def __init__(self, opened: Opened) -> None:
        self._archive, plan = opened.archive, opened.plan
        self._constants = dict(plan.constants)
        self._filled = frozenset(plan.filled)
        #: files whose line ends are converted; True: line ends of all kinds, False: only CR LF
        self._texts = dict.fromkeys(plan.windows_texts, False) | dict.fromkeys(plan.plain_texts, True)

    def copy(self, name: str, sink: Sink, keep_on: KeepOn = always) -> PackageFault | None:
        if name in self._texts:
            unix = UnixLines(sink, all_kinds=self._texts[name])
            fault = self._archive.copy(name, unix, keep_on)
            unix.close()
            return fault
        if name not in self._filled:
            return self._archive.copy(name, sink, keep_on)
        raw = self._archive.read(name, MAX_FILLED_BYTES)
        if isinstance(raw, PackageFault):
            return raw
        sink.write(fill(raw, self._constants))
        return None


def read_text_file(opened: Opened, name: str, max_bytes: int) -> bytes | PackageFault:
    """Return a small file of the package with its constants filled in."""
    raw = opened.archive.read(name, max_bytes)
    if isinstance(raw, PackageFault) or name not in opened.plan.filled:
        return raw
    filled = fill_within(raw, dict(opened.plan.constants), max_bytes)
    if filled is None:
        return PackageFault(name, f"{show(name)} has more than {max_bytes} bytes with its constants filled in.")
    return filled


def lay_out(opened: Opened, names: Sequence[str], into: Path) -> Mapping[str, Path] | PackageFault:
    """Write files of the package into a directory; return their paths by the archive's names.

    The files get names of our own, because the archive's never become names on a disk. Raises OSError.
    """
    paths: dict[str, Path] = {}
    copies = _Copies(opened)
    for number, name in enumerate(names):
        paths[name] = into / f"{number:04}"
        with paths[name].open("xb") as sink:
            fault = copies.copy(name, sink)
        if fault is not None:
            return fault
    return MappingProxyType(paths)


def check_upload(path: Path, limits: UnzipLimits) -> Plan | PackageFault:
    """Find every fault of the package at ``path``, by reading all files that are needed.

    Raises OSError only if the file cannot be read.
    """
    with path.open("rb") as file:
        opened = open_package(file, limits)
        if isinstance(opened, PackageFault):
            return opened
        with opened:
            return opened.archive.check(opened.plan.all_files()) or opened.plan


# ---------------------------------------------------------------------------------------------------------------------


def _reader(archive: Archive) -> tuple[Files, Callable[[Files], Plan]]:
    """Return the files of the package and the reader of its format.

    The package is at the archive's top, or in the only folder there that holds a package.
    """
    marks = {one.mark for one in _formats()}
    places = {folder(name) for name in archive.names if base(name) in marks and name.count("/") <= 1}
    top = Files(archive)
    if "" in places and (format_ := _format(top)) is not None:
        return top, format_.read
    found = [(files, one) for place in sorted(places - {""}) if (one := _format(files := Files(archive, place)))]
    if len(found) > 1:
        some = ", ".join(clean(files.root.removesuffix("/")) for files, _ in found[:5])
        raise Unusable(None, f"The archive holds several problems ({some}): upload them one at a time.")
    return (found[0][0], found[0][1].read) if found else (top, _formats()[0].read)


def _format(files: Files) -> _Format | None:
    return next((one for one in _formats() if one.mark in files and one.fits(files)), None)


def _in_order(plan: Plan) -> Plan:
    """Move the cases of a group behind those of the groups that it depends on, unless they already are."""
    depends = {group.name: set(group.depends_on) for group in plan.groups}
    seen: set[str] = set()
    late: set[str] = set()
    for case in reversed(plan.cases):
        late |= depends.get(case.group, set()) & seen
        seen.add(case.group)
    if not late:
        return plan
    place = {group.name: number for number, group in enumerate(plan.groups)}
    return replace(plan, cases=tuple(sorted(plan.cases, key=lambda case: place.get(case.group, 0))))


def _rebased(plan: Plan, root: str) -> Plan:
    """Return the plan with the archive's own names of files."""
    if not root:
        return plan

    def full(name: str | None) -> str | None:
        return None if name is None else root + name

    def all_full(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(root + name for name in names)

    def program(one: Program) -> Program:
        return replace(one, files=all_full(one.files), entry=root + one.entry, root=root + one.root)

    def checker(one: Checker | None) -> Checker | None:
        return None if one is None else replace(one, program=program(one.program))

    return replace(
        plan,
        cases=tuple(
            replace(one, input=full(one.input), answer=full(one.answer), extra_files=all_full(one.extra_files))
            for one in plan.cases
        ),
        checker=checker(plan.checker),
        output_checker=checker(plan.output_checker),
        grader=None if plan.grader is None else program(plan.grader),
        input_validators=tuple(replace(one, program=program(one.program)) for one in plan.input_validators),
        included=tuple(
            replace(one, files=tuple((beside, root + name) for beside, name in one.files)) for one in plan.included
        ),
        filled=all_full(plan.filled),
        windows_texts=all_full(plan.windows_texts),
        plain_texts=all_full(plan.plain_texts),
        examples=tuple(replace(one, files=all_full(one.files), entry=root + one.entry) for one in plan.examples),
        statements=tuple(replace(one, file=root + one.file) for one in plan.statements),
        attachments=all_full(plan.attachments),
    )
