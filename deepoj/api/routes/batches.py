"""Batches: up to ten thousand submissions in a request, and their verdicts as a stream."""

from __future__ import annotations

import uuid
from collections import Counter

from quart import Response, request
from quart_trio.wrappers import TrioResponse

from deepoj.api.access import SUBMITTER, USER
from deepoj.api.auth import Auth
from deepoj.api.batches import BatchFeed, BatchIntake, ResultPlace, cancel_batch, readable_batch
from deepoj.api.body import BodyPieces, current_request
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.http.limits import Limit, RequestLimits
from deepoj.api.http.refusals import prefers_chinese
from deepoj.api.live.events import StreamFormat
from deepoj.api.models.batches import (
    BatchCancelled,
    BatchHeaders,
    BatchList,
    BatchResultsQuery,
    BatchSummary,
    BatchView,
)
from deepoj.api.models.submissions import SubmitBody
from deepoj.api.rights import Right, may
from deepoj.api.route import Described, route
from deepoj.api.routes.submissions import MAX_PROBLEM_ID, draft_of, idempotency_key
from deepoj.words.accounts import User
from deepoj.words.jobs import State
from deepoj.words.submissions import Draft

NDJSON = "application/x-ndjson"
_TYPES = frozenset({NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines"})
#: batches in a list
_LISTED = 50
#: verdicts of many jobs come all the time, so they are read at an interval, and not for each notification
_RESULTS = StreamFormat(content_type=NDJSON, head=b"", keep_alive=b"\n", is_endless=True, look_s=1.0)


class BatchRoutes:
    """``/api/v1/submissions/batch``."""

    def __init__(self, context: ApiContext, auth: Auth, limits: RequestLimits) -> None:
        self._context, self._auth, self._limits = context, auth, limits

    @route(
        "POST",
        "/api/v1/submissions/batch",
        access=SUBMITTER,
        limit=Limit.SUBMIT,
        headers=BatchHeaders,
        lines="A submission per line, as the body of POST /api/v1/submit; at most 10,000 lines.",
        responses={
            200: Described(
                description="A result per line, then the batch with the sums.",
                content_type=NDJSON,
                headers={"Location": "The batch."},
            )
        },
    )
    async def submit(self, user: User) -> Response:
        """Submit many programs for judging, behind what people wait for.

        The body has a JSON object per line, with the fields of ``POST /api/v1/submit``; empty lines are skipped. The
        answer has a line for each, in order: ``line`` (its number, from 1) with ``job_id``, or with ``code``, ``error``
        and, where it may be sent again, ``retry_after_s``. Its last line has ``batch_id`` and how many lines were
        ``accepted``, ``repeated`` (an earlier request, or an identical unfinished submission, has made the submission)
        and ``refused``. An answer without this last line has broken off.

        Send the same lines again with the same Idempotency-Key after a break, or after a refusal with
        ``retry_after_s``: nothing is made twice. A batch counts as one submission towards the rate limit, and its jobs
        towards a quota of their own (429 USER_BATCH_QUOTA_REACHED).
        """
        settings, request_now = self._context.settings, current_request()
        if request.mimetype not in _TYPES:
            raise Refused(ApiError.WRONG_TYPE, wanted=NDJSON)
        key = idempotency_key()
        # clients cannot send a key with a space
        batch_id = await self._context.batches.open_batch(user.id, key or f"request {uuid.uuid4()}")

        def draft(body: SubmitBody) -> Draft:
            if not 0 < body.problem_id <= MAX_PROBLEM_ID:
                raise Refused(ApiError.NO_SUCH_PROBLEM_TO_SUBMIT)
            # the request's key names the batch, and no submission of it
            return draft_of(body, body.problem_id, user, settings, key=None)

        intake = BatchIntake(
            self._context,
            batch_id,
            prefers_chinese(request.accept_languages),
            draft_of=draft,
            backpressure=self._limits.backpressure,
            recheck=self._auth.recheck(),
        )
        limit = settings.batch_body_max_bytes
        pieces = BodyPieces(
            request_now,
            max_bytes=limit,
            too_large=Refused(ApiError.BODY_TOO_LARGE, limit=limit),
            timeout_s=settings.read_timeout_s,
        )
        response = TrioResponse(await intake.take(pieces), content_type=NDJSON)
        response.headers["Location"] = f"/api/v1/submissions/batch/{batch_id}"
        return response

    @route("GET", "/api/v1/submissions/batch", access=USER, responses={200: BatchList})
    async def batches(self, user: User) -> BatchList:
        """List your newest 50 batches."""
        found = await self._context.batches.batches_of(user.id, _LISTED)
        return BatchList(batches=[BatchSummary(batch_id=one.batch_id, created_at=one.created_at) for one in found])

    @route("GET", "/api/v1/submissions/batch/<batch_id>", access=USER, responses={200: BatchView}, errors=(403,))
    async def batch(self, user: User, batch_id: str) -> BatchView:
        """Return a batch with the counts of its lines.

        For its owner, administrators and the jury.
        """
        batch, _ = await readable_batch(self._context, user, batch_id)
        verdicts: Counter[str] = Counter()
        for one in batch.counts:
            if one.state in {State.DONE, State.DEAD}:
                verdicts[one.status] += one.count
        return BatchView(
            batch_id=batch.batch_id,
            created_at=batch.created_at,
            lines=batch.line_count,
            finished=batch.finished_count,
            states={state.value: batch.count_in(state) for state in State},
            verdicts=dict(verdicts.most_common()),
        )

    @route(
        "POST",
        "/api/v1/submissions/batch/<batch_id>/cancel",
        access=USER,
        responses={200: BatchCancelled},
        errors=(403,),
    )
    async def cancel(self, user: User, batch_id: str) -> BatchCancelled:
        """Cancel the waiting submissions of your batch.

        Those that no judge node has begun are deleted with their lines; verdicts stay. Lines that are sent again under
        the batch's key are stored again.
        """
        return BatchCancelled(batch_id=batch_id, cancelled=await cancel_batch(self._context, user, batch_id))

    @route(
        "GET",
        "/api/v1/submissions/batch/<batch_id>/results",
        access=USER,
        query=BatchResultsQuery,
        responses={200: Described(description="Verdicts, a line each, as they come.", content_type=NDJSON)},
        errors=(403,),
    )
    async def results(self, user: User, batch_id: str) -> Response:
        """Stream the verdicts of a batch as they come, until every stored line has one.

        A line has ``line``, ``job_id``, ``problem_id``, ``language``, ``status``, ``score``, ``time_used`` and
        ``memory_used``. Lines with a ``token`` are in between: after a break, send the last one as ``?token=`` to get
        the other lines. Lines that were refused have no verdict; if they are sent again and stored, start without a
        token. Empty lines keep the connection open.
        """
        batch, is_whole = await readable_batch(self._context, user, batch_id)
        place = ResultPlace.of(request.args.get("token"))
        if place is None:
            raise Refused(ApiError.INVALID, field="token", problem="it is no token of this stream")
        feed = BatchFeed(
            self._context.batches,
            batch.batch_id,
            place,
            is_whole=is_whole,
            steps=self._context.settings.hidden_steps,
        )

        def is_allowed(account: User) -> bool:
            return may(account, Right.READ_RESULTS) if is_whole else account.id == batch.user_id

        recheck = self._auth.recheck(is_allowed)
        return self._context.live.answer(user.id, f"batch {batch.batch_id}", feed, recheck, _RESULTS)
