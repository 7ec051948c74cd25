"""The list of problems, and a problem with the editor in which a solution is written and submitted."""

from __future__ import annotations

from collections.abc import Mapping

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import RequestLimits
from deepoj.api.http.paths import problem_id_of, query_number
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.sources import received_sources
from deepoj.api.submitting import new_trace_id, take_in
from deepoj.judging.languages import LANGUAGES, Language
from deepoj.judging.outputs import language_of
from deepoj.web import forms
from deepoj.web.page import MEMBER, page
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem
from deepoj.words.submissions import Draft, SubmissionQuery

_PAGE = 50
_MAX_AFTER = 2**63 - 1
#: a form's fields beside the source
_FRAME_BYTES = 8 * 1024
#: language that is chosen at first
_USUAL = "cpp17"
#: own submissions that are shown beside a problem
_LAST = 5


class ProblemPages:
    """``/problems``, ``/problems/{id}``."""

    def __init__(self, context: ApiContext, limits: RequestLimits, visitors: Visitors, pages: Pages) -> None:
        self._context, self._limits, self._visitors, self._pages = context, limits, visitors, pages
        self._settings = context.settings

    @page("GET", "/problems")
    async def problems(self, visitor: Visitor) -> Response:
        """List problems by number, in pages."""
        after = query_number("after", 0, _MAX_AFTER)
        found = await self._context.problems.problems(after, _PAGE + 1)
        shown = found[:_PAGE]
        return self._pages.html(
            "problems.html",
            visitor,
            problems=shown,
            next_after=shown[-1].id if len(found) > _PAGE else None,
            is_first=after == 0,
        )

    @page("GET", "/problems/<problem_id>")
    async def problem(self, visitor: Visitor, problem_id: str) -> Response:
        """Show a problem."""
        return await self._problem(visitor, await self._known(problem_id))

    @page("POST", "/problems/<problem_id>", access=MEMBER)
    async def submit(self, visitor: Visitor, problem_id: str) -> Response:
        """Submit a solution; its page shows how it is judged. What was written is kept if it is refused."""
        problem = await self._known(problem_id)
        sent: Mapping[str, str] = {}
        try:
            await self._limits.submit(visitor.member)
            max_bytes = 3 * self._settings.submit_code_max_bytes + _FRAME_BYTES  # urlencoded bytes may take three
            form = await forms.read(
                self._visitors, visitor, timeout_s=self._settings.read_timeout_s, max_bytes=max_bytes
            )
            sent = form.fields
            receipt = await take_in(self._context, self._draft(visitor, problem, form))
        except Refused as refused:
            return await self._problem(visitor, problem, sent, refused)
        response = redirect(f"/submissions/{receipt.job_id}")
        self._visitors.remember(response.headers, programmed=sent.get("language"))
        return response

    async def _known(self, problem_id: str) -> Problem:
        number = problem_id_of(problem_id)
        problem = await self._context.problems.problem(number) if number is not None else None
        if problem is None:
            raise Refused(ApiError.NO_SUCH_PROBLEM)
        return problem

    def _draft(self, visitor: Visitor, problem: Problem, form: forms.SentForm) -> Draft:
        language = language_of(form.get("language"))
        if language is None:
            raise Refused(ApiError.UNKNOWN_LANGUAGE)
        code = form.get("code")
        if (file := form.files.get("file")) is not None:
            try:
                code = file.content.decode("utf-8").replace("\r\n", "\n")
            except UnicodeDecodeError as error:
                raise Refused(ApiError.BAD_TEXT, field="file") from error
        body = SubmitBody.model_validate({"problem_id": problem.id, "language": language.key, "code": code})
        sources = received_sources(body, language, max_bytes=self._settings.submit_code_max_bytes)
        return Draft(
            user_id=visitor.member.id,
            problem_id=problem.id,
            language=language.key,
            code=sources.code,
            trace_id=new_trace_id(),
        )

    async def _problem(
        self, visitor: Visitor, problem: Problem, sent: Mapping[str, str] | None = None, refused: Refused | None = None
    ) -> Response:
        last = []
        if visitor.account is not None:
            query = SubmissionQuery(user_id=visitor.account.user.id, problem_id=problem.id)
            last = list((await self._context.lists.submissions(query, _LAST)).items)
        sent = sent or {}
        response = self._pages.html(
            "problem.html",
            visitor,
            http_status=200 if refused is None else refused.api_error.status,
            has_editor=True,
            problem=problem,
            languages=judged_languages(self._context),
            language=sent.get("language") or (last[0].language if last else visitor.programmed or _USUAL),
            code=sent.get("code", ""),
            max_bytes=self._settings.submit_code_max_bytes,
            last=last,
            refused=refused,
        )
        if refused is not None:
            response.headers.extend(refused.extra_headers())
        return response


def judged_languages(context: ApiContext) -> list[Language]:
    """Return the languages of the live judge nodes; all of them while none is known."""
    return [language for language in LANGUAGES.values() if context.is_judged_now(language.key)]
