"""Rejudges of contests, as routes and pages do them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from deepoj.api.contest_errors import ContestError
from deepoj.api.context import ApiContext
from deepoj.api.errors import ApiError, Refused
from deepoj.api.previewing import accepted, preview_id_of
from deepoj.contests.ledger import ContestLedger
from deepoj.contests.preview import BoardEffect, effect_of, jobs_of
from deepoj.words.accounts import User
from deepoj.words.contest_rejudges import ContestRejudge, ContestRejudgeScope
from deepoj.words.contests import Contest, EventType
from deepoj.words.previews import OPEN, PreviewFailure, PreviewRefusal, PreviewState

#: rejudges of a list, and reasons of failures that are listed
_MAX_LISTED, _MAX_FAILURES = 50, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRejudgeResult:
    """A rejudge with what it would change. ``effect``: None of one that is not ready."""

    rejudge: ContestRejudge
    failures: Sequence[PreviewFailure]
    effect: BoardEffect | None


class ContestRejudging:
    """Starts, applies, cancels and reads rejudges of contests. All methods raise Refused or StoreUnavailable."""

    def __init__(self, context: ApiContext) -> None:
        self._rejudges, self._ledgers, self._previews = context.contest_rejudges, context.ledgers, context.previews

    async def start(self, contest: Contest, user: User, scope: ContestRejudgeScope, *, in_full: bool) -> ContestRejudge:
        """Start a rejudge of the judged submissions in the scope, or go on with the same one."""
        ledger = await self._ledgers.ledger(contest)
        _require_known(ledger, scope)
        jobs = jobs_of(ledger, scope)
        begun = await self._rejudges.start_rejudge(contest.id, jobs, by=user.id, in_full=in_full, scope=scope)
        if begun is PreviewRefusal.ANOTHER:
            raise await self._occupied(contest, ledger, jobs)
        return accepted(begun)

    async def apply(self, contest: Contest, rejudge_id: str, user: User) -> ContestRejudge:
        """Give all submissions of a rejudge their new verdicts at once."""
        return accepted(await self._rejudges.apply_rejudge(contest.id, preview_id_of(rejudge_id), by=user.id))

    async def cancel(self, contest: Contest, rejudge_id: str, user: User) -> ContestRejudge:
        """Give a rejudge up."""
        return accepted(await self._rejudges.cancel_rejudge(contest.id, preview_id_of(rejudge_id), by=user.id))

    async def result(self, contest: Contest, rejudge_id: str) -> ContestRejudgeResult:
        """Return a rejudge with what it would change on the board."""
        found = await self._rejudges.rejudges(contest.id, 1, preview_id_of(rejudge_id))
        if not found:
            raise Refused(ApiError.NO_SUCH_PREVIEW)
        (rejudge,) = found
        failures = await self._rejudges.rejudge_failures(rejudge.id, _MAX_FAILURES)
        effect = None
        if rejudge.state is PreviewState.READY:
            verdicts = await self._rejudges.rejudged_verdicts(rejudge.id)
            effect = effect_of(await self._ledgers.ledger(contest), verdicts)
        return ContestRejudgeResult(rejudge=rejudge, failures=failures, effect=effect)

    async def _occupied(self, contest: Contest, ledger: ContestLedger, problems: Collection[int]) -> Refused:
        """Return the refusal that names the rejudge, or the preview of a problem, that is not decided."""
        for newest in await self._rejudges.rejudges(contest.id, 1):
            if newest.state in OPEN:
                return Refused(ContestError.CONTEST_REJUDGE_OPEN, number=newest.id, problem=newest.scope.problem or "*")
        for label, data in ledger.of(EventType.PROBLEMS).items():
            if data["problem_id"] in problems:
                past = await self._previews.past_rejudges(data["problem_id"], _MAX_LISTED)
                if any(one.preview_id is not None and one.state in OPEN for one in past):
                    return Refused(ContestError.CONTEST_PROBLEM_PREVIEWED, problem=label)
        return Refused(ApiError.PREVIEW_RUNNING)

    async def past(self, contest: Contest) -> list[ContestRejudge]:
        """Return the rejudges of a contest, newest first."""
        return await self._rejudges.rejudges(contest.id, _MAX_LISTED)

    async def hosts(self, contest: Contest) -> list[str]:
        """Return the names of the nodes that have found its verdicts."""
        return await self._rejudges.hosts(contest.id)


def _require_known(ledger: ContestLedger, scope: ContestRejudgeScope) -> None:
    if scope.problem is not None and scope.problem not in ledger.of(EventType.PROBLEMS):
        raise Refused(ApiError.INVALID, field="problem", problem="the label of a problem of this contest")
    if scope.team_id is not None and scope.team_id not in ledger.of(EventType.TEAMS):
        raise Refused(ApiError.INVALID, field="team", problem="the id of a team of this contest")
