"""Editing a problem's statements with a preview, and downloading its package: for administrators and its setter."""

from __future__ import annotations

from dataclasses import dataclass

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
from deepoj.packages.statements.sources import MAX_SOURCE_BYTES
from deepoj.web import forms
from deepoj.web.page import needs, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem
from deepoj.words.statements import StatementEdit

_FORMATS = {"md": "Markdown", "tex": "TeX"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _EditForm:
    """The fields of the form. ``fault``: why the package's source is not in it."""

    language: str
    kind: str
    text: str
    revision: str
    fault: str = ""


class ManageStatementPages:
    """``/manage/problems/{id}/statement``, ``/manage/problems/{id}/package``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._context, self._visitors, self._pages = context, visitors, pages
        self._publishing, self._desk = Publishing(context), StatementDesk(context)

    @page("GET", "/manage/problems/<problem_id>/statement", access=needs(Right.CHANGE_PROBLEMS))
    async def statement(self, visitor: Visitor, problem_id: str) -> Response:
        """Show the source of a statement in a form."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        language = request.args.get("lang", "") or await self._usual_language(problem, visitor)
        source = await self._desk.source(problem, language)
        form = _EditForm(
            language=language, kind=source.kind, text=source.text, revision=source.revision, fault=source.fault
        )
        return await self._page(visitor, problem, form)

    @page("POST", "/manage/problems/<problem_id>/statement", access=needs(Right.CHANGE_PROBLEMS))
    async def edit(self, visitor: Visitor, problem_id: str) -> Response:
        """Preview or save what the form has, or go back to the package's statement."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        sent = await forms.read(
            self._visitors,
            visitor,
            timeout_s=self._context.settings.read_timeout_s,
            max_bytes=forms.bytes_for(MAX_SOURCE_BYTES),
        )
        kind = sent.get("format")
        form = _EditForm(
            language=sent.line("lang"),
            kind=kind if kind in _FORMATS else "md",
            text=sent.get("code"),
            revision=sent.get("revision"),
        )
        edit = StatementEdit(language=form.language, kind=form.kind, source=form.text)
        try:
            match sent.get("action"):
                case "save":
                    await self._desk.save(problem, edit, form.revision, visitor.member)
                case "restore":
                    await self._desk.restore(problem, form.language, form.revision, visitor.member)
                case _:
                    preview = await self._desk.preview(problem, edit)
                    return await self._page(visitor, problem, form, preview=preview, is_previewed=True)
        except Refused as refused:
            return await self._page(visitor, problem, form, refused)
        return redirect(f"/manage/problems/{problem.id}/statement?lang={form.language}&changed=1")

    @page("GET", "/manage/problems/<problem_id>/package", access=needs(Right.CHANGE_PROBLEMS))
    async def package(self, visitor: Visitor, problem_id: str) -> Response:
        """Download the package with the test data."""
        problem = await self._publishing.allowed(visitor.member, Right.CHANGE_PROBLEMS, problem_id)
        return await package_download(self._context, problem)

    async def _usual_language(self, problem: Problem, visitor: Visitor) -> str:
        index = await self._context.statements.statement_index(problem.id)
        languages = [] if index is None else [language for language, _ in index.languages]
        return best_language(languages, LanguageAccept([(visitor.language, 1)])) or "en"

    async def _page(
        self,
        visitor: Visitor,
        problem: Problem,
        form: _EditForm,
        refused: Refused | None = None,
        *,
        preview: StatementPreview | None = None,
        is_previewed: bool = False,
    ) -> Response:
        held = await self._context.statements.statement_edits(problem.id)
        index = await self._context.statements.statement_index(problem.id)
        edited = [edit.language for edit in held.edits]
        shown = [] if index is None else [language for language, _ in index.languages]
        # a browser's script asks for the preview alone, and would not show the page of an error
        is_live = request.headers.get("HX-Request") == "true" and refused is not None
        is_text = refused is not None and refused.api_error is ApiError.INVALID_STATEMENT
        there = f"/problems/{problem.id}"
        return self._pages.html(
            "manage_statement.html",
            visitor,
            http_status=200 if refused is None or is_live else refused.api_error.status,
            has_editor=True,
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
            preview_html=Markup("" if preview is None else with_own_paths(preview.text.html, problem.id, there)),  # noqa: S704
            is_previewed=is_previewed,
            max_bytes=MAX_SOURCE_BYTES,
        )
