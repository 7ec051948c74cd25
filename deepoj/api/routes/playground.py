"""Custom runs: run a program on an input of its author, without a verdict; results are kept briefly."""

from __future__ import annotations

import re

from quart import Response, request

from deepoj.api.access import USER
from deepoj.api.auth import Auth
from deepoj.api.body import encodable, read_json, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id, trace_in
from deepoj.api.http.limits import RequestLimits
from deepoj.api.live.events import last_event_id
from deepoj.api.live.playground import RunFeed, topic_of
from deepoj.api.models.live import LastEventHeaders, LiveStream
from deepoj.api.models.playground import RunBody, RunTaken, RunView
from deepoj.api.playground_view import run_view
from deepoj.api.route import route
from deepoj.api.settings import ApiSettings
from deepoj.judging.languages import resolve
from deepoj.observe import logger
from deepoj.playground.order import order_run
from deepoj.words.accounts import User
from deepoj.words.playground import CustomDraft, CustomRefusal, CustomRun

#: pattern of run ids; other values are not looked up
_RUN_ID = re.compile(r"run-[0-9a-f-]{36}")


class PlaygroundRoutes:
    """``/api/v1/run``, ``/api/v1/run/{run_id}`` and its ``/events``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._context, self._settings, self._auth, self._limits = context, context.settings, auth, limits

    @route(
        "POST",
        "/api/v1/run",
        access=USER,
        body=RunBody,
        responses={202: RunTaken},
        errors=(403,),
    )
    async def run(self, user: User) -> RunTaken:
        """Run a program on an input of your own.

        The output is not compared, and the run is not part of the history. The result is kept for some minutes, or
        until newer results of the same account need its space. 403 (RUN_DISABLED) if the operator has disabled custom
        runs.
        """
        context, settings = self._context, self._settings
        if not settings.runs.is_enabled:
            raise Refused(ApiError.RUNS_OFF)
        self._limits.backpressure()
        body = await read_json(RunBody, max_bytes=settings.submit_body_max_bytes, timeout_s=settings.read_timeout_s)
        draft = _draft(body, user, settings)
        if not context.is_judged_now(draft.language):
            context.metrics.custom_run.labels(language=draft.language, status="language_unavailable").inc()
            raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
        ordered = await order_run(
            context.runs, context.run_notifier, draft, per_user=settings.runs.max_inflight, metrics=context.metrics
        )
        if isinstance(ordered, CustomRefusal):
            raise Refused(ApiError.TOO_MANY_RUNS, limit=settings.runs.max_inflight)
        logger().info(
            "run_taken",
            job_id=ordered.run_id,
            trace_id=draft.trace_id,
            request_id=request_id(request),
            user_id=user.id,
            language=draft.language,
        )
        return RunTaken(run_id=ordered.run_id)

    @route("GET", "/api/v1/run/<run_id>", access=USER, responses={200: RunView}, errors=(403,))
    async def show(self, user: User, run_id: str) -> RunView:
        """Return the state of a run and, once it is done, its output and resource usage.

        For its author.
        """
        return run_view(await self._run_of(user, run_id))

    @route(
        "GET",
        "/api/v1/run/<run_id>/events",
        access=USER,
        headers=LastEventHeaders,
        responses={200: LiveStream},
        errors=(403,),
    )
    async def events(self, user: User, run_id: str) -> Response:
        """Stream the progress of a run (server-sent events).

        For its author. ``state``: the state of the run, at the start and at each change. ``done``: the body of ``GET``
        for the finished run; then the stream ends.
        """
        await self._run_of(user, run_id)
        feed = RunFeed(self._context.runs, run_id, keep_s=self._settings.runs.keep_s, last=last_event_id())
        return self._context.live.answer(user.id, topic_of(run_id), feed, self._auth.recheck())

    async def _run_of(self, user: User, run_id: str) -> CustomRun:
        """Return the run if it exists and belongs to the user."""
        is_id = _RUN_ID.fullmatch(run_id)
        run = await self._context.runs.custom_run(run_id, self._settings.runs.keep_s) if is_id else None
        if run is None:
            raise Refused(ApiError.NO_SUCH_RUN)
        if run.user_id != user.id:
            raise Refused(ApiError.NOT_YOUR_RUN)
        return run


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
