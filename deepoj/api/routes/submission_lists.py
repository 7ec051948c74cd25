"""Lists of submissions: the user's own; all users' for administrators."""

from __future__ import annotations

import re
from typing import Any

from quart import Blueprint, request
from quart_schema import document_querystring, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.paths import moment, whole
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.submission_lists import LIST_PLACE, SubmissionItemView, SubmissionListQuery, SubmissionPage
from deepoj.api.redact import item_for
from deepoj.api.routes.submissions import status_word
from deepoj.judging.outputs import language_of
from deepoj.words.accounts import User
from deepoj.words.results import Verdict
from deepoj.words.submissions import ListPlace, SubmissionItem, SubmissionQuery

_PAGE = 50
_MAX_PAGE = 200
_MAX_ID = 2**63 - 1
_PLACE = re.compile(LIST_PLACE)


def blueprint(context: ApiContext, auth: Auth) -> Blueprint:
    """``/api/v1/submissions``."""
    routes = Blueprint("submission_lists", __name__, url_prefix="/api/v1")

    @routes.get("/submissions")
    @security_scheme([{"bearer": []}])
    @document_querystring(SubmissionListQuery)
    @document_response(SubmissionPage)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 503)
    async def listed() -> dict[str, Any]:
        """List submissions, newest first, in pages.

        Users see their own submissions; administrators see all. Send ``next`` of a page as ``before`` to get the
        following page.
        """
        user = await auth.user()
        limit, before = whole("limit", _PAGE, _MAX_PAGE), _place(request.args.get("before"))
        found = await context.lists.submissions(_query(user), limit, before)
        following = None if found.next is None else f"{found.next.created_us}-{found.next.id}"
        return reply(SubmissionPage(submissions=[view(item, user) for item in found.items], next=following))

    def view(item: SubmissionItem, user: User) -> SubmissionItemView:
        return _view(item_for(item, is_admin=user.is_admin, steps=context.settings.hidden_steps))

    return routes


def _query(user: User) -> SubmissionQuery:
    owner = whole("user_id", None, _MAX_ID)
    query = SubmissionQuery(
        user_id=owner if user.is_admin else user.id,
        problem_id=whole("problem_id", None, _MAX_ID),
        language=_language(request.args.get("language")),
        verdict=_verdict(request.args.get("verdict")),
        since=moment("since"),
        until=moment("until"),
    )
    if owner not in (None, query.user_id):
        raise Refused(ApiError.OTHERS_SUBMISSIONS)
    return query


def _language(word: str | None) -> str | None:
    if word is None:
        return None
    language = language_of(int(word) if word.isascii() and word.isdigit() and len(word) <= 3 else word)
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    return language.key


def _verdict(word: str | None) -> Verdict | None:
    known = [verdict for verdict in Verdict if verdict is not Verdict.INVALID]
    if word is not None and word not in known:
        raise Refused(ApiError.INVALID, field="verdict", problem=f"one of {', '.join(known)}")
    return None if word is None else Verdict(word)


def _place(raw: str | None) -> ListPlace | None:
    if raw is None:
        return None
    if not _PLACE.fullmatch(raw):
        raise Refused(ApiError.INVALID, field="before", problem="send the value of next in the previous page")
    created_us, row_id = map(int, raw.split("-"))
    return ListPlace(created_us, row_id)


def _view(item: SubmissionItem) -> SubmissionItemView:
    return SubmissionItemView(
        job_id=item.job_id,
        user_id=item.user_id,
        username=item.username,
        problem_id=item.problem_id,
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
