"""The jury's page of a submission in a contest: its tests, its review, and who did what when."""

from __future__ import annotations

import re
from typing import Any

from quart import Response, request

from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.reviewing import VERDICTS, ReviewFilter, Reviewing
from deepoj.api.rights import Right
from deepoj.judging.languages import LANGUAGES
from deepoj.web import forms
from deepoj.web.contests import ContestReader, ContestReading
from deepoj.web.page import member_with, page
from deepoj.web.pages.submissions import result_values, source_of
from deepoj.web.render import Pages, redirect
from deepoj.web.visitor import Visitor, Visitors
from deepoj.words.contests import ReviewAct, ReviewDraft
from deepoj.words.results import Verdict

_RUN = member_with(Right.RUN_CONTESTS)
_JUDGING = re.compile(r"[0-9]{1,9}")


def _(text: str) -> str:
    """Mark a sentence for the catalogue."""
    return text


#: what the page says after an act
_DONE = {
    ReviewAct.CLAIM: _("You have claimed this submission."),
    ReviewAct.RELEASE: _("The claim is released."),
    ReviewAct.VERIFY: _("The verdict is verified."),
    ReviewAct.OVERRIDE: _("The override is proposed. It counts when it is confirmed."),
    ReviewAct.CONFIRM: _("The override is confirmed, and counts now."),
    ReviewAct.WITHDRAW: _("The proposal is withdrawn."),
    ReviewAct.IGNORE: _("The submission is ignored: it is on no board."),
    ReviewAct.RESTORE: _("The submission counts again."),
}
#: what the history says of an act
_ACTS = {
    ReviewAct.CLAIM: _("claimed it"),
    ReviewAct.RELEASE: _("released the claim"),
    ReviewAct.VERIFY: _("verified the verdict"),
    ReviewAct.OVERRIDE: _("proposed another verdict"),
    ReviewAct.CONFIRM: _("confirmed the override"),
    ReviewAct.WITHDRAW: _("withdrew the proposal"),
    ReviewAct.IGNORE: _("ignored the submission"),
    ReviewAct.RESTORE: _("let it count again"),
}
#: filters of the list of submissions
REVIEW_FILTERS = {
    ReviewFilter.TO_VERIFY: _("to verify"),
    ReviewFilter.MINE: _("claimed by me"),
    ReviewFilter.PROPOSED: _("override to confirm"),
    ReviewFilter.IGNORED: _("ignored"),
}


class ManageContestSubmissionPages:
    """``/manage/contests/{key}/submissions/{submission_id}``."""

    def __init__(self, context: ApiContext, visitors: Visitors, pages: Pages, reader: ContestReader) -> None:
        self._context, self._visitors, self._pages, self._reader = context, visitors, pages, reader
        self._reviewing = Reviewing(context)

    @page("GET", "/manage/contests/<key>/submissions/<submission_id>", access=_RUN)
    async def submission(self, visitor: Visitor, key: str, submission_id: str) -> Response:
        """Show a submission of a contest with all its tests, and its review."""
        return await self._page(visitor, await self._reader.read(visitor, key), submission_id)

    @page("POST", "/manage/contests/<key>/submissions/<submission_id>", access=_RUN)
    async def review(self, visitor: Visitor, key: str, submission_id: str) -> Response:
        """Claim, verify, override or ignore the submission, as the form says (``act``)."""
        timeout_s = self._context.settings.read_timeout_s
        form = await forms.read(self._visitors, visitor, timeout_s=timeout_s, max_bytes=forms.SMALL_BYTES)
        reading = await self._reader.read(visitor, key)
        try:
            draft = _draft(form)
            await self._reviewing.review(reading.contest, submission_id, draft, visitor.member)
        except Refused as refused:
            return await self._page(visitor, await self._reader.read(visitor, key), submission_id, form, refused)
        return redirect(f"/manage/contests/{key}/submissions/{submission_id}?done={draft.act}")

    async def _page(
        self,
        visitor: Visitor,
        reading: ContestReading,
        submission_id: str,
        form: forms.SentForm | None = None,
        refused: Refused | None = None,
    ) -> Response:
        frame = reading.frame()
        found, steps = await self._reviewing.submission(reading.ledger, submission_id)
        submission = await self._context.submissions.submission(found.job_id)
        if submission is None:
            raise refused or Refused(ApiError.NO_SUCH_JOB)
        problem = await self._context.contests.taken_problem(reading.contest.id, submission.problem_id)
        body: dict[str, Any] = {
            "job_id": submission.job_id,
            "status": found.found or "Judging",
            "data": submission.result,
        }
        done = request.args.get("done", "")
        return self._pages.html_with_refusal(
            "manage_contest_submission.html",
            visitor,
            refused,
            one=found,
            team=reading.team_name(found.team_id),
            minute=reading.minute_of(found.at),
            steps=steps,
            acts=_ACTS,
            sent={"act": "", "verdict": "", "reason": "", **({} if form is None else form.fields)},
            verdicts=VERDICTS,
            done=_DONE.get(ReviewAct(done)) if refused is None and done in set(ReviewAct) else None,
            language=LANGUAGES.get(submission.language),
            submission=submission,
            source=source_of(submission),
            is_whole=True,
            **frame,
            **result_values(visitor, problem, body, is_whole=True),
        )


def _draft(form: forms.SentForm) -> ReviewDraft:
    """Return the act that a form says. Raises Refused."""
    act, judging, verdict = form.get("act"), form.line("judging"), form.line("verdict")
    if act not in set(ReviewAct) or not _JUDGING.fullmatch(judging) or (verdict and verdict not in set(Verdict)):
        raise Refused(ApiError.INVALID, field="act", problem="it is no act on a submission")
    return ReviewDraft(
        act=ReviewAct(act),
        judging=int(judging),
        verdict=Verdict(verdict) if verdict else None,
        reason=form.line("reason"),
    )
