"""Judging anew what has a verdict: one submission at once, or all of a problem's, a page at a time.

A rejudge opens judging *n+1* of the same job. The verdict that stood is kept beside it and stays in the ledger; exactly
one verdict means one for each judging. It waits in the background lane, behind everything that somebody waits for.

A problem's rejudge is an order in the database, which the nodes that keep the system carry out. What has no verdict yet
passes, for it will be judged by what the problem is by then; what is being judged when its page comes may have begun
with what the problem was before, so it is looked at again until it is done.

What if we die here?

* asked, not opened: nothing happened. Opened, and the answer lost: whoever asks again is answered ``repeated``.
* opened, not in the stream: the outbox event stands, the dispatcher delivers it.
* between two pages of an order: each page is one transaction with the order's cursor, so whoever takes the order next
  goes on exactly after it; nothing is opened twice, and the order says how many were opened.
* an entry of the judging before that was never acked: it may win the claim like any other entry of the job.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.judging.reuse import Former, former_of
from deepoj.ports import Rejudges
from deepoj.words import Claim, Rejudged, RejudgeOrder, RejudgeRefusal, StoreUnavailable

#: submissions in one transaction
PAGE = 200
#: pages in one round at most: the rest is the next round's
PAGES = 50


async def rejudge(
    rejudges: Rejudges, job_id: str, *, judging: int | None, by: str, in_full: bool, stream_key: str
) -> Rejudged | RejudgeRefusal:
    """Opens the next judging of one submission.

    Args:
      judging: the one whose verdict is to be replaced, as the person saw it; None: whichever it is at.
      by: who asked; the ledger keeps it.
      in_full: run every test again, also those that nothing has changed of.

    Raises:
      StoreUnavailable: it may or may not stand; with ``judging`` it is safe to say it again.
    """
    answer = await rejudges.rejudge(job_id, judging, by=by, in_full=in_full, stream_key=stream_key)
    if isinstance(answer, Rejudged):
        observe.log("rejudge", job_id=job_id, judging=answer.judging, result="repeated" if answer.repeated else "done")
    return answer


async def order(rejudges: Rejudges, problem_id: int, *, by: str, in_full: bool) -> RejudgeOrder | None:
    """Orders a rejudge of everything that has been submitted to a problem; None if there is no such problem.

    Raises:
      StoreUnavailable: it may or may not stand; it is safe to say it again.
    """
    given = await rejudges.order_rejudge(problem_id, by=by, in_full=in_full)
    if given is not None:
        result = "repeated" if given.repeated else "done"
        observe.log("rejudge_ordered", problem_id=problem_id, count=given.submissions, result=result)
    return given


async def go_on(rejudges: Rejudges, stream_key: str, *, page: int = PAGE) -> int:
    """One round: pages of the orders that are under way, while they come on. Returns how many pages.

    Raises:
      StoreUnavailable: the pages before that stand.
    """
    seen: dict[int, RejudgeOrder] = {}
    for pages in range(PAGES):
        at = await rejudges.go_on_rejudging(page, stream_key)
        if at is None:
            return pages
        if at.finished:
            observe.log("rejudge_finished", problem_id=at.problem_id, count=at.opened)
        elif at == seen.get(at.id):  # it waits for somebody who is judging
            return pages
        seen[at.id] = at
    return PAGES


async def former(rejudges: Rejudges, claim: Claim) -> Former | None:
    """What of the judgings before this claim's may be taken over. A database that does not say it costs nothing but
    time: every test is run."""
    if claim.judging == 1:
        return None
    try:
        result = await rejudges.former_result(claim.job_id, claim.judging)
    except StoreUnavailable as away:
        observe.log("former_unknown", level="warning", job_id=claim.job_id, reason=str(away))
        return None
    return None if result is None else former_of(result)
