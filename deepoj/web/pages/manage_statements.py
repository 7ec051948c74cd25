"""Editing statements with a preview: a problem's, for administrators and its setter, and those that a contest has of
its own; and downloading a problem's package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from quart import Response, request
from werkzeug.datastructures import LanguageAccept

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.package_download import package_download
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right
from deepoj.api.statement_answers import best_language, with_own_paths
from deepoj.api.statement_editing import StatementDesk
from deepoj.packages.statements.editing import StatementPreview
from deepoj.packages.statements.sources import MAX_FILE_BYTES, MAX_SOURCE_BYTES
from deepoj.ports.statements import Statements
from deepoj.web import forms
from deepoj.web.contests import ContestReader
from deepoj.web.page import member_with, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementEdit

#: of a form with a PDF
_MAX_PDF_FORM_BYTES = MAX_FILE_BYTES + 64 * 1024
_FORMATS = {"md": "Markdown", "tex": "TeX"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _EditForm:
    """The fields of the form. ``fault``: why the package's source is not in it. ``pdf``: saved in place of the text."""

    language: str
    kind: str
    text: str
    revision: str
    fault: str = ""
    pdf: bytes = b""

    @property
    def edit(self) -> StatementEdit:
        if self.pdf:
            return StatementEdit(language=self.language, kind="pdf", source="", pdf=self.pdf)
        return StatementEdit(language=self.language, kind=self.kind, source=self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What is edited, and where. ``here``: path of the page. ``shown_path``: that below which readers have the files.
    ``frame``: of a contest's pages."""

    problem: Problem
    statements: Statements
    here: str
    shown_path: str
    contest_id: int | None = None
    frame: Mapping[str, Any] = field(default_factory=dict)


class StatementEditor:
    """The page on which a statement is edited."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._timeout_s, self._visitors, self._pages = context.settings.read_timeout_s, visitors, pages
        self._desk = StatementDesk(context)

    async def shown(self, visitor: Visitor, place: _Place) -> Response:
        """Show the source of a statement in a form."""
        language = request.args.get("lang", "") or await self._usual_language(place, visitor)
        source = await self._desk.source(place.problem, language, place.contest_id)
        form = _EditForm(
            language=language, kind=source.kind, text=source.text, revision=source.revision, fault=source.fault
        )
        return await self._page(visitor, place, form)

    async def read(self, visitor: Visitor, max_bytes: int = 0) -> forms.SentForm:
        """Return the form that was sent. Raises Refused."""
        most = max(max_bytes, forms.bytes_for(MAX_SOURCE_BYTES))
        return await forms.read(self._visitors, visitor, timeout_s=self._timeout_s, max_bytes=most)

    async def done(self, visitor: Visitor, place: _Place, sent: forms.SentForm) -> Response:
        """Preview or save what the form has, or go back to the former statement."""
        kind = sent.get("format")
        file = sent.files.get("file") if place.contest_id is not None else None
        form = _EditForm(
            language=sent.line("lang"),
            kind=kind if kind in _FORMATS else "md",
            text=sent.get("code"),
            revision=sent.get("revision"),
            pdf=b"" if file is None else file.content,
        )
        contest_id = place.contest_id
        try:
            match sent.get("action"):
                case "save":
                    await self._desk.save(place.problem, form.edit, form.revision, visitor.member, contest_id)
                case "restore":
                    await self._desk.restore(place.problem, form.language, form.revision, visitor.member, contest_id)
                case _:
                    preview = await self._desk.preview(place.problem, form.edit)
                    return await self._page(visitor, place, form, preview=preview, is_previewed=True)
        except Refused as refused:
            return await self._page(visitor, place, form, refused)
        return redirect(f"{place.here}?lang={form.language}&changed=1")

    async def _usual_language(self, place: _Place, visitor: Visitor) -> str:
        index = await place.statements.statement_index(place.problem.id)
        languages = [] if index is None else [language for language, _ in index.languages]
        return best_language(languages, LanguageAccept([(visitor.language, 1)])) or "en"

    async def _page(
        self,
        visitor: Visitor,
        place: _Place,
        form: _EditForm,
        refused: Refused | None = None,
        *,
        preview: StatementPreview | None = None,
        is_previewed: bool = False,
    ) -> Response:
        problem = place.problem
        held = await place.statements.statement_edits(problem.id)
        index = await place.statements.statement_index(problem.id)
        edited = [edit.language for edit in held.edits if edit.version]
        shown = [] if index is None else [language for language, _ in index.languages]
        # a browser's script asks for the preview alone, and would not show the page of an error
        is_live = request.headers.get("HX-Request") == "true" and refused is not None
        is_text = refused is not None and refused.api_error is ApiError.INVALID_STATEMENT
        return self._pages.html(
            "manage_statement.html",
            visitor,
            http_status=200 if refused is None or is_live else refused.api_error.status,
            has_editor=True,
            here=place.here,
            shown_path=place.shown_path,
            problem=problem,
            form=form,
            formats=_FORMATS,
            languages=list(dict.fromkeys((*shown, *edited, form.language))),
            edited=edited,
            is_pending=index is not None and index.is_pending,
            changed="changed" in request.args,
            refused=refused,
            faults=refused.details if refused is not None and is_text else [],
            preview=preview,
            # made by our renderer: nothing of the setter's own HTML is in it that could do harm
            preview_html=Markup(  # noqa: S704
                "" if preview is None else with_own_paths(preview.text.html, problem.id, place.shown_path)
            ),
            is_previewed=is_previewed,
            max_bytes=MAX_SOURCE_BYTES,
            **{"contest": None, **place.frame},
        )


class ManageStatementPages:
    """``/manage/problems/{id}/statement``, ``/manage/problems/{id}/package``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._publishing = context, Publishing(context)
        self._editor = StatementEditor(context, visitors, pages)

    @page("GET", "/manage/problems/<problem_id>/statement", access=member_with(Right.CHANGE_PROBLEMS))
    async def statement(self, visitor: Visitor, problem_id: str) -> Response:
        """Show the source of a statement in a form."""
        return await self._editor.shown(visitor, await self._place(visitor, problem_id))

    @page("POST", "/manage/problems/<problem_id>/statement", access=member_with(Right.CHANGE_PROBLEMS))
    async def edit(self, visitor: Visitor, problem_id: str) -> Response:
        """Preview or save what the form has, or go back to the package's statement."""
        place = await self._place(visitor, problem_id)
        return await self._editor.done(visitor, place, await self._editor.read(visitor))

    @page("GET", "/manage/problems/<problem_id>/package", access=member_with(Right.CHANGE_PROBLEMS))
    async def package(self, visitor: Visitor, problem_id: str) -> Response:
        """Download the package with the test data."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        return await package_download(self._context, problem)

    async def _place(self, visitor: Visitor, problem_id: str) -> _Place:
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        return _Place(
            problem=problem,
            statements=self._context.statements,
            here=f"/manage/problems/{problem.id}/statement",
            shown_path=f"/problems/{problem.id}",
        )


class ManageContestStatementPages:
    """``/manage/contests/{key}/problems/{label}/statement``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, reader: ContestReader) -> None:
        self._context, self._reader = context, reader
        self._editor = StatementEditor(context, visitors, pages)

    @page("GET", "/manage/contests/<key>/problems/<label>/statement", access=member_with(Right.RUN_CONTESTS))
    async def statement(self, visitor: Visitor, key: str, label: str) -> Response:
        """Show the source of the statement that a problem has in a contest."""
        return await self._editor.shown(visitor, await self._place(visitor, key, label))

    @page("POST", "/manage/contests/<key>/problems/<label>/statement", access=member_with(Right.RUN_CONTESTS))
    async def edit(self, visitor: Visitor, key: str, label: str) -> Response:
        """Preview or save what the form has, also a PDF, or go back to the problem's statement."""
        sent = await self._editor.read(visitor, _MAX_PDF_FORM_BYTES)
        return await self._editor.done(visitor, await self._place(visitor, key, label), sent)

    async def _place(self, visitor: Visitor, key: str, label: str) -> _Place:
        reading = await self._reader.read(visitor, key)
        contest, shown = reading.contest, reading.problem(label)
        problem = await self._context.contests.taken_problem(contest.id, shown.problem_id)
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return _Place(
            problem=problem,
            statements=self._context.statements.of_contest(contest.id),
            here=f"/manage/contests/{key}/problems/{shown.label}/statement",
            shown_path=f"{reading.path}/problems/{shown.label}",
            contest_id=contest.id,
            frame={**reading.frame(), "shown": shown},
        )
