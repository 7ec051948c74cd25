"""Submitting programs, and reading their state and results."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from quart import Blueprint, Response, request
from quart_schema import document_headers, document_request, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.body import current_request, read_json
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused, prefers_chinese
from deepoj.api.http.exchange import request_id, trace_in
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import last_event_id
from deepoj.api.live.jobs import JobFeed, Place
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.live import LastEventHeaders, LiveStream
from deepoj.api.models.submissions import (
    IDEMPOTENCY_KEY,
    FileView,
    JudgingView,
    StatusView,
    SubmissionView,
    SubmitBody,
    SubmitHeaders,
    Submitted,
)
from deepoj.api.redact import HiddenSteps, result_for
from deepoj.api.routes.webhooks import CALLBACK_REFUSALS, webhooks_of
from deepoj.api.sources import received_sources
from deepoj.judging.outputs import language_of
from deepoj.observe import logger
from deepoj.pipeline.submit import submit as take
from deepoj.webhooks.callback_urls import CallbackRules
from deepoj.words.accounts import User
from deepoj.words.jobs import State
from deepoj.words.rejudges import Judging
from deepoj.words.submissions import Draft, Submission, SubmissionItem, SubmitRefusal
from deepoj.words.webhooks import CallbackRefusal

_QUEUING = "Queuing"
_JUDGING = "Judging"
#: pattern of job ids; other values are not looked up
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_PROBLEM_ID = 2**31 - 1
#: number of judgings of a submission that are shown, the latest ones
_JUDGINGS = 20
_WEBHOOKS = 20
_REFUSALS = {
    SubmitRefusal.PROBLEM_NOT_FOUND: ApiError.NO_SUCH_PROBLEM_TO_SUBMIT,
    SubmitRefusal.INFLIGHT_CAP_REACHED: ApiError.INFLIGHT_CAP,
    SubmitRefusal.USER_INFLIGHT_CAP_REACHED: ApiError.USER_INFLIGHT_CAP,
    SubmitRefusal.IDEMPOTENCY_KEY_REUSED: ApiError.KEY_REUSED,
}
_IDEMPOTENCY_KEY = re.compile(IDEMPOTENCY_KEY)
#: https://www.w3.org/TR/trace-context/: version (not ff), trace-id and parent-id (not all zero), flags


def blueprint(context: ApiContext, auth: Auth, limits: RequestLimits) -> Blueprint:
    """``/api/v1/submit``, ``/api/v1/status/{job_id}`` and its ``/events``, ``/api/v1/submissions/{job_id}``."""
    routes = Blueprint("submissions", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.post("/submit")
    @security_scheme([{"bearer": []}])
    @document_headers(SubmitHeaders)
    @document_request(SubmitBody)
    @document_response(Submitted)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 413)
    @document_response(ErrorBody, 422)
    @document_response(ErrorBody, 429)
    @document_response(ErrorBody, 503)
    async def submit() -> dict[str, Any]:
        """Submit a program for judging.

        Submitting the same program again while the first submission is unfinished returns the first job. So does the
        same Idempotency-Key, as long as that submission is kept; the same key with other contents is refused (422).
        ``callback_url`` receives the verdict as a signed POST, at least once.

        The number of unfinished submissions per user is limited: one more is answered 429 USER_INFLIGHT_CAP_REACHED,
        with Retry-After, until one of them is finished. The waiting submissions of all users take turns.
        """
        user = await _sender(auth, limits)
        body = await read_json(
            current_request(), SubmitBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s
        )
        draft = _draft(body, user, max_code_bytes=settings.submit_code_max_bytes, callbacks=settings.callbacks)
        if not _is_judged_now(draft.language):
            context.metrics.submission.labels(language=draft.language, status="language_unavailable").inc()
            raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
        answer = await take(
            context.submissions,
            draft,
            inflight_cap=settings.inflight_cap,
            user_inflight_cap=settings.user_inflight_cap,
            dedup_window_s=settings.inflight_ttl_s,
            stream_key=settings.stream_key,
            metrics=context.metrics,
            stream=context.stream,
        )
        if isinstance(answer, SubmitRefusal):
            if answer is SubmitRefusal.INFLIGHT_CAP_REACHED:
                context.metrics.submit_429.labels(reason="inflight_cap").inc()
            elif answer is SubmitRefusal.USER_INFLIGHT_CAP_REACHED:
                context.metrics.submit_429.labels(reason="user_inflight_cap").inc()
            raise Refused(_REFUSALS[answer], limit=settings.user_inflight_cap)
        logger().info(
            "submit",
            job_id=answer.job_id,
            trace_id=draft.trace_id,
            span_id=trace.span_id if (trace := trace_in(request)) else "",
            request_id=request_id(request),
            user_id=user.id,
            problem_id=draft.problem_id,
            language=draft.language,
            result="repeated" if answer.repeated else "accepted",
        )
        return reply(Submitted(job_id=answer.job_id, status=_QUEUING))

    @routes.get("/status/<job_id>")
    @security_scheme([{"bearer": []}])
    @document_response(StatusView)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    async def status(job_id: str) -> dict[str, Any]:
        """Return the state and result of a job.

        For its author and administrators. A verdict, once reported, stays. ``waiting`` says if no node has the job's
        language any more.
        """
        user, found = await readable(job_id)
        answer = _status_body(found, is_admin=user.is_admin, steps=settings.hidden_steps)
        if found.state is State.PENDING and not _is_judged_now(found.language):
            away = Refused(ApiError.LANGUAGE_UNAVAILABLE, language=found.language)
            answer["waiting"] = away.body(prefers_chinese(request.accept_languages))
        return answer

    @routes.get("/status/<job_id>/events")
    @security_scheme([{"bearer": []}])
    @document_headers(LastEventHeaders)
    @document_response(LiveStream)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 429)
    @document_response(ErrorBody, 503)
    async def events(job_id: str) -> Response:
        """Stream the progress of a job (server-sent events).

        For its author and administrators. ``state``: the state of the job, at the start and at each change; a new
        ``attempt_id`` invalidates the tests received before. ``test``: one test, as it ends. ``done``: the body of
        ``/status`` for the finished job; then the stream ends. A client that reconnects with ``Last-Event-ID`` receives
        the events after it.
        """
        user, found = await readable(job_id)
        feed = JobFeed(
            context.submissions,
            context.results,
            found.job_id,
            is_admin=user.is_admin,
            steps=settings.hidden_steps,
            last=Place.of(last_event_id()),
            body=partial(_status_body, is_admin=user.is_admin, steps=settings.hidden_steps),
            word=status_word_of,
        )
        return context.live.answer(user.id, found.job_id, feed, auth.welcome(is_admin=user.is_admin))

    @routes.get("/submissions/<job_id>")
    @security_scheme([{"bearer": []}])
    @document_response(SubmissionView)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    async def submission(job_id: str) -> dict[str, Any]:
        """Return a submission with its source and result.

        For its author and administrators.
        """
        user, found = await readable(job_id)
        return reply(
            SubmissionView(
                job_id=found.job_id,
                user_id=found.user_id,
                problem_id=found.problem_id,
                language=found.language,
                code=found.code,
                entry_point=found.entry_point,
                files=[FileView(name=file.name, content=file.content) for file in found.files],
                status=status_word(found),
                state=found.state,
                attempt_id=found.attempt_id,
                judging=found.judging,
                error_code=found.error_code,
                error_message=found.error_message if user.is_admin else None,
                created_at=found.created_at,
                updated_at=found.updated_at,
                data=result_for(found.result, is_admin=user.is_admin, steps=settings.hidden_steps),
                judgings=await judgings(found, is_admin=user.is_admin),
                callback_url=found.callback_url,
                webhooks=await webhooks_of(context, found, _WEBHOOKS),
            )
        )

    def _is_judged_now(language: str) -> bool:
        return context.is_judged_now(language)

    async def judgings(found: Submission, *, is_admin: bool) -> list[JudgingView]:
        """Return the superseded judgings, and the current one if it has a verdict."""
        verdicts = await context.rejudges.judgings(found.job_id, _JUDGINGS)
        if found.state is State.DONE and found.result is not None:
            last = Judging(
                judging=found.judging,
                attempt_id=found.attempt_id,
                status=found.status,
                error_code=found.error_code,
                error_message=found.error_message,
                result=found.result,
                finished_at=found.updated_at,
            )
            verdicts = [*[one for one in verdicts if one.judging < found.judging], last]
        return [_judging(one, is_admin=is_admin, steps=settings.hidden_steps) for one in verdicts[-_JUDGINGS:]]

    async def readable(job_id: str) -> tuple[User, Submission]:
        """Return the user, and the submission if the user may read it."""
        asked = job_id if _JOB_ID.fullmatch(job_id) else ""
        user, found = await auth.user_reading(
            lambda user_id: context.submissions.account_and_submission(user_id, asked)
        )
        if found is None:
            raise Refused(ApiError.NO_SUCH_JOB)
        if found.user_id != user.id and not user.is_admin:
            raise Refused(ApiError.NOT_YOURS)
        return user, found

    return routes


async def _sender(auth: Auth, limits: RequestLimits) -> User:
    """Return the user who submits, if the rate limits allow it."""
    try:
        user = await auth.user()
    except Refused:
        await limits.turned_away(auth.claims())
        raise
    await limits.submit(user)
    return user


def status_word(submission: Submission | SubmissionItem) -> str:
    """Return ``Queuing`` or ``Judging`` until the job is finished, then the verdict."""
    return status_word_of(submission.state, submission.status)


def status_word_of(state: State, status: str) -> str:
    """The same as ``status_word``, from a row's state and status."""
    match state:
        case State.PENDING:
            return _QUEUING
        case State.PROCESSING:
            return _JUDGING
        case State.DONE | State.DEAD:
            return status


def _status_body(found: Submission, *, is_admin: bool, steps: HiddenSteps) -> dict[str, Any]:
    """Return the body of ``/status`` without ``waiting``."""
    view = StatusView(
        job_id=found.job_id,
        status=status_word(found),
        state=found.state,
        data=result_for(found.result, is_admin=is_admin, steps=steps),
    )
    body = reply(view)
    del body["waiting"]
    return body


def _judging(verdict: Judging, *, is_admin: bool, steps: HiddenSteps) -> JudgingView:
    return JudgingView(
        judging=verdict.judging,
        attempt_id=verdict.attempt_id,
        status=verdict.status,
        error_code=verdict.error_code,
        finished_at=verdict.finished_at,
        data=result_for(verdict.result, is_admin=is_admin, steps=steps),
    )


def _draft(body: SubmitBody, user: User, *, max_code_bytes: int, callbacks: CallbackRules) -> Draft:
    language = language_of(body.language)
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    sources = received_sources(body, language, max_bytes=max_code_bytes)
    if not 0 < body.problem_id <= _MAX_PROBLEM_ID:
        raise Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)
    return Draft(
        user_id=user.id,
        problem_id=body.problem_id,
        language=language.key,
        code=sources.code,
        entry_point=sources.entry_point,
        beside=sources.beside,
        trace_id=trace.trace_id if (trace := trace_in(request)) else request_id(request),
        idempotency_key=_idempotency_key(request.headers.get("Idempotency-Key")),
        callback_url=None if body.callback_url is None else _callback_url(body.callback_url, callbacks),
    )


def _callback_url(sent: str, callbacks: CallbackRules) -> str:
    found = callbacks.read(sent)
    if isinstance(found, CallbackRefusal):
        raise Refused(CALLBACK_REFUSALS[found])
    return found.url


def _idempotency_key(sent: str | None) -> str | None:
    if sent is not None and not _IDEMPOTENCY_KEY.fullmatch(sent):
        raise Refused(ApiError.INVALID, field="Idempotency-Key", problem="1 to 255 visible ASCII characters")
    return sent
