"""Verifying a problem's package: its own submissions judged live, in a table of promised against found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from quart import Response

from deepoj.api.context import ApiContext
from deepoj.api.errors import Refused
from deepoj.api.publishing import Publishing
from deepoj.api.rights import Right
from deepoj.api.verifying import VerificationResult, Verifying, topic_of
from deepoj.judging.problem import Example
from deepoj.judging.promises import Kept, promises_failure
from deepoj.web import forms
from deepoj.web.page import member_with, page
from deepoj.web.progress import ProgressFeed, ProgressStreams
from deepoj.web.render import Pages, gettext_of, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.problems import Problem


def _(text: str) -> str:
    """Mark a word for the catalogue."""
    return text


#: result of a comparison → glyph, class in the style sheet, word
MARKS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        Kept.OK.value: ("✓", "accepted", _("as promised")),
        Kept.DIFFERS.value: ("✗", "wrong", _("differs")),
        Kept.SKIPPED.value: ("–", "waiting", _("skipped")),
        Kept.NO_PROMISE.value: ("·", "waiting", _("no promise")),
    }
)


def promise_of(example: Example, gettext: Callable[[str], str]) -> str:
    """Return the promise in the reader's language; empty where there is none."""
    if promises_failure(example):
        words = [gettext(_("a failure"))]
    else:
        words = [" / ".join(gettext(verdict) for verdict in example.expected)] if example.expected else []
    if example.expected_scores:
        ranges = (f"{low:g}" if low == high else f"{low:g}–{high:g}" for low, high in example.expected_scores)
        words.append(f"{gettext(_('score'))} {' / '.join(ranges)}")
    return ", ".join(words)


class VerifyPages:
    """``/manage/problems/{id}/verify`` and its ``/events``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages) -> None:
        self._settings, self._problems = context.settings, context.problems
        self._visitors, self._pages, self._streams = visitors, pages, ProgressStreams(context.live, visitors)
        self._publishing, self._verifying = Publishing(context), Verifying(context)

    @page("GET", "/manage/problems/<problem_id>/verify", access=member_with(Right.REJUDGE))
    async def verify(self, visitor: Visitor, problem_id: str) -> Response:
        """Show the running verification, or the last result."""
        return await self._shown(visitor, await self._allowed(visitor, problem_id))

    @page("POST", "/manage/problems/<problem_id>/verify", access=member_with(Right.REJUDGE))
    async def act(self, visitor: Visitor, problem_id: str) -> Response:
        """Start a verification, or cancel the running one."""
        problem = await self._allowed(visitor, problem_id)
        form = await forms.read(self._visitors, visitor, timeout_s=self._settings.read_timeout_s)
        try:
            await form.act(
                start=partial(self._verifying.start, problem, visitor.member),
                cancel=partial(self._verifying.cancel, problem),
            )
        except Refused as refused:
            return await self._shown(visitor, problem, refused)
        return redirect(f"/manage/problems/{problem.id}/verify")

    @page("GET", "/manage/problems/<problem_id>/verify/events", access=member_with(Right.REJUDGE))
    async def events(self, visitor: Visitor, problem_id: str) -> Response:
        """Stream the progress as pieces of the page."""
        problem = await self._allowed(visitor, problem_id)

        async def result() -> VerificationResult | None:
            current = await self._problems.problem(problem.id)
            # a deleted problem ends the stream
            return None if current is None else await self._verifying.result(current)

        def pieces(found: VerificationResult | None) -> tuple[str, str]:
            values = _values(visitor, problem, found)
            summary = self._pages.piece("_verification_summary.html", visitor, **values)
            return summary, self._pages.piece("_verification.html", visitor, **values)

        feed = ProgressFeed(
            result=result,
            pieces=pieces,
            is_running=lambda found: found.verification.is_running,
            progress=lambda found: (found.verification, tuple(one.state for one in found.examples)),
        )
        return self._streams.answer(visitor, problem, topic_of(problem.id), feed)

    async def _allowed(self, visitor: Visitor, problem_id: str) -> Problem:
        return await self._publishing.allowed(visitor.member, Right.REJUDGE, problem_id)

    async def _shown(self, visitor: Visitor, problem: Problem, refused: Refused | None = None) -> Response:
        result = await self._verifying.result(problem)
        values = _values(visitor, problem, result)
        return self._pages.html_with_refusal("manage_verify.html", visitor, refused, **values)


def _values(visitor: Visitor, problem: Problem, result: VerificationResult | None) -> dict[str, Any]:
    """Return what the templates need."""
    gettext = gettext_of(visitor.language)
    here = f"/manage/problems/{problem.id}/verify"
    if result is None:
        return {"problem": problem, "here": here, "verification": None}
    return {
        "problem": problem,
        "here": here,
        "verification": result.verification,
        "rows": [(one, promise_of(one.example, gettext)) for one in result.examples],
        "worst_times": result.worst_times,
        "slowest": result.slowest,
        "is_tight": result.is_tight,
        "suggested_ms": result.suggested_limit_ms,
        "marks": MARKS,
    }
