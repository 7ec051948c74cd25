"""Programs that clients of the Contest API submit: its own JSON with a zip, or the form of DOMjudge's clients."""

from __future__ import annotations

from dataclasses import dataclass

from deepoj.api.errors import ApiError, Refused
from deepoj.api.form import SentFile, read_form
from deepoj.api.models.clics import ContestSubmission
from deepoj.api.models.submissions import SubmitBody, SubmittedFile
from deepoj.judging.languages import Language
from deepoj.judging.sources import takes_several

#: fields of DOMjudge's form: each has two names
_PROBLEM, _LANGUAGE, _ENTRY_POINT = ("problem", "problem_id"), ("language", "language_id"), "entry_point"
_FILES = frozenset({"code", "code[]"})


@dataclass(frozen=True, slots=True)
class ContestSources:
    """A program for a problem. ``archive``: a zip in base64; None: there are ``files``."""

    problem_id: str
    language_id: str
    entry_point: str
    archive: str | None = None
    files: tuple[SentFile, ...] = ()

    def as_submit(self, problem_id: int, language: Language) -> SubmitBody:
        """Return the submission as our own API has it. Raises Refused for a file that is no text."""
        files = [SubmittedFile(name=one.name, content=one.text("code")) for one in self.files]
        entry_point = _file_name(self.entry_point, language)
        if len(files) == 1:
            entry_point = files[0].name
        elif files and not entry_point:
            entry_point = files[0].name  # the clients name the main file first
        is_one_text = len(files) == 1 and not takes_several(language)
        return SubmitBody(
            problem_id=problem_id,
            language=language.key,
            code=files[0].content if is_one_text else None,
            files=files if files and not is_one_text else None,
            archive=self.archive,
            entry_point=entry_point or None,
            callback_url=None,
        )


def from_json(body: ContestSubmission) -> ContestSources:
    """Return a submission of the specification. Raises Refused."""
    if len(body.files) != 1 or body.files[0].mime not in {None, "application/zip"}:
        raise Refused(ApiError.INVALID, field="files", problem="exactly one zip")
    return ContestSources(body.problem_id, body.language_id, body.entry_point or "", archive=body.files[0].data)


async def domjudge_form(*, max_bytes: int, timeout_s: float) -> ContestSources:
    """Return the submission of the current request's form, as DOMjudge's ``submit`` sends it. Raises Refused."""
    fields, sent = await read_form(timeout_s=timeout_s, max_bytes=max_bytes)
    values = []
    for names in (_PROBLEM, _LANGUAGE):
        value = next((fields[name] for name in names if name in fields), None)
        if value is None:
            raise Refused(ApiError.INVALID, field=names[0], problem="send it")
        values.append(value)
    files = tuple(file for name, file in sent if name in _FILES)
    if not files:
        raise Refused(ApiError.INVALID, field="code[]", problem="at least one file")
    return ContestSources(values[0], values[1], fields.get(_ENTRY_POINT, ""), files=files)


def _file_name(entry_point: str, language: Language) -> str:
    """Return the file of an entry point: clients name a class of Java where we name its file."""
    ending = language.source_name.rpartition(".")[2]
    if not entry_point or entry_point.endswith(f".{ending}"):
        return entry_point
    # the class Main of the package org is in Main.java: names of files have no folders
    return f"{entry_point.rpartition('.')[2]}.{ending}"
