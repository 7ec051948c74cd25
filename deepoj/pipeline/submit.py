"""Step 1: a draft becomes a submission that cannot be lost.

What if we die here? The submissions row, its outbox row and the NOTIFY are one transaction: either the client may
come back for its job id, or nothing happened. After the commit the outbox row is the dispatcher's to deliver; Redis
is not asked, so it may be down.
"""

from __future__ import annotations

import base64

from deepoj.observe import Metrics
from deepoj.ports import Jobs
from deepoj.words import Draft, Receipt, SubmitRefusal


async def submit(
    jobs: Jobs,
    draft: Draft,
    *,
    inflight_cap: int,
    dedup_window_s: float,
    stream_key: str,
    metrics: Metrics,
) -> Receipt | SubmitRefusal:
    """Takes a well-formed draft.

    Args:
      inflight_cap: most unfinished submissions there may be, of all users together.
      dedup_window_s: how long an identical unfinished submission of the same user answers for a second one.

    Raises:
      StoreUnavailable: nothing was taken, or (connection lost during commit) it may have been: the client's
        Idempotency-Key, or the deduplication, makes a second try safe.
    """
    # The task as the stream's payload carries it (contract §5); the store adds job_id, limits and submit_time.
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
    answer = await jobs.submit(
        draft, inflight_cap=inflight_cap, dedup_window_s=dedup_window_s, payload=task, stream_key=stream_key
    )
    match answer:
        case Receipt(repeated=repeated):
            metrics.submission.labels(language=draft.language, status="repeated" if repeated else "accepted").inc()
        case SubmitRefusal():
            metrics.submission.labels(language=draft.language, status=answer.value.lower()).inc()
    return answer
