"""Lists of submissions: the user's own; all users' for those who may read them."""

from __future__ import annotations

import re

from quart import request

from deepoj.api.access import USER
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.filters import language_filter, verdict_filter
from deepoj.api.http.paths import query_number, query_time
from deepoj.api.models.submission_lists import LIST_PLACE, SubmissionItemView, SubmissionListQuery, SubmissionPage
from deepoj.api.redact import item_for
from deepoj.api.route import route
from deepoj.api.submitting import reads_all_of, status_word
from deepoj.words.accounts import User
from deepoj.words.submissions import ListPlace, SubmissionItem, SubmissionQuery

_PAGE = 50
_MAX_PAGE = 200
_MAX_ID = 2**63 - 1
_PLACE = re.compile(LIST_PLACE)


class SubmissionListRoutes:
    """``/api/v1/submissions``."""

    def __init__(self, context: ApiContext) -> None:
        self._lists, self._hidden_steps = context.lists, context.settings.hidden_steps
        self._problems = context.problems

    @route(
        "GET",
        "/api/v1/submissions",
        access=USER,
        query=SubmissionListQuery,
        responses={200: SubmissionPage},
        errors=(403,),
    )
    async def submissions(self, user: User) -> SubmissionPage:
        """List submissions, newest first, in pages.

        Users see their own submissions; administrators and the jury see all, setters with ``problem_id`` those of
        their problems. Send ``next`` of a page as ``before`` to get the following page.
        """
        limit, before = query_number("limit", _PAGE, _MAX_PAGE), _place(request.args.get("before"))
        problem_id = query_number("problem_id", None, _MAX_ID)
        sees_all = await reads_all_of(self._problems, user, problem_id)
        page = await self._lists.submissions(_query(user, problem_id, sees_all=sees_all), limit, before)
        items = [item_for(item, is_whole=sees_all, steps=self._hidden_steps) for item in page.items]
        after = None if page.next is None else f"{page.next.created_us}-{page.next.id}"
        titles = await self._problems.problem_titles({item.problem_id for item in items}, user.id)
        return SubmissionPage(submissions=[_view(item, titles.get(item.problem_id)) for item in items], next=after)


def _query(user: User, problem_id: int | None, *, sees_all: bool) -> SubmissionQuery:
    owner, group_id = query_number("user_id", None, _MAX_ID), query_number("group_id", None, _MAX_ID)
    if group_id is not None and not sees_all:
        raise Refused(ApiError.OTHERS_SUBMISSIONS)
    query = SubmissionQuery(
        user_id=owner if sees_all else user.id,
        problem_id=problem_id,
        language=language_filter(request.args.get("language")),
        verdict=verdict_filter(request.args.get("verdict")),
        since=query_time("since"),
        until=query_time("until"),
        group_id=group_id,
        sees_withheld=sees_all,
    )
    if owner not in (None, query.user_id):
        raise Refused(ApiError.OTHERS_SUBMISSIONS)
    return query


def _place(raw: str | None) -> ListPlace | None:
    if raw is None:
        return None
    if not _PLACE.fullmatch(raw):
        raise Refused(ApiError.INVALID, field="before", problem="send the value of next in the previous page")
    created_us, row_id = map(int, raw.split("-"))
    return ListPlace(created_us, row_id)


def _view(item: SubmissionItem, problem_title: str | None) -> SubmissionItemView:
    return SubmissionItemView(
        job_id=item.job_id,
        user_id=item.user_id,
        username=item.username,
        problem_id=item.problem_id,
        problem_title=problem_title,
        language=item.language,
        status=status_word(item),
        state=item.state,
        judging=item.judging,
        score=item.score,
        time_used=item.time_used_ms,
        memory_used=item.memory_used_kb,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )
