"""Editing statements, as routes and pages do it."""

from __future__ import annotations

from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.upload import new_path
from deepoj.packages.formats import PackageFault
from deepoj.packages.formats.statements import is_language_code
from deepoj.packages.statements.editing import (
    NotRenderable,
    SavedStatement,
    StatementEditing,
    StatementPreview,
    StatementToEdit,
)
from deepoj.packages.statements.sources import MAX_FILE_BYTES, MAX_SOURCE_BYTES, is_pdf
from deepoj.words.accounts import User
from deepoj.words.problems import Problem
from deepoj.words.statements import EditRefusal, StatementEdit


class StatementDesk:
    """Edits statements. All methods raise Refused, StoreUnavailable or BlobsUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        upload_dir = context.settings.upload_dir
        self._editing = StatementEditing(
            statements=context.statements,
            blobs=context.blobs,
            render=context.render_edits,
            new_path=lambda: new_path(upload_dir),
            unzip=context.settings.problems.unzip,
        )

    async def source(self, problem: Problem, language: str, contest_id: int | None = None) -> StatementToEdit:
        """Return the source of a statement. ``contest_id``: of the contest's own, or what it has of the problem."""
        return await self._editing.source(problem, _language(language), contest_id)

    async def preview(self, problem: Problem, edit: StatementEdit) -> StatementPreview | None:
        """Return an edited statement as readers would see it; None: this node cannot render."""
        shown = await self._editing.preview(problem, _checked(edit))
        if isinstance(shown, NotRenderable | PackageFault):
            raise _refused(shown)
        return shown

    async def save(
        self, problem: Problem, edit: StatementEdit, revision: str, admin: User, contest_id: int | None = None
    ) -> SavedStatement:
        """Store an edited statement."""
        by = admin.username
        saved = await self._editing.save(problem, _checked(edit), revision, by=by, contest_id=contest_id)
        if isinstance(saved, NotRenderable | PackageFault | EditRefusal):
            raise _refused(saved)
        return saved

    async def restore(
        self, problem: Problem, language: str, revision: str, admin: User, contest_id: int | None = None
    ) -> None:
        """Go back to the package's statement, in a contest to the problem's."""
        by = admin.username
        refusal = await self._editing.restore(problem, _language(language), revision, by=by, contest_id=contest_id)
        if refusal is not None:
            raise _refused(refusal)


def _checked(edit: StatementEdit) -> StatementEdit:
    _language(edit.language)
    if edit.kind == "pdf":
        if not is_pdf(edit.pdf) or len(edit.pdf) > MAX_FILE_BYTES:
            raise Refused(ApiError.INVALID, field="pdf", problem=f"a PDF of at most {MAX_FILE_BYTES} bytes")
        return edit
    if len(edit.source.encode()) > MAX_SOURCE_BYTES:
        raise Refused(ApiError.INVALID, field="source", problem=f"at most {MAX_SOURCE_BYTES} bytes in UTF-8")
    if not edit.source.strip():
        raise Refused(ApiError.INVALID, field="source", problem="it is empty")
    return edit


def _language(name: str) -> str:
    if not is_language_code(name):
        raise Refused(ApiError.INVALID, field="lang", problem="a language such as en, zh or pt-BR")
    return name


def _refused(fault: NotRenderable | PackageFault | EditRefusal) -> Refused:
    match fault:
        case NotRenderable(sentences):
            problem = " ".join(sentences)
            return Refused(ApiError.INVALID_STATEMENT, details=list(sentences), problem=problem)
        case PackageFault(file, sentence):
            return Refused(ApiError.INVALID_PACKAGE, details={"file": file, "problem": sentence}, problem=sentence)
        case EditRefusal.UNKNOWN_PROBLEM:
            return Refused(ApiError.NO_SUCH_PROBLEM)
        case EditRefusal.CHANGED_MEANWHILE:
            return Refused(ApiError.STATEMENT_CHANGED)
        case EditRefusal.FINALIZED:
            return Refused(ContestError.CONTEST_FINALIZED)
