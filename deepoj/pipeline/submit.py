"""Step 1: a draft becomes a submission that cannot be lost.

What if we die here? The submissions row, its outbox row and the NOTIFY are one transaction: either the client can ask
again for its job id, or nothing happened. After the commit the dispatcher delivers the outbox row. Redis is not asked,
so it may be down.

While nothing waits, this process publishes the event itself (``hand_over``). The outbox row is written as one that a
dispatcher has taken. If we die before it is published, it is due again after its backoff, and the next poll of any
dispatcher finds it. The same holds if the answer to the commit is lost; this process's dispatcher then looks for the
event. If we die after it is published and before it is marked, it is published again after its backoff, and the claim
refuses the second entry.

Without the outbox (``stream``, for debugging only) there is only the submissions row. Between its commit and the XADD
it has no entry, and between the XADD and ``mark_sent`` the entry is not recorded. Either way repair puts the job back
once it is old enough; the claim refuses a second entry of a job.
"""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Sequence

from deepoj.observe import Metrics, log
from deepoj.ports.batches import Batches
from deepoj.ports.early import EarlyCompiler
from deepoj.ports.outbox import HandOver
from deepoj.ports.stream import JobStream
from deepoj.ports.submissions import Submissions
from deepoj.words.batches import BatchLine
from deepoj.words.errors import StreamUnavailable
from deepoj.words.outbox import OutboxEvent
from deepoj.words.submissions import Draft, Receipt, SubmitRefusal


async def submit(
    submissions: Submissions,
    draft: Draft,
    *,
    inflight_cap: int,
    dedup_window_s: float,
    stream_key: str,
    metrics: Metrics,
    stream: JobStream | None = None,
    user_inflight_cap: int | None = None,
    hand_over: HandOver | None = None,
    early_compiler: EarlyCompiler | None = None,
) -> Receipt | SubmitRefusal:
    """Store a well-formed draft as a submission, or refuse it.

    Args:
      inflight_cap: maximum number of unfinished submissions of all users together. With ``user_inflight_cap`` it is
        twice as many; above ``inflight_cap`` only users without an unfinished submission may submit.
      dedup_window_s: how long an identical unfinished submission of the same user answers for a second one.
      stream: publish to this stream at once; None: the dispatcher publishes it.
      hand_over: the dispatcher of this process, if it has one: where it has room, it publishes the event at once.
      early_compiler: compiles it before its claim, where ``hand_over`` has room; None: the attempt does.
      user_inflight_cap: maximum number of unfinished submissions of this user; None: any number. It is counted only if
        it is less than ``inflight_cap``, because the count reads as many rows as it allows.

    Raises:
      StoreUnavailable: the draft was not stored, or (connection lost during commit) may have been. A second try is safe
        by the client's Idempotency-Key, or by the deduplication.
      StreamUnavailable: it was stored, and is not in the stream: repair brings it there.
    """
    if user_inflight_cap is not None and user_inflight_cap >= inflight_cap:
        user_inflight_cap = None
    # The task as in the stream's payload (``OutboxEvent.payload``); the store adds job_id, limits and submit_time.
    task: dict[str, object] = {
        "code": base64.b64encode(draft.code.encode()).decode("ascii"),
        "language": draft.language,
        "cache_key": "",
        "problem_id": draft.problem_id,
        "trace_id": draft.trace_id,
    }
    if draft.entry_point is not None:
        task["entry_point"] = draft.entry_point
        task["files"] = [{"name": file.name, "content": file.content} for file in draft.beside]
    hidden_s = None if hand_over is None or stream is not None else hand_over.reserve()
    early = None
    answer: Receipt | SubmitRefusal | None = None
    try:
        if early_compiler is not None and hidden_s is not None:
            early = await early_compiler.begin(draft)
        began = time.monotonic()
        answer = await submissions.submit(
            draft,
            inflight_cap=inflight_cap,
            dedup_window_s=dedup_window_s,
            payload=task,
            stream_key=stream_key,
            direct=stream is not None,
            user_inflight_cap=user_inflight_cap,
            hidden_s=hidden_s,
        )
    finally:
        event = answer.event if isinstance(answer, Receipt) else None
        if early is not None:
            early.settle(is_stored=event is not None)
        if hand_over is not None and hidden_s is not None:
            is_stored = answer is None or (isinstance(answer, Receipt) and not answer.repeated)
            hand_over.settle(event, is_stored=is_stored)
    metrics.stage_seconds.labels(stage="commit").observe(time.monotonic() - began)
    if hand_over is not None and hidden_s is not None and event is not None:
        # Otherwise the caller makes its answer first, in the same thread: in two traces, XADD was sent 0.8 and 2.3 ms
        # after the commit.
        await hand_over.wait_begun()
    metrics.submission.labels(language=draft.language, status=_status_of(answer)).inc()
    if stream is not None and event is not None:
        await _send(submissions, stream, event, metrics)
    return answer


async def submit_lines(
    batches: Batches,
    batch_id: str,
    lines: Sequence[BatchLine],
    *,
    quota: int,
    dedup_window_s: float,
    stream_key: str,
    metrics: Metrics,
) -> list[Receipt | SubmitRefusal]:
    """Store a chunk of a batch, whose drafts are well-formed and of one user, or refuse its lines one by one.

    What if we die here? The chunk is one transaction, with the outbox rows. The client sends the batch again with the
    same key: lines that were stored are found by their number, the others are stored then.

    Args:
      quota: maximum number of unfinished submissions of the user's batches.
      dedup_window_s: as that of ``submit``.

    Raises:
      StoreUnavailable: the chunk was not stored, or (connection lost during commit) may have been.
    """
    answers = await batches.submit_lines(
        batch_id,
        lines[0].draft.user_id,
        lines,
        dedup_window_s=dedup_window_s,
        quota=quota,
        stream_key=stream_key,
    )
    counts = Counter((line.draft.language, _status_of(answer)) for line, answer in zip(lines, answers, strict=True))
    for (language, status), count in counts.items():
        metrics.submission.labels(language=language, status=status).inc(count)
    return answers


def _status_of(answer: Receipt | SubmitRefusal) -> str:
    """Return the label ``status`` of an answer."""
    if isinstance(answer, SubmitRefusal):
        return answer.value.lower()
    return "repeated" if answer.repeated else "accepted"


async def _send(submissions: Submissions, stream: JobStream, event: OutboxEvent, metrics: Metrics) -> None:
    try:
        (entry_id,) = await stream.publish([event])
    except StreamUnavailable:
        metrics.stream_enqueue.labels(status="error").inc()
        raise
    metrics.stream_enqueue.labels(status="ok").inc()
    log("enqueue", job_id=event.job_id, stream_entry_id=entry_id, trace_id=event.trace_id, reason="direct")
    await submissions.mark_sent(event, entry_id)
