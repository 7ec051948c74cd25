"""Taking in a playground run, and reading one, as routes and pages do them."""

from __future__ import annotations

import re

from quart import request

from deepoj.api.body import encodable, text
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.exchange import request_id
from deepoj.api.http.limits import RequestLimits
from deepoj.api.models.playground import RunBody
from deepoj.api.settings import ApiSettings
from deepoj.api.submitting import new_trace_id
from deepoj.judging.languages import resolve
from deepoj.observe import log
from deepoj.playground.order import order_run
from deepoj.words.accounts import User
from deepoj.words.playground import CustomDraft, CustomReceipt, CustomRefusal, CustomRun

#: pattern of run ids; other values are not looked up
_RUN_ID = re.compile(r"run-[0-9a-f-]{36}")


def require_room(settings: ApiSettings, limits: RequestLimits) -> None:
    """Check before the body is read that runs are enabled, and that not too much work is waiting. Raises Refused."""
    if not settings.runs.is_enabled:
        raise Refused(ApiError.RUNS_OFF)
    limits.backpressure()


def run_draft(body: RunBody, user: User, settings: ApiSettings) -> CustomDraft:
    """Return the run that a body describes, its limits within the operator's. Raises Refused."""
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
        trace_id=new_trace_id(),
    )


async def take_run(context: ApiContext, draft: CustomDraft, *, besides: int = 0) -> CustomReceipt:
    """Store a run and wake a node. ``besides``: how many runs of the same act the author may have besides.

    Raises:
      Refused: no live node has the language, or too many runs of the author are unfinished, or a contest
        in which the author is allows none.
    """
    max_inflight = context.settings.runs.max_inflight + besides
    if not context.is_judged_now(draft.language):
        context.metrics.custom_run.labels(language=draft.language, status="language_unavailable").inc()
        raise Refused(ApiError.LANGUAGE_UNAVAILABLE, language=draft.language)
    ordered = await order_run(context.runs, context.run_notifier, draft, per_user=max_inflight, metrics=context.metrics)
    if ordered is CustomRefusal.CONTEST_WITHOUT_RUNS:
        raise Refused(ApiError.RUNS_OFF_IN_CONTEST)
    if isinstance(ordered, CustomRefusal):
        raise Refused(ApiError.TOO_MANY_RUNS, limit=max_inflight)
    log(
        "run_taken",
        job_id=ordered.run_id,
        trace_id=draft.trace_id,
        request_id=request_id(request),
        user_id=draft.user_id,
        language=draft.language,
    )
    return ordered


async def run_of(context: ApiContext, user: User, run_id: str) -> CustomRun:
    """Return the run. Raises Refused if there is none, or if it is another user's."""
    is_id = _RUN_ID.fullmatch(run_id)
    run = await context.runs.custom_run(run_id, context.settings.runs.keep_s) if is_id else None
    if run is None:
        raise Refused(ApiError.NO_SUCH_RUN)
    if run.user_id != user.id:
        raise Refused(ApiError.NOT_YOUR_RUN)
    return run
