"""The jury's desk: reviews of a contest's submissions."""

from __future__ import annotations

from dataclasses import asdict

from quart import request

from deepoj.api.access import READER, needs
from deepoj.api.body import read_json
from deepoj.api.contest_texts import put_texts, texts_of
from deepoj.api.contesting import Contesting
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.models.contest_reviews import (
    ReviewBody,
    ReviewHistory,
    ReviewList,
    ReviewQuery,
    ReviewStepView,
    ReviewView,
    TextsBody,
    TextsView,
)
from deepoj.api.reviewing import VERDICTS, ReviewFilter, Reviewing
from deepoj.api.rights import Right
from deepoj.api.route import route
from deepoj.words.accounts import User
from deepoj.words.contests import Contest, ReviewDraft
from deepoj.words.results import Verdict

_LISTED = 200


class ContestReviewRoutes:
    """``/api/v1/contests/{key}/reviews``, ``texts``, ``/api/v1/contests/{key}/submissions/{submission_id}/review``."""

    def __init__(self, context: ApiContext) -> None:
        self._context, self._timeout_s = context, context.settings.read_timeout_s
        self._contesting = Contesting(context)
        self._reviewing = Reviewing(context)

    @route(
        "GET",
        "/api/v1/contests/<key>/reviews",
        access=needs(Right.RUN_CONTESTS),
        query=ReviewQuery,
        responses={200: ReviewList},
    )
    async def reviews(self, user: User, key: str) -> ReviewList:
        """List submissions of a contest with what the jury has decided about them, the newest 200.

        For administrators and the jury. Verdicts are those that the jury sees.
        """
        contest = await self._contesting.run(key, user)
        asked = request.args.get("filter")
        if asked is not None and asked not in set(ReviewFilter):
            raise Refused(ApiError.INVALID, field="filter", problem=f"one of {', '.join(ReviewFilter)}")
        wanted = None if asked is None else ReviewFilter(asked)
        ledger = await self._contesting.ledger(contest)
        found = await self._reviewing.listed(ledger, wanted, user, _LISTED)
        return ReviewList(submissions=[ReviewView(**asdict(one)) for one in found])

    @route(
        "GET",
        "/api/v1/contests/<key>/submissions/<submission_id>/review",
        access=needs(Right.RUN_CONTESTS),
        responses={200: ReviewHistory},
    )
    async def show(self, user: User, key: str, submission_id: str) -> ReviewHistory:
        """Return what the jury has decided about a submission of a contest, and who did what when.

        For administrators and the jury. ``submission_id`` is the id that the Contest API has.
        """
        return await self._view(await self._contesting.run(key, user), submission_id)

    @route(
        "POST",
        "/api/v1/contests/<key>/submissions/<submission_id>/review",
        access=needs(Right.RUN_CONTESTS),
        body=ReviewBody,
        responses={200: ReviewHistory},
        errors=(409,),
    )
    async def review(self, user: User, key: str, submission_id: str) -> ReviewHistory:
        """Claim, verify, override or ignore a submission of a contest.

        For administrators and the jury, until the contest is finalized. A verification and an override belong to one
        judging: after a rejudge the new verdict counts. An override is confirmed by another account than the one that
        proposed it, unless there is none.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(ReviewBody, timeout_s=self._timeout_s)
        if body.verdict is not None and body.verdict not in set(VERDICTS):
            raise Refused(ApiError.INVALID, field="verdict", problem=f"one of {', '.join(VERDICTS)}")
        draft = ReviewDraft(
            act=body.act,
            judging=body.judging,
            verdict=None if body.verdict is None else Verdict(body.verdict),
            reason=body.reason,
        )
        await self._reviewing.review(contest, submission_id, draft, user)
        return await self._view(contest, submission_id)

    @route("GET", "/api/v1/contests/<key>/texts", access=READER, responses={200: TextsView})
    async def texts(self, user: User | None, key: str) -> TextsView:
        """Return the categories of questions and the usual answers of a contest.

        For those who see the contest; the answers for those who run it.
        """
        sight = await self._contesting.find(key, user)
        return TextsView(**texts_of(sight, await self._contesting.ledger(sight.contest)))

    @route(
        "PUT",
        "/api/v1/contests/<key>/texts",
        access=needs(Right.RUN_CONTESTS),
        body=TextsBody,
        responses={200: TextsView},
        errors=(409,),
    )
    async def put_texts(self, user: User, key: str) -> TextsView:
        """Replace the categories of questions or the usual answers of a contest.

        For administrators and the jury.
        """
        contest = await self._contesting.run(key, user)
        body = await read_json(TextsBody, timeout_s=self._timeout_s)
        lists = {name: texts for name, texts in body.model_dump().items() if texts is not None}
        await put_texts(self._context, contest, lists, user)
        return await self.texts(user, key)

    async def _view(self, contest: Contest, submission_id: str) -> ReviewHistory:
        found, steps = await self._reviewing.submission(await self._contesting.ledger(contest), submission_id)
        return ReviewHistory(**asdict(found), history=[ReviewStepView(**asdict(one)) for one in steps])
