"""Custom runs: run a program on an input of its author, without a verdict; results are kept briefly."""

from __future__ import annotations

import re
from typing import Any

from quart import Blueprint, Response, request
from quart_schema import document_headers, document_request, document_response, security_scheme

from deepoj.api.auth import Auth
from deepoj.api.body import current_request, encodable, read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id, trace_in
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import last_event_id
from deepoj.api.live.playground import RunFeed, topic_of
from deepoj.api.models.base import ErrorBody, reply
from deepoj.api.models.live import LastEventHeaders, LiveStream
from deepoj.api.models.playground import RunBody, RunTaken, RunView
from deepoj.api.playground_view import run_view
from deepoj.api.settings import ApiSettings
from deepoj.judging.languages import resolve
from deepoj.observe import logger
from deepoj.playground.order import order_run
from deepoj.words.accounts import User
from deepoj.words.playground import CustomDraft, CustomRefusal, CustomRun

#: pattern of run ids; other values are not looked up
_RUN_ID = re.compile(r"run-[0-9a-f-]{36}")


def blueprint(context: ApiContext, auth: Auth, limits: RequestLimits) -> Blueprint:
    """``/api/v1/run``, ``/api/v1/run/{run_id}`` and its ``/events``."""
    routes = Blueprint("runs", __name__, url_prefix="/api/v1")
    settings = context.settings

    @routes.post("/run")
    @security_scheme([{"bearer": []}])
    @document_request(RunBody)
    @document_response(RunTaken, 202)
    @document_response(ErrorBody, 400)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 408)
    @document_response(ErrorBody, 413)
    @document_response(ErrorBody, 415)
    @document_response(ErrorBody, 429)
    @document_response(ErrorBody, 503)
    async def run() -> tuple[dict[str, Any], int]:
        """Run a program on an input of your own.

        The output is not compared, and the run is not part of the history. The result is kept for some minutes, or
        until newer results of the same account need its space. 403 (RUN_DISABLED) if the operator has disabled custom
        runs.
        """
        user = await auth.user()
        if not settings.runs.is_enabled:
            raise Refused(ApiError.RUNS_OFF)
        limits.backpressure()
        body = await read_json(
            current_request(), RunBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s
        )
        draft = _draft(body, user, settings)
        if not context.is_judged_now(draft.language):
            context.metrics.custom_run.labels(language=draft.language, status="language_unavailable").inc()
            raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
        answer = await order_run(
            context.runs, context.run_bell, draft, per_user=settings.runs.max_inflight, metrics=context.metrics
        )
        if isinstance(answer, CustomRefusal):
            raise Refused(ApiError.TOO_MANY_RUNS, limit=settings.runs.max_inflight)
        logger().info(
            "run_taken",
            job_id=answer.run_id,
            trace_id=draft.trace_id,
            request_id=request_id(request),
            user_id=user.id,
            language=draft.language,
        )
        return reply(RunTaken(run_id=answer.run_id)), 202

    @routes.get("/run/<run_id>")
    @security_scheme([{"bearer": []}])
    @document_response(RunView)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 503)
    async def one_run(run_id: str) -> dict[str, Any]:
        """Return the state of a run and, once it is done, its output and resource usage.

        For its author.
        """
        return reply(run_view(await readable(run_id)))

    @routes.get("/run/<run_id>/events")
    @security_scheme([{"bearer": []}])
    @document_headers(LastEventHeaders)
    @document_response(LiveStream)
    @document_response(ErrorBody, 401)
    @document_response(ErrorBody, 403)
    @document_response(ErrorBody, 404)
    @document_response(ErrorBody, 429)
    @document_response(ErrorBody, 503)
    async def run_events(run_id: str) -> Response:
        """Stream the progress of a run (server-sent events).

        For its author. ``state``: the state of the run, at the start and at each change. ``done``: the body of ``GET``
        for the finished run; then the stream ends.
        """
        found = await readable(run_id)
        feed = RunFeed(context.runs, run_id, keep_s=settings.runs.keep_s, last=last_event_id())
        return context.live.answer(found.user_id, topic_of(run_id), feed, auth.welcome())

    async def readable(run_id: str) -> CustomRun:
        """Return the run if it exists and belongs to the user."""
        user = await auth.user()
        found = await context.runs.custom_run(run_id, settings.runs.keep_s) if _RUN_ID.fullmatch(run_id) else None
        if found is None:
            raise Refused(ApiError.NO_SUCH_RUN)
        if found.user_id != user.id:
            raise Refused(ApiError.NOT_YOUR_RUN)
        return found

    return routes


def _draft(body: RunBody, user: User, settings: ApiSettings) -> CustomDraft:
    rules = settings.runs
    language = resolve(body.language)
    if language is None:
        raise Refused(ApiError.UNKNOWN_LANGUAGE)
    if not text("code", body.code):
        raise Refused(ApiError.INVALID, field="code", problem="empty")
    if len(body.code.encode()) > settings.submit_code_max_bytes:
        raise Refused(ApiError.CODE_TOO_LARGE, limit=settings.submit_code_max_bytes)
    if not encodable(body.stdin):
        raise Refused(ApiError.INVALID, field="stdin", problem="half of a surrogate pair")
    stdin = body.stdin.encode()
    if len(stdin) > rules.stdin_max_bytes:
        raise Refused(ApiError.STDIN_TOO_LARGE, limit=rules.stdin_max_bytes)
    return CustomDraft(
        user_id=user.id,
        language=language.key,
        code=body.code,
        stdin=stdin,
        time_limit_ms=min(body.time_limit or rules.default_time_limit_ms, rules.max_time_limit_ms),
        memory_limit_kb=min(body.memory_limit or rules.default_memory_limit_kb, rules.max_memory_limit_kb),
        trace_id=trace.trace_id if (trace := trace_in(request)) else request_id(request),
    )
