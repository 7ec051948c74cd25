"""Reads the sources of a submission: one source, several files, or a zip of files.

The files of a zip are held in memory, because together they are limited to the size of one source. File names must be
plain, because they become names in the sandbox: names special to a shell, a compiler or a path are refused.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence

from deepoj.api.body import text
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.submissions import SourcesBody
from deepoj.judging.languages import Language
from deepoj.judging.outputs import OUTPUTS
from deepoj.judging.run_bounds import MAX_SOURCES
from deepoj.judging.sources import takes_several
from deepoj.packages.formats import Archive, PackageFault, UnzipLimits
from deepoj.words.sources import SourceFile, Sources

#: the first character must not make it an option, a response file or a hidden file
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")


def received_sources(body: SourcesBody, language: Language, *, max_bytes: int) -> Sources:
    """Return the sources of a submission. ``max_bytes``: limit of all texts together.

    Raises:
      Refused: 400 for invalid sources.
    """
    sent = [name for name in ("code", "files", "archive") if getattr(body, name) is not None]
    if len(sent) != 1:
        what = "send code, or files (or an archive) with an entry_point" if not sent else f"send it or {sent[1]}"
        raise Refused(ApiError.INVALID, field=sent[0] if sent else "code", problem=what)
    if body.code is not None:
        return Sources(code=_text("code", body.code, max_bytes))
    if body.files is not None:
        files = [SourceFile(file.name, text(f"files.{at}.content", file.content)) for at, file in enumerate(body.files)]
    else:
        files = _unpacked(body.archive or "", max_bytes)
    return _of_files(sent[0], files, body.entry_point, language, max_bytes)


def _of_files(
    field: str, files: Sequence[SourceFile], entry_point: str | None, language: Language, max_bytes: int
) -> Sources:
    if not 1 <= len(files) <= MAX_SOURCES:
        raise Refused(ApiError.INVALID, field=field, problem=f"1 to {MAX_SOURCES} files, and not {len(files)}")
    for at, file in enumerate(files):
        if not _NAME.fullmatch(file.name):
            problem = "1 to 64 letters, digits and _ . + - (not first: . + -), and no folders"
            raise Refused(ApiError.INVALID, field=f"{field}.{at}.name", problem=problem)
    by_name = {file.name.casefold(): file for file in files}
    if len(by_name) < len(files):
        raise Refused(ApiError.INVALID, field=field, problem="two files have the same name")
    if sum(len(file.content.encode()) for file in files) > max_bytes:
        raise Refused(ApiError.CODE_TOO_LARGE, limit=max_bytes)
    names = [file.name for file in files]
    if not takes_several(language):
        if names != [language.source_name]:
            problem = f"a program in {language.name} is one file here, {language.source_name}"
            raise Refused(ApiError.INVALID, field=field, problem=problem)
        return Sources(code=_text(f"{field}.0.content", files[0].content, max_bytes))
    if entry_point is None:
        is_first = len(names) == 1 or language is OUTPUTS
        entry_point = names[0] if is_first else language.source_name
    if entry_point not in names:
        raise Refused(ApiError.INVALID, field="entry_point", problem="name one of the files")
    entry = files[names.index(entry_point)]
    if not entry.content and language is not OUTPUTS:
        raise Refused(ApiError.INVALID, field="entry_point", problem="empty")
    return Sources(code=entry.content, entry_point=entry.name, beside=tuple(f for f in files if f is not entry))


def _text(field: str, value: str, max_bytes: int) -> str:
    if not text(field, value):
        raise Refused(ApiError.INVALID, field=field, problem="empty")
    if len(value.encode()) > max_bytes:
        raise Refused(ApiError.CODE_TOO_LARGE, limit=max_bytes)
    return value


def _unpacked(archive: str, max_bytes: int) -> list[SourceFile]:
    """Return the files of a zip. A top-level folder that contains all of them is ignored."""
    try:
        raw = base64.b64decode(archive, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(ApiError.INVALID, field="archive", problem="no base64") from error
    limits = UnzipLimits(max_bytes=max_bytes, max_files=2 * MAX_SOURCES, max_file_bytes=max_bytes, settings="")
    opened = Archive.open(io.BytesIO(raw), limits)
    if isinstance(opened, PackageFault):
        raise _fault(opened)
    with opened:
        if (fault := opened.size_fault(opened.names)) is not None:
            raise _fault(fault)
        if opened.left_out:
            # a program with a missing file must not be judged
            raise _fault(PackageFault(None, next(iter(opened.left_out.values()))))
        contents = [(name, opened.read(name, max_bytes)) for name in opened.names]
    folders = {name.split("/")[0] if "/" in name else "" for name, _ in contents}
    shared = f"{folders.pop()}/" if len(folders) == 1 and "" not in folders else ""
    files = []
    for name, content in contents:
        if isinstance(content, PackageFault):
            raise _fault(content)
        try:
            decoded = content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(ApiError.BAD_TEXT, field="archive") from error
        files.append(SourceFile(name.removeprefix(shared), text("archive", decoded)))
    return files


def _fault(fault: PackageFault) -> Refused:
    return Refused(ApiError.INVALID, field="archive", problem=fault.sentence.removesuffix("."))
