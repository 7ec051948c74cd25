"""Rejudging a problem's submissions, as routes and pages do it."""

from __future__ import annotations

from deepoj.api.errors import ApiError, Refused
from deepoj.pipeline import rejudge as step
from deepoj.ports.rejudges import Rejudges
from deepoj.words.accounts import User
from deepoj.words.rejudges import EVERYTHING, RejudgeOrder, RejudgeScope


async def order_rejudge(
    rejudges: Rejudges, problem_id: int | None, user: User, *, in_full: bool, scope: RejudgeScope = EVERYTHING
) -> RejudgeOrder:
    """Order a rejudge of a problem's submissions. Raises Refused if there is no such problem."""
    order = None
    if problem_id is not None:
        order = await step.order(rejudges, problem_id, by=user.username, in_full=in_full, scope=scope)
    if order is None:
        raise Refused(ApiError.NO_SUCH_PROBLEM)
    return order
