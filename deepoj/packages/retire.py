"""Delete a problem and, if the administrator says so (``force``), all its submissions.

What if we die here? Submissions are deleted page by page, each with its outbox events, its judgings and its part of the
ledger in one transaction; the problem is deleted last. Until then it exists with fewer submissions, and the same call
continues. A node that judges one of them is refused the verdict. Entries in the stream are of unknown jobs, and acked.
The package stays in the object store, unnamed by any row, until ``objects`` deletes it. The log of administrative acts
has its row from the same statement that deletes the problem: after a call that died before, it says nothing of the
submissions that are gone, until the call is repeated.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.ports.problems import Problems
from deepoj.words.problems import ProblemRefusal

#: submissions per transaction
PAGE = 500
#: how often new submissions may arrive between the last page and deleting the problem
_ROUNDS = 5


async def retire(problems: Problems, problem_id: int, *, force: bool, by: str | None = None) -> ProblemRefusal | None:
    """Delete the problem. Return None if it is deleted, else the reason. ``by``: the administrator, for the log of
    administrative acts.

    Raises:
      StoreUnavailable: some submissions, or the problem, may be deleted; repeating the call is safe.
    """
    refusal = await problems.delete_problem(problem_id, by=by)
    rounds = 0
    while force and refusal is ProblemRefusal.HAS_SUBMISSIONS and rounds < _ROUNDS:
        rounds += 1
        count = PAGE
        while count == PAGE:
            count = await problems.delete_submissions_of(problem_id, PAGE)
        refusal = await problems.delete_problem(problem_id, by=by)
    if refusal is None:
        observe.log("problem_deleted", problem_id=problem_id)
    return refusal
