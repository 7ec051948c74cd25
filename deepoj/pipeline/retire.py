"""A problem goes, and by an administrator's word (``force``) all that was submitted to it.

What if we die here? Submissions go a page at a time, each with its outbox events, its judgings and its part of the
ledger in one transaction; the problem goes last. In between it is there, with fewer submissions: the same call again
goes on. Whoever was judging one of them is refused the verdict; entries in the stream are of unknown jobs, and acked.
The package stays in the object store, where no row names it any more, until ``objects`` deletes it.
"""

from __future__ import annotations

from deepoj import observe
from deepoj.ports import Problems
from deepoj.words import ProblemRefusal

#: submissions in one transaction
PAGE = 500
#: how often new submissions may arrive between the last page and the end
_ROUNDS = 5


async def retire(problems: Problems, problem_id: int, *, force: bool) -> ProblemRefusal | None:
    """None: the problem is gone.

    Raises:
      StoreUnavailable: some submissions may be gone, and so may the problem; it is safe to say it again.
    """
    refusal = await problems.delete_problem(problem_id)
    rounds = 0
    while force and refusal is ProblemRefusal.HAS_SUBMISSIONS and rounds < _ROUNDS:
        rounds += 1
        gone = PAGE
        while gone == PAGE:
            gone = await problems.delete_submissions_of(problem_id, PAGE)
        refusal = await problems.delete_problem(problem_id)
    if refusal is None:
        observe.log("problem_deleted", problem_id=problem_id)
    return refusal
