"""Submitting programs, and reading their state and results."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from quart import Response, request

from deepoj.api.access import CHECKED_BY_HANDLER, SUBMITTER
from deepoj.api.auth import Auth
from deepoj.api.body import read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit
from deepoj.api.http.refusals import prefers_chinese
from deepoj.api.live.events import last_event_id
from deepoj.api.live.jobs import JobFeed, Place
from deepoj.api.models.live import LastEventHeaders, LiveStream
from deepoj.api.models.submissions import (
    IDEMPOTENCY_KEY,
    FileView,
    JudgingView,
    SourcesBody,
    StatusView,
    SubmissionView,
    SubmitBody,
    SubmitHeaders,
    Submitted,
)
from deepoj.api.redact import HiddenSteps, result_for
from deepoj.api.route import route
from deepoj.api.routes.webhooks import CALLBACK_REFUSALS, webhooks_of
from deepoj.api.settings import ApiSettings
from deepoj.api.sources import received_sources
from deepoj.api.submitting import (
    QUEUING,
    Reading,
    asked_job_id,
    before_of,
    new_trace_id,
    readable,
    status_body,
    status_word,
    status_word_of,
    take_in,
)
from deepoj.judging.outputs import language_of
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.accounts import User
from deepoj.words.jobs import State
from deepoj.words.rejudges import Judging
from deepoj.words.submissions import Draft, Submission
from deepoj.words.webhooks import CallbackRefusal

MAX_PROBLEM_ID = 2**31 - 1
#: number of judgings and of deliveries of a submission that are shown, the latest ones
_JUDGINGS = 20
_WEBHOOKS = 20
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY)


class SubmissionRoutes:
    """``/api/v1/submit``, ``/api/v1/status/{job_id}`` and its ``/events``, ``/api/v1/submissions/{job_id}``."""

    def __init__(self, context: ApiContext, auth: Auth) -> None:
        self._context, self._settings, self._auth = context, context.settings, auth

    @route(
        "POST",
        "/api/v1/submit",
        access=SUBMITTER,
        limit=Limit.SUBMIT,
        headers=SubmitHeaders,
        body=SubmitBody,
        responses={200: Submitted},
        errors=(422,),
    )
    async def submit(self, user: User) -> Submitted:
        """Submit a program for judging.

        Submitting the same program again while the first submission is unfinished returns the first job. So does the
        same Idempotency-Key, as long as that submission is kept; the same key with other contents is refused (422).
        ``callback_url`` receives the verdict as a signed POST, at least once.

        The number of unfinished submissions per user is limited: one more is answered 429 USER_INFLIGHT_CAP_REACHED,
        with Retry-After, until one of them is finished. The waiting submissions of all users take turns.
        """
        context, settings = self._context, self._settings
        body = await read_json(SubmitBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s)
        if not 0 < body.problem_id <= MAX_PROBLEM_ID:
            raise Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)
        draft = draft_of(body, body.problem_id, user, settings, key=idempotency_key())
        job = await take_in(context, draft)
        return Submitted(job_id=job.job_id, status=QUEUING)

    @route("GET", "/api/v1/status/<job_id>", access=CHECKED_BY_HANDLER, responses={200: StatusView}, errors=(403,))
    async def status(self, job_id: str) -> dict[str, Any]:
        """Return the state and result of a job.

        For its author, administrators, the jury, and the setter of its problem. A verdict, once reported, stays.
        ``waiting`` says if no node has the job's language any more, or if the queue is away.
        """
        _user, reading = await self._readable(job_id)
        submission = reading.submission
        answer = status_body(submission, is_whole=reading.is_whole, steps=self._settings.hidden_steps)
        if submission.state is not State.PENDING:
            return answer
        if not self._context.is_judged_now(submission.language):
            unavailable = Refused(ApiError.LANGUAGE_UNAVAILABLE, language=submission.language)
            answer["waiting"] = unavailable.body(prefers_chinese(request.accept_languages))
        elif self._context.pressure.outage is not None:
            answer["waiting"] = _delay()
        return answer

    @route(
        "GET",
        "/api/v1/status/<job_id>/events",
        access=CHECKED_BY_HANDLER,
        headers=LastEventHeaders,
        responses={200: LiveStream},
        errors=(403,),
    )
    async def events(self, job_id: str) -> Response:
        """Stream the progress of a job (server-sent events).

        For those who may read its status. ``state``: the state of the job, at the start and at each change, with
        ``waiting`` while the queue is away; a new ``attempt_id`` invalidates the tests received before. ``test``: one
        test, as it ends. ``done``: the body of ``/status`` for the finished job; then the stream ends. A client that
        reconnects with ``Last-Event-ID`` receives the events after it.
        """
        user, reading = await self._readable(job_id)
        submission, is_whole = reading.submission, reading.is_whole
        steps = self._settings.hidden_steps
        pressure, delay = self._context.pressure, _delay()
        feed = JobFeed(
            self._context.results,
            submission.job_id,
            is_whole=is_whole,
            steps=steps,
            last=Place.of(last_event_id()),
            body=partial(status_body, is_whole=is_whole, steps=steps),
            word=status_word_of,
            waiting=lambda: None if pressure.outage is None else delay,
        )
        token_holds = self._auth.recheck(reading.is_allowed)

        async def recheck() -> bool:
            return await token_holds() and await reading.is_in_team()

        return self._context.live.answer(user.id, submission.job_id, feed, recheck)

    @route(
        "GET",
        "/api/v1/submissions/<job_id>",
        access=CHECKED_BY_HANDLER,
        responses={200: SubmissionView},
        errors=(403,),
    )
    async def submission(self, job_id: str) -> SubmissionView:
        """Return a submission with its source and result.

        For those who may read its status; the callback for its author and administrators only.
        """
        user, reading = await self._readable(job_id)
        submission = reading.submission
        # its path and query are the receiver's secrets
        sees_callback = user.is_admin or user.id == submission.user_id
        # deliveries tell when there was a verdict
        is_told = reading.is_whole or not submission.is_withheld
        return SubmissionView(
            job_id=submission.job_id,
            user_id=submission.user_id,
            problem_id=submission.problem_id,
            language=submission.language,
            code=submission.code,
            entry_point=submission.entry_point,
            files=[FileView(name=file.name, content=file.content) for file in submission.files],
            status=status_word(submission),
            state=submission.state,
            attempt_id=submission.attempt_id,
            judging=submission.judging,
            error_code=submission.error_code,
            error_message=submission.error_message if reading.is_whole else None,
            created_at=submission.created_at,
            updated_at=submission.updated_at,
            before=await before_of(self._context, submission),
            data=result_for(submission.result, is_whole=reading.is_whole, steps=self._settings.hidden_steps),
            judgings=await self._judgings(submission, is_whole=reading.is_whole),
            callback_url=submission.callback_url if sees_callback else None,
            webhooks=await webhooks_of(self._context, submission, _WEBHOOKS) if sees_callback and is_told else [],
        )

    async def _judgings(self, submission: Submission, *, is_whole: bool) -> list[JudgingView]:
        """Return the superseded judgings, and the current one if it has a verdict."""
        found = await self._context.rejudges.judgings(submission.job_id, _JUDGINGS)
        judgings = [one for one in found if is_whole or not one.is_withheld]
        if submission.state is State.DONE and submission.result is not None:
            current = Judging(
                judging=submission.judging,
                attempt_id=submission.attempt_id,
                status=submission.status,
                error_code=submission.error_code,
                error_message=submission.error_message,
                result=submission.result,
                finished_at=submission.updated_at,
            )
            judgings = [*(judging for judging in judgings if judging.judging < current.judging), current]
        steps = self._settings.hidden_steps
        return [_judging(judging, is_whole=is_whole, steps=steps) for judging in judgings[-_JUDGINGS:]]

    async def _readable(self, job_id: str) -> tuple[User, Reading]:
        """Return the user, and the submission if the user may read it."""
        user, submission = await self._auth.user_reading(
            lambda user_id: self._context.submissions.account_and_submission(user_id, asked_job_id(job_id))
        )
        return user, await readable(self._context, user, submission)


def _delay() -> dict[str, Any]:
    """Return ``waiting`` of a job that no node can get, because the queue is away."""
    return Refused(ApiError.JUDGING_DELAYED).body(prefers_chinese(request.accept_languages))


def _judging(judging: Judging, *, is_whole: bool, steps: HiddenSteps) -> JudgingView:
    return JudgingView(
        judging=judging.judging,
        attempt_id=judging.attempt_id,
        status=judging.status,
        error_code=judging.error_code,
        finished_at=judging.finished_at,
        data=result_for(judging.result, is_whole=is_whole, steps=steps),
    )


def draft_of(
    body: SourcesBody,
    problem_id: int,
    user: User,
    settings: ApiSettings,
    *,
    key: str | None,
    contest_id: int | None = None,
) -> Draft:
    """Return the draft that a request sends for a problem, in a contest if ``contest_id`` says so. Raises Refused.

    ``key``: the submission's Idempotency-Key.
    """
    language = language_of(body.language)
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    sources = received_sources(body, language, max_bytes=settings.submit_code_max_bytes)
    callback_url = body.callback_url
    return Draft(
        user_id=user.id,
        problem_id=problem_id,
        language=language.key,
        code=sources.code,
        entry_point=sources.entry_point,
        beside=sources.beside,
        trace_id=new_trace_id(),
        idempotency_key=key,
        callback_url=None if callback_url is None else _callback_url(callback_url, settings.callbacks),
        contest_id=contest_id,
    )


def _callback_url(sent: str, callbacks: CallbackRules) -> str:
    target = callbacks.read(sent)
    if isinstance(target, CallbackRefusal):
        raise Refused(CALLBACK_REFUSALS[target])
    return target.url


def idempotency_key() -> str | None:
    """Return the Idempotency-Key of the current request. Raises Refused if it is malformed."""
    sent = request.headers.get("Idempotency-Key")
    if sent is not None and not _IDEMPOTENCY_KEY.fullmatch(sent):
        raise Refused(ApiError.INVALID, field="Idempotency-Key", problem="1 to 255 visible ASCII characters")
    return sent
