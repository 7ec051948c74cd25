"""Rejudge submissions that have a verdict: one submission at once, or those of a problem, page by page.

A rejudge opens judging *n+1* of the same job. The old verdict is kept beside it and stays in the ledger: there is
exactly one verdict per judging. The job waits in the rejudge lane, behind everything that a user waits for.

A problem's rejudge is an order in the database, which the scheduler nodes carry out. Submissions without a verdict are
passed over: they will be judged by the problem as it is then. A submission that is being judged when its page comes may
have begun with the old problem, so it is looked at again until it is done.

What if we die here?

* asked, not opened: nothing happened. Opened, and the answer lost: the same request again is answered ``repeated``.
* opened, not in the stream: the outbox event exists, and the dispatcher delivers it.
* between two pages of an order: each page is one transaction with the order's cursor. The next node continues exactly
  after it; nothing is opened twice, and the order shows how many were opened.
* an entry of the judging before that was never acked: it may win the claim like any other entry of the job.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.judging.reuse import Former, former_of
from deepoj.ports.rejudges import Rejudges
from deepoj.words.errors import StoreUnavailable
from deepoj.words.jobs import Claim
from deepoj.words.rejudges import EVERYTHING, Rejudged, RejudgeOrder, RejudgeRefusal, RejudgeScope

#: submissions per transaction
PAGE = 200
#: maximum pages per round; the next round continues
PAGES = 50


async def rejudge(
    rejudges: Rejudges, job_id: str, *, judging: int | None, by: str, in_full: bool, stream_key: str
) -> Rejudged | RejudgeRefusal:
    """Open the next judging of one submission.

    Args:
      judging: the judging whose verdict is to be replaced, as the person saw it; None: the latest.
      by: who asked; the ledger keeps it.
      in_full: run every test again, also those whose fingerprint is unchanged.

    Raises:
      StoreUnavailable: the judging may or may not be open; with ``judging`` repeating it is safe.
    """
    answer = await rejudges.rejudge(job_id, judging, by=by, in_full=in_full, stream_key=stream_key)
    if isinstance(answer, Rejudged):
        observe.log("rejudge", job_id=job_id, judging=answer.judging, result="repeated" if answer.repeated else "done")
    return answer


async def order(
    rejudges: Rejudges, problem_id: int, *, by: str, in_full: bool, scope: RejudgeScope = EVERYTHING
) -> RejudgeOrder | None:
    """Order a rejudge of a problem's submissions; return None if there is no such problem.

    Raises:
      StoreUnavailable: the order may or may not exist; repeating it is safe.
    """
    answer = await rejudges.order_rejudge(problem_id, by=by, in_full=in_full, scope=scope)
    if answer is not None:
        result = "repeated" if answer.repeated else "done"
        observe.log("rejudge_ordered", problem_id=problem_id, count=answer.submissions, result=result)
    return answer


async def go_on(rejudges: Rejudges, stream_key: str, *, page: int = PAGE) -> int:
    """Do one round: pages of the open orders, while there are any. Return the number of pages.

    Raises:
      StoreUnavailable: the pages before it are done.
    """
    before: dict[int, RejudgeOrder] = {}
    for pages in range(PAGES):
        at = await rejudges.go_on_rejudging(page, stream_key)
        if at is None:
            return pages
        if at.finished:
            observe.log("rejudge_finished", problem_id=at.problem_id, count=at.opened)
        elif at == before.get(at.id):  # it waits for a submission that is being judged
            return pages
        before[at.id] = at
    return PAGES


async def former(rejudges: Rejudges, claim: Claim) -> Former | None:
    """Return the tests of earlier judgings that this claim's may take over. If the database does not answer, this only
    costs time: every test is run."""
    if claim.judging == 1:
        return None
    try:
        result = await rejudges.former_result(claim.job_id, claim.judging)
    except StoreUnavailable as away:
        observe.log("former_unknown", level="warning", job_id=claim.job_id, reason=str(away))
        return None
    return None if result is None else former_of(result)
